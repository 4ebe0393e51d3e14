//! How fast may a lane go: a wait that the subscriber asked for, an operator's rate for replays, the wait between two reads
//! of one that is behind.

use std::time::Duration;

use writ_model::time::Moment;

/// Says when the lane may go on.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    per_second: Option<u32>,
    not_before: Moment,
}

impl Pace {
    /// At most so many events per second, evenly spaced; `None`: as fast as the lane can.
    pub fn new(per_second: Option<u32>) -> Self {
        Self { per_second, not_before: Moment::default() }
    }

    /// Nothing before this moment. An earlier hold that ends later stays.
    pub fn hold(&mut self, until: Moment) {
        self.not_before = self.not_before.max(until);
    }

    /// Counts an attempt of so many events.
    pub fn sent(&mut self, now: Moment, events: usize) {
        let Some(rate) = self.per_second else { return };
        let micros = events as u64 * 1_000_000 / u64::from(rate.max(1));
        self.not_before = self.not_before.max(now).after(Duration::from_micros(micros));
    }

    /// Whether it may go on.
    pub fn permits(&self, now: Moment) -> bool {
        self.not_before <= now
    }

    /// When it may, if not yet.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        (!self.permits(now)).then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spaces_attempts_by_the_events_in_them() {
        let mut pace = Pace::new(Some(10));
        pace.sent(Moment(0), 5);
        assert_eq!(pace.deadline(Moment(0)), Some(Moment(500_000)));
        assert!(pace.permits(Moment(500_000)));
    }

    #[test]
    fn a_shorter_hold_never_shortens_a_longer_one() {
        let mut pace = Pace::new(None);
        pace.hold(Moment(9));
        pace.hold(Moment(3));
        assert_eq!(pace.deadline(Moment(5)), Some(Moment(9)));
    }
}
