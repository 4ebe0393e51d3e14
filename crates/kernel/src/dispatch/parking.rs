//! How events enter and leave the dead letters of a lane. The sequence of one subject is entered and left
//! in offset order, and the live cursor never looks at it. A lane without order parks events alone.

use writ_model::control::{ControlFact, DeadLetter, DeadLetterClosed};
use writ_model::delivery::SettledAs;
use writ_model::id::{Offset, SubjectId};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Moment;

use super::backlog::Queued;
use super::dead_letter::{Next, REDRIVE_ITEMS_MAX};
use super::lane::Lane;
use super::line::Line;
use super::parent::Turn;
use super::{Effect, GivenUp, Item, Note, void};
use crate::gate::permit::PermitVerdict;

/// The cause of an event that is only there because an earlier one of its subject is.
const BEHIND: &str = "behind";

/// A dead letter that should not wait for an operator: an erasure or a suppression behind another event of its
/// subject, which it may make void.
pub fn is_stuck(letter: &DeadLetter) -> bool {
    let is_urgent = matches!(letter.change_type, ChangeType::Erasure | ChangeType::Suppression);
    is_urgent && letter.cause == BEHIND
}

/// Which part of a sequence leaves the dead letters.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// `None`: from its beginning.
    from: Option<Offset>,
    through: Offset,
}

impl Left {
    fn through(through: Offset) -> Self {
        Self { from: None, through }
    }
}

/// By which of these an event is made void.
fn voided_by(item: &Item, voiders: &[Item]) -> Option<Offset> {
    voiders.iter().find(|voider| void::voids(voider, item)).map(|voider| voider.offset)
}

impl Lane {
    /// The line's first event will not be delivered. Gives a moment to try again only when there is no room
    /// to park it.
    pub(super) fn give_up(
        &mut self,
        turn: &mut Turn<'_>,
        line: Line,
        why: GivenUp,
        cause: &str,
    ) -> Option<Moment> {
        let first = self.backlog.front_mut(line, 1).next()?;
        let (offset, is_redriven) = (first.item.offset, first.is_redriven);
        let subject = first.item.subject_id;
        if self.replay.is_some() {
            self.pass_over(turn, line);
        } else if is_redriven {
            self.stay_parked(turn, subject, cause);
        } else if self.parked.has_room() {
            self.park(turn, line, subject, cause);
        } else {
            self.note(turn, Note::DeadLettersFull);
            return Some(turn.now.moment.after(self.config.retry.cap));
        }
        self.note(turn, Note::DeadLettered { offset, cause: cause.to_owned(), why });
        None
    }

    /// Earlier acknowledgements of the subject are told first: after a crash its dead letters must not be
    /// taken for everything that it had.
    fn park(&mut self, turn: &mut Turn<'_>, line: Line, subject: SubjectId, cause: &str) {
        if !self.ledger.is_empty() {
            self.tell(turn);
        }
        let mut cause = cause;
        for queued in self.backlog.take_subject(line, subject) {
            self.enter(turn, &queued, cause);
            let offset = queued.item.offset;
            self.settle(turn, offset, SettledAs::DeadLettered, queued.attempts, None);
            cause = BEHIND;
        }
        if !self.config.order.parks_later() {
            // In one commit with the dead letter: nothing else keeps a restart from sending the event again.
            self.tell(turn);
        }
    }

    fn enter(&mut self, turn: &mut Turn<'_>, queued: &Queued, cause: &str) {
        let item = &queued.item;
        self.parked.park(item.subject_id, item.offset);
        turn.journal(ControlFact::DeadLettered(DeadLetter {
            subscriber: self.config.subscriber.clone(),
            offset: item.offset,
            event_id: item.event_id,
            delivery_id: queued.delivery_id,
            subject_id: item.subject_id,
            change_type: item.change_type,
            class: item.class,
            cause: cause.to_owned(),
            attempts: queued.attempts,
            at: turn.now.wall,
            alone: !self.config.order.parks_later() || self.parked.is_scattered(item.subject_id),
        }));
    }

    /// A new event of a parked subject. One at or before its last dead letter was journaled by an earlier
    /// run whose cursor was not, or was acknowledged before it; unless the dead letters were parked alone.
    pub(super) fn join_dead_letters(&mut self, turn: &mut Turn<'_>, queued: &Queued, last: Offset) {
        let offset = queued.item.offset;
        if offset > last || self.parked.is_scattered(queued.item.subject_id) {
            self.enter(turn, queued, BEHIND);
        }
        self.settle(turn, offset, SettledAs::DeadLettered, 0, None);
    }

    fn pass_over(&mut self, turn: &mut Turn<'_>, line: Line) {
        if let Some(queued) = self.backlog.pop(line) {
            self.settle(turn, queued.item.offset, SettledAs::DeadLettered, queued.attempts, None);
        }
    }

    /// A redriven event failed again: the rest of its round waits in the store, as before.
    fn stay_parked(&mut self, turn: &mut Turn<'_>, subject: SubjectId, cause: &str) {
        if let Some(first) = self.backlog.take(Line::Subject(subject)).first() {
            self.enter(turn, first, cause);
        }
        self.parked.round_failed(subject);
    }

    pub(super) fn redrive(&mut self, subject: SubjectId, actor: String) {
        if self.replay.is_none() {
            self.parked.want(subject, actor);
        }
    }

    pub(super) fn start_redrives(&mut self, turn: &mut Turn<'_>) {
        while let Some(subject) = self.parked.start_next() {
            turn.effects.push(Effect::ReadDeadLetters(self.given.id, subject));
        }
    }

    pub(super) fn dead_letters_read(&mut self, turn: &mut Turn<'_>, subject: SubjectId, items: Vec<Item>) {
        if !self.parked.read(subject) {
            return;
        }
        let mut through = self.parked.last(subject).filter(|_| items.is_empty());
        let voiders: Vec<Item> = items.iter().filter(|item| void::is_voider(item)).cloned().collect();
        for item in items.into_iter().take(REDRIVE_ITEMS_MAX) {
            through = Some(item.offset);
            if let Some(by) = self.parked.voided_by(&item).or_else(|| voided_by(&item, &voiders)) {
                let left = Left { from: Some(item.offset), through: item.offset };
                self.close_dead_letters(turn, subject, left, "void", Some(void::ACTOR.to_owned()));
                self.journal_void(turn, item.offset, by);
                continue;
            }
            // One that policy has come to deny leaves with the next that is delivered.
            if matches!(item.permit, PermitVerdict::Granted(_)) {
                self.backlog.push(Line::Subject(subject), self.queued(item, true));
            }
        }
        if let Some(through) = through.filter(|_| !self.backlog.has_events(Line::Subject(subject))) {
            // What joined after this answer was read is not in it.
            if !self.parked.has_joined(subject) {
                self.close_dead_letters(turn, subject, Left::through(through), "redriven", None);
            }
            self.end_round(turn, subject, through);
        }
    }

    /// A redriven event was delivered. In a lane with order what stood before it was, or is denied; without
    /// order an earlier event of the subject may have been parked meanwhile.
    pub(super) fn leave_dead_letters(&mut self, turn: &mut Turn<'_>, subject: SubjectId, offset: Offset) {
        let from = (!self.config.order.parks_later()).then_some(offset);
        let left = Left { from, through: offset };
        self.close_dead_letters(turn, subject, left, "redriven", None);
    }

    pub(super) fn discard(&mut self, turn: &mut Turn<'_>, subject: SubjectId, actor: String) {
        if self.backlog.is_flying(Line::Subject(subject)) {
            return self.parked.discard_later(subject, actor);
        }
        let Some(last) = self.parked.last(subject) else { return };
        self.backlog.take(Line::Subject(subject));
        self.close_dead_letters(turn, subject, Left::through(last), "discarded", Some(actor));
        self.parked.free(subject);
        self.note_none_parked(turn);
    }

    fn note_none_parked(&self, turn: &mut Turn<'_>) {
        if self.parked.count() == 0 {
            self.note(turn, Note::NoneParked);
        }
    }

    /// Looks at a line whose attempt ended: a round may be through, a discard may wait.
    pub(super) fn after_landing(&mut self, turn: &mut Turn<'_>, line: Line, through: Option<Offset>) {
        let Line::Subject(subject) = line else { return };
        if self.parked.last(subject).is_none() {
            return;
        }
        if let Some(actor) = self.parked.take_discard(subject) {
            return self.discard(turn, subject, actor);
        }
        if let Some(through) = through.filter(|_| !self.backlog.has_events(line)) {
            self.end_round(turn, subject, through);
        }
    }

    fn end_round(&mut self, turn: &mut Turn<'_>, subject: SubjectId, through: Offset) {
        match self.parked.round_done(subject, through) {
            Next::Read => turn.effects.push(Effect::ReadDeadLetters(self.given.id, subject)),
            Next::Free => self.note_none_parked(turn),
        }
    }

    fn close_dead_letters(
        &mut self,
        turn: &mut Turn<'_>,
        subject: SubjectId,
        left: Left,
        how: &str,
        actor: Option<String>,
    ) {
        let closed = DeadLetterClosed {
            subscriber: self.config.subscriber.clone(),
            subject_id: subject,
            from: left.from,
            through: left.through,
            how: how.to_owned(),
            actor: actor.unwrap_or_else(|| self.parked.actor(subject)),
            at: turn.now.wall,
        };
        turn.journal(ControlFact::DeadLetterClosed(closed));
    }
}
