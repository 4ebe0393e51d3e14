//! The writer's part in retention: it journals what leaves the log, unless something that it has committed since
//! may need it, and removes segments.

use writ_model::code;
use writ_model::control::ControlFact;
use writ_model::id::Offset;
use writ_model::retention::{Clocks, Truncated};

use super::batch::Batch;
use super::commit::Writer;
use crate::error::EngineError;
use crate::metric;

/// Facts that make somebody need the log: holds and replays.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    is_pending: bool,
    /// Behind the last one that is committed.
    last: Offset,
}

impl Pins {
    /// These are about to be committed.
    pub(super) fn see(&mut self, facts: &[ControlFact]) {
        let is_pin =
            |fact: &ControlFact| matches!(fact, ControlFact::HoldPlaced(_) | ControlFact::ReplayOrdered(_));
        self.is_pending |= facts.iter().any(is_pin);
    }

    /// Everything that was seen is committed; the log ends here.
    pub(super) fn committed(&mut self, end: Offset) {
        if std::mem::take(&mut self.is_pending) {
            self.last = end;
        }
    }

    /// Whether who judged from what is below `as_of` knows of all of them.
    fn are_known(&self, as_of: Offset) -> bool {
        !self.is_pending && self.last <= as_of
    }
}

impl Writer {
    pub(super) fn retire(&mut self, batch: &mut Batch, before: Offset, as_of: Offset) {
        if self.pins.are_known(as_of) {
            let clocks = Clocks { hlc_millis: self.hlc.floor(), lamport: self.lamport };
            let truncated = Truncated { before, at: self.stamp(), clocks };
            tracing::info!(before = before.0, "the log will begin here");
            batch.hub.facts.push(ControlFact::Truncated(truncated));
        }
    }

    /// A failure leaves the segments; they are removed after the next start.
    pub(super) fn truncate(&mut self, before: Offset) {
        match self.log.truncate_before(before) {
            Ok(start) => metric::begins(start),
            Err(error) => {
                let remedy = "check the disk; what could not be removed is removed after the next start";
                let error = EngineError::new(code::RETENTION_FAILED, "remove log segments", error, remedy);
                tracing::error!(code = error.code.id, error = %error, "the log was not shortened");
                metric::follower_error("shorten the log");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_model::replay::Selection;
    use writ_model::retention::Hold;
    use writ_model::time::Timestamp;

    #[test]
    fn what_was_judged_before_a_hold_was_committed_does_not_count() {
        let text = String::new;
        let hold = Hold {
            id: text(),
            matter: text(),
            reason: text(),
            scope: Selection::default(),
            actor: text(),
            at: Timestamp(0),
        };
        let mut pins = Pins::default();
        assert!(pins.are_known(Offset(0)));
        pins.see(&[ControlFact::HoldPlaced(Box::new(hold))]);
        assert!(!pins.are_known(Offset(100)), "it is in the commit that is being made");
        pins.committed(Offset(50));
        assert!(!pins.are_known(Offset(49)) && pins.are_known(Offset(50)));
        pins.committed(Offset(60));
        assert!(pins.are_known(Offset(50)), "a commit without one");
    }
}
