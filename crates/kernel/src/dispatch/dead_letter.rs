//! Which subjects are parked at this lane, and how far each one's redrive is.
//!
//! ```text
//!   parked --redrive--> wanted --a place is free--> reading --> redriving --all acknowledged--> not parked
//!     ^                                                |            |
//!     +------- an event fails again -------------------+------------+
//! ```
//!
//! The dead letters themselves are in the store. New events of a parked subject join them, so a sequence
//! has no holes; a redrive that ends before the last of them reads again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use writ_model::id::{Offset, SubjectId};

use super::{Item, void};

/// At most so many subjects are parked at one lane: 40 bytes each, and an operator who has more should act.
pub const PARKED_SUBJECTS_MAX: usize = 65_536;

/// At most so many sequences are redriven at once; the others wait.
pub const REDRIVES_MAX: usize = 16;

/// At most so many events of one sequence are taken into the lane at once.
pub const REDRIVE_ITEMS_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Parked,
    Wanted,
    Reading,
    Redriving,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sequence {
    last: Offset,
    stage: Stage,
    actor: String,
    discard: Option<String>,
    /// An event joined since the round under way was asked for; without order it may stand anywhere.
    has_joined: bool,
    /// Some of its dead letters were parked alone.
    is_scattered: bool,
    /// The last event of this run that may make dead letters void, and whether a round has begun since.
    voider: Option<(Item, bool)>,
}

/// What is to be done after a redriven round.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the rest of the sequence.
    Read,
    /// Nothing is left: the subject is not parked any more.
    Free,
}

/// The parked subjects of one lane.
#[derive(Debug, Clone, Default)]
pub struct Parked {
    subjects: BTreeMap<SubjectId, Sequence>,
    wanted: VecDeque<SubjectId>,
    active: usize,
}

impl Parked {
    /// From what the journal holds: each parked subject with its last dead letter.
    pub fn new(subjects: Vec<(SubjectId, Offset)>, scattered: &BTreeSet<SubjectId>) -> Self {
        let mut parked = Self::default();
        for (subject, last) in subjects {
            parked.park(subject, last);
            parked.subjects.entry(subject).and_modify(|one| one.is_scattered = scattered.contains(&subject));
        }
        parked
    }

    /// How many subjects are parked.
    pub fn count(&self) -> usize {
        self.subjects.len()
    }

    /// Whether another subject may be parked.
    pub fn has_room(&self) -> bool {
        self.subjects.len() < PARKED_SUBJECTS_MAX
    }

    /// The subject's last dead letter, when it is parked.
    pub fn last(&self, subject: SubjectId) -> Option<Offset> {
        self.subjects.get(&subject).map(|sequence| sequence.last)
    }

    /// Whether events may be open between the subject's dead letters.
    pub fn is_scattered(&self, subject: SubjectId) -> bool {
        self.subjects.get(&subject).is_some_and(|sequence| sequence.is_scattered)
    }

    /// Whether an event joined the sequence since its round was asked for.
    pub fn has_joined(&self, subject: SubjectId) -> bool {
        self.subjects.get(&subject).is_some_and(|sequence| sequence.has_joined)
    }

    /// Who redrives the subject.
    pub fn actor(&self, subject: SubjectId) -> String {
        self.subjects.get(&subject).map_or_else(String::new, |sequence| sequence.actor.clone())
    }

    /// An event of the subject joined the dead letters.
    pub fn park(&mut self, subject: SubjectId, offset: Offset) {
        let fresh = || Sequence {
            last: offset,
            stage: Stage::Parked,
            actor: String::new(),
            discard: None,
            has_joined: false,
            is_scattered: false,
            voider: None,
        };
        let sequence = self.subjects.entry(subject).or_insert_with(fresh);
        sequence.last = sequence.last.max(offset);
        sequence.has_joined = true;
    }

    /// An operator wants the subject redriven. Asking again while it is under way changes nothing.
    pub fn want(&mut self, subject: SubjectId, actor: String) {
        let Some(sequence) = self.subjects.get_mut(&subject) else { return };
        if sequence.stage == Stage::Parked {
            sequence.stage = Stage::Wanted;
            sequence.actor = actor;
            self.wanted.push_back(subject);
        }
    }

    /// An event that makes others void has come for a parked subject: the sequence is redriven without those, so
    /// that it does not wait for an operator behind what nobody should be sent.
    pub fn passed_by(&mut self, voider: &Item) {
        let Some(sequence) = self.subjects.get_mut(&voider.subject_id) else { return };
        sequence.voider = Some((voider.clone(), false));
        self.want(voider.subject_id, void::ACTOR.to_owned());
    }

    /// By which event one of the sequence is made void.
    pub fn voided_by(&self, item: &Item) -> Option<Offset> {
        let (voider, _) = self.subjects.get(&item.subject_id)?.voider.as_ref()?;
        void::voids(voider, item).then_some(voider.offset)
    }

    /// The next subject whose sequence is to be read, if there is a place.
    pub fn start_next(&mut self) -> Option<SubjectId> {
        if self.active >= REDRIVES_MAX {
            return None;
        }
        while let Some(subject) = self.wanted.pop_front() {
            let Some(sequence) = self.subjects.get_mut(&subject) else { continue };
            if sequence.stage == Stage::Wanted {
                sequence.stage = Stage::Reading;
                sequence.has_joined = false;
                sequence.voider.iter_mut().for_each(|(_, is_tried)| *is_tried = true);
                self.active += 1;
                return Some(subject);
            }
        }
        None
    }

    /// The sequence was read; false when nobody waits for it.
    pub fn read(&mut self, subject: SubjectId) -> bool {
        let Some(sequence) = self.subjects.get_mut(&subject) else { return false };
        let waits = sequence.stage == Stage::Reading;
        if waits {
            sequence.stage = Stage::Redriving;
        }
        waits
    }

    /// Every event of the round, up to `through`, was acknowledged. Changes nothing when the round has failed
    /// already: one answer may hold both.
    pub fn round_done(&mut self, subject: SubjectId, through: Offset) -> Next {
        let Some(sequence) = self.subjects.get_mut(&subject) else { return Next::Free };
        if sequence.stage != Stage::Redriving {
            return Next::Free;
        }
        if sequence.last > through || sequence.has_joined {
            sequence.stage = Stage::Reading;
            sequence.has_joined = false;
            return Next::Read;
        }
        self.free(subject);
        Next::Free
    }

    /// An event of the round failed for good: the subject stays parked.
    pub fn round_failed(&mut self, subject: SubjectId) {
        let Some(sequence) = self.subjects.get_mut(&subject) else { return };
        if matches!(sequence.stage, Stage::Reading | Stage::Redriving) {
            self.active -= 1;
        }
        sequence.stage = Stage::Parked;
        if matches!(sequence.voider, Some((_, false))) {
            self.want(subject, void::ACTOR.to_owned());
        }
    }

    /// Asks for the sequence to be discarded when the attempt under way has ended.
    pub fn discard_later(&mut self, subject: SubjectId, actor: String) {
        if let Some(sequence) = self.subjects.get_mut(&subject) {
            sequence.discard = Some(actor);
        }
    }

    /// Who asked for that.
    pub fn take_discard(&mut self, subject: SubjectId) -> Option<String> {
        self.subjects.get_mut(&subject)?.discard.take()
    }

    /// The subject is not parked any more; gives its last dead letter.
    pub fn free(&mut self, subject: SubjectId) -> Option<Offset> {
        let sequence = self.subjects.remove(&subject)?;
        if matches!(sequence.stage, Stage::Reading | Stage::Redriving) {
            self.active -= 1;
        }
        Some(sequence.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(n: u8) -> SubjectId {
        SubjectId([n; 16])
    }

    #[test]
    fn a_redrive_that_is_asked_for_twice_runs_once() {
        let mut parked = Parked::new(vec![(subject(1), Offset(9))], &BTreeSet::new());
        parked.want(subject(1), "ada".into());
        parked.want(subject(1), "bob".into());
        assert_eq!(parked.start_next(), Some(subject(1)));
        assert_eq!(parked.start_next(), None);
        assert!(parked.read(subject(1)));
        assert!(!parked.read(subject(1)));
    }

    #[test]
    fn only_so_many_sequences_are_redriven_at_once() {
        let all = (0..40).map(|n| (subject(n), Offset(1))).collect();
        let mut parked = Parked::new(all, &BTreeSet::new());
        (0..40).for_each(|n| parked.want(subject(n), "ada".into()));
        let started = std::iter::from_fn(|| parked.start_next()).count();
        assert_eq!(started, REDRIVES_MAX);
        parked.round_failed(subject(0));
        assert_eq!(parked.start_next(), Some(subject(16)));
    }

    #[test]
    fn a_round_that_failed_is_not_done_by_what_was_acknowledged_before_the_failure() {
        let mut parked = Parked::new(vec![(subject(1), Offset(9))], &BTreeSet::new());
        for _ in 0..2 {
            parked.want(subject(1), "ada".into());
            assert_eq!(parked.start_next(), Some(subject(1)));
            parked.read(subject(1));
            parked.round_failed(subject(1));
            assert_eq!(parked.round_done(subject(1), Offset(3)), Next::Free);
        }
        assert_eq!(parked.count(), 1);
    }

    #[test]
    fn an_event_that_joins_during_a_round_makes_another_round() {
        let mut parked = Parked::new(vec![(subject(1), Offset(9))], &BTreeSet::new());
        parked.want(subject(1), "ada".into());
        parked.start_next();
        parked.read(subject(1));
        parked.park(subject(1), Offset(12));
        assert_eq!(parked.round_done(subject(1), Offset(9)), Next::Read);
        assert!(parked.read(subject(1)));
        assert_eq!(parked.round_done(subject(1), Offset(12)), Next::Free);
        assert_eq!(parked.count(), 0);
    }
}
