//! The only place of the engine that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use writ_kernel::machine::Now;
use writ_model::time::{Moment, Timestamp};

/// Both clocks, counted from the engine's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { moment: self.moment(), wall: wall() }
    }

    fn moment(&self) -> Moment {
        Moment::default().after(self.started.elapsed())
    }

    /// The instant of a moment, to sleep until it.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.started + moment.since(Moment::default())
    }
}

/// The wall clock. A clock before 1970 reads as 1970.
pub(crate) fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
