//! What an erasure or a suppression makes void: the queued events of its subject that nobody should be sent any
//! more. They are not sent; those in flight are waited for, since nobody can take their outcome back, and are not
//! tried again. An erasure does not wait behind dead letters of its subject that it makes void either. ADR 0036.

use writ_model::control::{ControlFact, Voided};
use writ_model::delivery::SettledAs;
use writ_model::id::Offset;
use writ_model::taxonomy::{ChangeType, Operation};
use writ_model::time::Moment;

use super::backlog::Queued;
use super::lane::Lane;
use super::line::Line;
use super::parent::Turn;
use super::{Item, Note};

/// The name under which the journal records what nobody asked for.
pub(super) const ACTOR: &str = "writ";

/// Whether an event may make others void: an erasure that is asked for, a suppression that begins. What ends one
/// (a delete) does not, and neither does an update of a suppression, which may lift it.
pub(super) fn is_voider(item: &Item) -> bool {
    match (item.change_type, item.operation) {
        (ChangeType::Erasure, Operation::Insert | Operation::Update)
        | (ChangeType::Suppression, Operation::Insert) => true,
        (_, _) => false,
    }
}

/// Whether `later` makes `earlier` void; both are of one subject, in log order.
///
/// An erasure voids what would write the person's data: not what removes it, not a new key, under which the
/// subscriber is about to be asked to erase, and not what states the person's will. A suppression voids joining an
/// audience, and not leaving one.
pub fn voids(later: &Item, earlier: &Item) -> bool {
    use ChangeType::{
        Account, Address, Cohort, Email, Household, PaymentMethod, Phone, Preference, Segment, Subscription,
        Tier,
    };
    let is_before = earlier.offset < later.offset && earlier.generation <= later.generation;
    if !is_before || !is_voider(later) || earlier.subject_id != later.subject_id {
        return false;
    }
    let writes = match earlier.operation {
        Operation::Insert | Operation::Update | Operation::Restore | Operation::Reparent => true,
        Operation::Delete | Operation::SoftDelete | Operation::Rekey => false,
    };
    let joins = matches!(earlier.operation, Operation::Insert | Operation::Restore);
    match (later.change_type, earlier.change_type) {
        (
            ChangeType::Erasure,
            Email | Phone | Address | Preference | Subscription | Tier | Segment | Cohort | Household
            | Account | PaymentMethod,
        ) => writes,
        (ChangeType::Suppression, Segment | Cohort) => joins,
        (_, _) => false,
    }
}

impl Lane {
    /// A new event stands in its line: what it makes void leaves the queue.
    pub(super) fn make_void(&mut self, turn: &mut Turn<'_>, line: Line, item: &Item) {
        if self.replay.is_some() || !is_voider(item) {
            return;
        }
        if matches!(line, Line::Event(_)) {
            return self.make_void_anywhere(turn, line, item);
        }
        let voided = self.backlog.take_void(line, self.backlog.in_flight(line));
        self.settle_void(turn, voided);
    }

    /// Without order the subject's events have a line each, and the new one must not pass those in flight.
    fn make_void_anywhere(&mut self, turn: &mut Turn<'_>, line: Line, item: &Item) {
        let lines = self.backlog.lines_of(item);
        let (flying, resting): (Vec<Line>, Vec<Line>) =
            lines.into_iter().partition(|line| self.backlog.is_flying(*line));
        let voided = resting.into_iter().flat_map(|line| self.backlog.take(line));
        let voided: Vec<(Queued, Offset)> = voided.map(|queued| (queued, item.offset)).collect();
        self.settle_void(turn, voided);
        if !flying.is_empty() {
            self.backlog.hold(line);
            self.held.push((line, item.clone()));
        }
    }

    /// An attempt ended without success: whether its line's first event is not to be tried again, being void, or
    /// being in a part of the log that is about to go.
    pub(super) fn is_void(&mut self, line: Line) -> bool {
        let Some(first) = self.backlog.front_mut(line, 1).next() else { return false };
        if first.is_redriven {
            return false;
        }
        let first = first.item.clone();
        first.offset < self.floor
            || self.held.iter().any(|(_, voider)| voids(voider, &first))
            || self.backlog.has_voider(line, &first)
    }

    /// The attempt with this line has ended: what is left of it, and is not void, goes on at once, or not before
    /// `until`; and so do lines that waited for it.
    pub(super) fn land(&mut self, turn: &mut Turn<'_>, line: Line, until: Option<Moment>) {
        self.drop_void(turn, line);
        self.backlog.land(line, until);
        self.release_held();
    }

    fn drop_void(&mut self, turn: &mut Turn<'_>, line: Line) {
        let mut voided = self.backlog.take_void(line, 0);
        let first = self.backlog.front_mut(line, 1).next().filter(|_| matches!(line, Line::Event(_)));
        let by = first.and_then(|first| self.held.iter().find(|(_, voider)| voids(voider, &first.item)));
        if let Some(by) = by.map(|(_, voider)| voider.offset) {
            voided.extend(self.backlog.take(line).into_iter().map(|queued| (queued, by)));
        }
        self.settle_void(turn, voided);
        let front =
            self.backlog.front_mut(line, 1).next().map(|first| (first.item.offset, first.is_redriven));
        if let Some((offset, false)) = front
            && offset < self.floor
        {
            for queued in self.backlog.take_line_below(line, self.floor) {
                self.settle(turn, queued.item.offset, SettledAs::Pending, queued.attempts, None);
            }
        }
    }

    /// Lets held events go whose subject has nothing in flight any more.
    fn release_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        for (line, item) in held {
            let is_free = !self.backlog.lines_of(&item).into_iter().any(|line| self.backlog.is_flying(line));
            if is_free {
                self.backlog.land(line, None);
            } else {
                self.held.push((line, item));
            }
        }
    }

    /// What was never attempted is withheld; of what was, nobody knows whether it arrived.
    fn settle_void(&mut self, turn: &mut Turn<'_>, voided: Vec<(Queued, Offset)>) {
        for (queued, by) in voided {
            let offset = queued.item.offset;
            let was_tried = queued.attempts > 0 || self.may_have_been_attempted(offset);
            let settled = if was_tried { SettledAs::Attempted } else { SettledAs::Withheld };
            self.journal_void(turn, offset, by);
            self.settle(turn, offset, settled, queued.attempts, None);
        }
    }

    pub(super) fn journal_void(&self, turn: &mut Turn<'_>, offset: Offset, by: Offset) {
        self.note(turn, Note::Voided { offset, by });
        let (subscriber, at) = (self.config.subscriber.clone(), turn.now.wall);
        turn.journal(ControlFact::Voided(Voided { subscriber, offset, by, at }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{item, subject};
    use super::*;

    fn event(offset: u64, change_type: ChangeType, operation: Operation) -> Item {
        Item { change_type, operation, ..item(offset, 1) }
    }

    #[test]
    fn an_erasure_voids_what_writes_the_person_s_data_and_nothing_that_removes_or_renames_it() {
        let erasure = event(9, ChangeType::Erasure, Operation::Insert);
        for (operation, expected) in [
            (Operation::Insert, true),
            (Operation::Update, true),
            (Operation::Restore, true),
            (Operation::Reparent, true),
            (Operation::Delete, false),
            (Operation::SoftDelete, false),
            (Operation::Rekey, false),
        ] {
            assert_eq!(voids(&erasure, &event(3, ChangeType::Email, operation)), expected, "{operation}");
        }
    }

    #[test]
    fn nothing_voids_what_states_the_person_s_will() {
        use ChangeType::{Consent, Erasure, IdentityMerge, IdentitySplit, Rectification, Suppression};
        for voider in [Erasure, Suppression] {
            let voider = event(9, voider, Operation::Insert);
            for kept in [Consent, Suppression, Erasure, Rectification, IdentityMerge, IdentitySplit] {
                assert!(!voids(&voider, &event(3, kept, Operation::Insert)), "{kept}");
            }
        }
    }

    #[test]
    fn a_suppression_voids_joining_an_audience_and_not_leaving_it() {
        let suppression = event(9, ChangeType::Suppression, Operation::Insert);
        assert!(voids(&suppression, &event(3, ChangeType::Cohort, Operation::Insert)));
        assert!(!voids(&suppression, &event(3, ChangeType::Cohort, Operation::Delete)));
        assert!(!voids(&suppression, &event(3, ChangeType::Email, Operation::Insert)));
        let lifted = event(9, ChangeType::Suppression, Operation::Update);
        assert!(!voids(&lifted, &event(3, ChangeType::Cohort, Operation::Insert)));
    }

    #[test]
    fn later_events_other_subjects_and_later_lives_are_not_void() {
        let erasure = event(9, ChangeType::Erasure, Operation::Insert);
        assert!(!voids(&erasure, &event(10, ChangeType::Email, Operation::Update)));
        let other = Item { subject_id: subject(2), ..event(3, ChangeType::Email, Operation::Update) };
        assert!(!voids(&erasure, &other));
        let reborn = Item {
            generation: writ_model::id::Generation(2),
            ..event(3, ChangeType::Email, Operation::Update)
        };
        assert!(!voids(&erasure, &reborn));
    }
}
