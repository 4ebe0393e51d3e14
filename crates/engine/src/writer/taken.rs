//! Pushed changes that derived state may not know yet: it follows the commits, and a producer may send again
//! before it has caught up. Two generations, so that the older can be let go while the newer still grows.

use std::collections::BTreeMap;

use writ_model::control::IntakeSeen;
use writ_model::id::{EventId, Offset};

use super::CHANGES_PER_COMMIT;

/// Changes in one generation before the next begins; more only while derived state is behind.
const GENERATION: usize = 8 * CHANGES_PER_COMMIT;

/// What was taken lately, by causation id.
#[derive(Default)]
pub(crate) struct Taken {
    recent: BTreeMap<EventId, IntakeSeen>,
    older: BTreeMap<EventId, IntakeSeen>,
    /// The log's end after the last commit with one of the older.
    older_through: Offset,
}

impl Taken {
    pub(super) fn get(&self, id: EventId) -> Option<&IntakeSeen> {
        self.recent.get(&id).or_else(|| self.older.get(&id))
    }

    /// Adds those of one commit, `end` being the log's end after it, and lets the older ones go once derived
    /// state, which has reached `applied`, holds them.
    pub(super) fn add(&mut self, taken: &mut BTreeMap<EventId, IntakeSeen>, end: Offset, applied: Offset) {
        self.recent.append(taken);
        if self.recent.len() >= GENERATION && self.older_through <= applied {
            self.older = std::mem::take(&mut self.recent);
            self.older_through = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use writ_model::id::SourceName;
    use writ_model::time::Timestamp;

    use super::*;

    fn id(number: usize) -> EventId {
        format!("019a0000-0000-8000-8000-{number:012x}").parse().expect("an id")
    }

    fn seen(number: usize) -> IntakeSeen {
        let source = SourceName::new("crm").expect("a name");
        let content_hash = String::new();
        IntakeSeen { causation_id: id(number), source, content_hash, events: 1, at: Timestamp(0) }
    }

    #[test]
    fn what_derived_state_does_not_hold_yet_is_never_let_go_and_the_rest_is() {
        let mut taken = Taken::default();
        let per_commit = CHANGES_PER_COMMIT;
        for commit in 0..32 {
            let mut batch = (0..per_commit).map(|n| (id(commit * per_commit + n), seen(n))).collect();
            // State is always one commit behind.
            taken.add(&mut batch, Offset(commit as u64 + 1), Offset(commit as u64));
            assert!(taken.get(id((commit + 1) * per_commit - 1)).is_some());
            assert!(taken.recent.len() + taken.older.len() <= 2 * GENERATION + per_commit);
        }
        assert!(taken.get(id(0)).is_none(), "state has it");
        let behind = Offset(0);
        let first = 40 * per_commit;
        for commit in 40..80 {
            let mut batch = (0..per_commit).map(|n| (id(commit * per_commit + n), seen(n))).collect();
            taken.add(&mut batch, Offset(commit as u64 + 1), behind);
        }
        assert!(taken.get(id(first)).is_some(), "state does not have it");
    }
}
