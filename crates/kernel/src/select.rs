//! Is this event selected? A [`Selection`] made ready to be held against the events of the log. Reads the clear
//! header only, like routing: what is not selected is never decrypted.

use std::collections::BTreeSet;

use writ_model::envelope::ClearHeader;
use writ_model::id::{Sequence, SubjectId};
use writ_model::replay::Selection;
use writ_model::taxonomy::{ChangeType, PriorityClass};

use crate::route::{Filter, FilterError};

/// Subjects in one selection at most: the index is asked for each of them at every read.
pub const SUBJECTS_MAX: usize = 256;

/// Why a selection cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A filter does not compile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Too many subjects.
    #[error(
        "{0} subjects are selected, at most {SUBJECTS_MAX}; select by change type or time, or order several"
    )]
    Subjects(usize),
    /// Numbers count within a slot.
    #[error("a range of sequences needs a slot or subjects: sequences are numbers within a slot")]
    Sequence,
}

/// A selection, compiled.
#[derive(Debug, Clone)]
pub struct Selected {
    given: Selection,
    subjects: BTreeSet<SubjectId>,
    change_types: BTreeSet<ChangeType>,
    filter: Filter,
}

impl Selected {
    /// Compiles a selection, or says what is wrong with it.
    pub fn compile(given: &Selection) -> Result<Self, SelectError> {
        let has_sequence = given.from_sequence.is_some() || given.to_sequence.is_some();
        if has_sequence && given.slot.is_none() && given.subjects.is_empty() {
            return Err(SelectError::Sequence);
        }
        if given.subjects.len() > SUBJECTS_MAX {
            return Err(SelectError::Subjects(given.subjects.len()));
        }
        Ok(Self {
            subjects: given.subjects.iter().copied().collect(),
            change_types: given.change_types.iter().copied().collect(),
            filter: Filter::compile(&given.filters)?,
            given: given.clone(),
        })
    }

    /// The subjects, when it selects by subject: their events are found by the index.
    pub fn subjects(&self) -> Option<&BTreeSet<SubjectId>> {
        (!self.subjects.is_empty()).then_some(&self.subjects)
    }

    /// Whether an event is selected.
    pub fn matches(&self, header: &ClearHeader, class: PriorityClass, sequence: Sequence) -> bool {
        let Selection { from_time, to_time, slot, from_sequence, to_sequence, .. } = &self.given;
        (self.subjects.is_empty() || self.subjects.contains(&header.subject_id))
            && (self.change_types.is_empty() || self.change_types.contains(&header.change_type))
            && from_time.is_none_or(|from| from <= header.recorded_at)
            && to_time.is_none_or(|to| header.recorded_at < to)
            && slot.is_none_or(|slot| slot == header.slot)
            && from_sequence.is_none_or(|from| from <= sequence)
            && to_sequence.is_none_or(|to| sequence < to)
            && self.filter.matches(header, class)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use writ_model::id::Slot;
    use writ_model::time::Timestamp;

    use super::*;
    use crate::gate::fixtures::envelope;

    /// The event is an e-mail change of subject 01…, slot 1, recorded at 1, with the number 5 in its slot.
    #[track_caller]
    fn check(selection: &Selection, expected: bool) {
        let selected = Selected::compile(selection).expect("the selection compiles");
        let header = envelope().header;
        let matches = selected.matches(&header, PriorityClass::Standard, Sequence(5));
        assert_eq!(matches, expected, "{selection:?}");
    }

    #[test]
    fn what_is_not_set_does_not_restrict_and_what_is_set_must_all_hold() {
        check(&Selection::default(), true);
        let both = |change_type| Selection {
            subjects: vec![SubjectId([1; 16])],
            change_types: vec![change_type],
            ..Selection::default()
        };
        check(&both(ChangeType::Email), true);
        check(&both(ChangeType::Phone), false);
        check(&Selection { subjects: vec![SubjectId([2; 16])], ..Selection::default() }, false);
    }

    #[test]
    fn ranges_hold_their_first_and_not_their_last() {
        let times = |from, to| Selection {
            from_time: Some(Timestamp(from)),
            to_time: Some(Timestamp(to)),
            ..Selection::default()
        };
        check(&times(1, 2), true);
        check(&times(0, 1), false);
        check(&times(2, 3), false);
        let numbers = |slot, from, to| Selection {
            slot: Some(Slot::new(slot)),
            from_sequence: Some(Sequence(from)),
            to_sequence: Some(Sequence(to)),
            ..Selection::default()
        };
        check(&numbers(1, 5, 6), true);
        check(&numbers(1, 1, 5), false);
        check(&numbers(1, 6, 9), false);
        check(&numbers(2, 5, 6), false);
    }

    #[test]
    fn a_filter_is_one_of_the_conditions() {
        let with = |operation| Selection {
            filters: vec![json!({"exact": {"operation": operation}})],
            ..Selection::default()
        };
        check(&with("update"), true);
        check(&with("delete"), false);
    }

    #[test]
    fn selections_that_mean_nothing_are_refused() {
        let sequence = Selection { from_sequence: Some(Sequence(1)), ..Selection::default() };
        assert_eq!(Selected::compile(&sequence).err(), Some(SelectError::Sequence));
        let subjects = vec![SubjectId([1; 16]); SUBJECTS_MAX + 1];
        let many = Selection { subjects, ..Selection::default() };
        assert_eq!(Selected::compile(&many).err(), Some(SelectError::Subjects(SUBJECTS_MAX + 1)));
        let filter = Selection { filters: vec![json!({"sql": "1"})], ..Selection::default() };
        assert!(matches!(Selected::compile(&filter), Err(SelectError::Filter(_))));
    }
}
