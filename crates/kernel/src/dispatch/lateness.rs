//! Is a lane in time? Its oldest event that is not settled must not be older than the operator allows. Driven
//! by time, not polled: the lane wakes when the oldest event becomes too old.

use std::time::Duration;

use writ_model::time::{Moment, Timestamp};

use crate::machine::Now;

/// One lane's service level.
#[derive(Debug, Clone)]
pub(super) struct Lateness {
    within: Option<Duration>,
    /// `None` until it was looked at first, so that a restart says what it finds.
    is_late: Option<bool>,
}

impl Lateness {
    /// Every event should be settled so long after its admission; `None`: it does not matter.
    pub(super) fn new(within: Option<Duration>) -> Self {
        Self { within, is_late: None }
    }

    /// Looks at the oldest event that is not settled. Gives whether the lane is late, when that has changed.
    pub(super) fn look(&mut self, now: Now, oldest: Option<Timestamp>) -> Option<bool> {
        let within = self.within?;
        let is_late = oldest.is_some_and(|oldest| oldest.after(within) <= now.wall);
        let before = self.is_late.replace(is_late);
        (before != Some(is_late)).then_some(is_late)
    }

    /// When the oldest event becomes too old.
    pub(super) fn deadline(&self, now: Now, oldest: Option<Timestamp>) -> Option<Moment> {
        let late_at = oldest?.after(self.within.filter(|_| self.is_late == Some(false))?);
        let left = u64::try_from(late_at.0.saturating_sub(now.wall.0)).unwrap_or_default();
        Some(now.moment.after(Duration::from_micros(left.max(1))))
    }
}
