//! By when should an event be delivered? Express events go earliest due date first.
//!
//! The date follows from the event's type and from when Writ admitted it, so the same event is due at the same
//! time at every restart and in every replay.

use std::time::Duration;

use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;

const CHANGE_TYPES: usize = ChangeType::ALL.len();

/// An event of a type that nobody set a time for is due so long after it was admitted. Every express event has
/// a date, so that none waits for ever behind those that have an earlier one.
pub const DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// How long after its admission an event is due, by change type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times([Duration; CHANGE_TYPES]);

impl Default for Times {
    fn default() -> Self {
        Self([DEFAULT; CHANGE_TYPES])
    }
}

impl Times {
    /// Another time for events of this type.
    #[must_use]
    pub fn but(mut self, change_type: ChangeType, time: Duration) -> Self {
        self.0[change_type as usize] = time;
        self
    }

    /// When an event is due.
    pub fn due(&self, change_type: ChangeType, recorded_at: Timestamp) -> Timestamp {
        recorded_at.after(self.0[change_type as usize])
    }
}
