//! At most once: the cursor is durable behind an event before its only attempt.
//!
//! An attempt is *spent* when it is staged: the journal says `attempted` of its events and the cursor passes them.
//! Only when that is durable is it sent. A crash in between loses the events, and the journal says which.

use writ_model::control::{ControlFact, SettledBatch};
use writ_model::delivery::{Acknowledgement, Answer, AttemptId, Branch, Outcome, SettledAs, Verdict};
use writ_model::id::{AnswerDigest, Offset};

use super::lane::Lane;
use super::line::Line;
use super::parent::Turn;
use super::send::{Flight, Stage};
use super::{Effect, Note, classify};

impl Lane {
    /// Whether the picked events are of those that are sent at most once; a batch holds one kind.
    pub(super) fn are_once(&mut self, members: &[(Line, usize)]) -> bool {
        let first = members.first().and_then(|(line, _)| self.backlog.front_mut(*line, 1).next());
        first.is_some_and(|queued| queued.is_once)
    }

    /// The picked events without those whose time is over; these are settled, and never sent.
    pub(super) fn without_expired(
        &mut self,
        turn: &mut Turn<'_>,
        picked: Vec<(Line, usize)>,
    ) -> Vec<(Line, usize)> {
        let Some(expires_after) = self.config.expires_after else { return picked };
        let mut left = Vec::with_capacity(picked.len());
        for (line, mut count) in picked {
            let mut through = None;
            while count > 0 {
                let first = self.backlog.front_mut(line, 1).next();
                let is_over = |at: writ_model::time::Timestamp| at.after(expires_after) < turn.now.wall;
                if !first.is_some_and(|queued| queued.is_once && is_over(queued.item.recorded_at)) {
                    break;
                }
                through = self.finish(turn, line, SettledAs::Withheld, None).or(through);
                count -= 1;
            }
            if count > 0 {
                left.push((line, count));
            } else {
                self.land(turn, line, None);
                self.after_landing(turn, line, through);
            }
        }
        left
    }

    /// Journals that these events are attempted, before they are: the cursor passes them in the same commit.
    pub(super) fn spend(&mut self, turn: &mut Turn<'_>, members: &[(Line, usize)]) {
        let mut items = Vec::new();
        let mut redriven = Vec::new();
        for (line, count) in members {
            for queued in self.backlog.front_mut(*line, *count) {
                let (at, attempts) = (turn.now.wall, queued.attempts);
                let how =
                    Acknowledgement { settled: SettledAs::Attempted, at, attempts, answer_sha256: None };
                items.push((queued.item.offset, how));
                if queued.is_redriven {
                    redriven.push((queued.item.subject_id, queued.item.offset));
                }
            }
        }
        items.sort_by_key(|(offset, _)| *offset);
        for (offset, _) in &items {
            self.position.settle(*offset);
        }
        let subscriber = self.config.subscriber.clone();
        turn.journal(ControlFact::Settled(SettledBatch { subscriber, items }));
        for (subject, offset) in redriven {
            self.leave_dead_letters(turn, subject, offset);
        }
        self.tell(turn);
    }

    /// What an attempt waits for is durable: the cursor behind its events, and now it is sent; or its decision, and
    /// now the receiver commits. Not knowing of it changes nothing.
    pub(super) fn durable(&mut self, turn: &mut Turn<'_>, id: AttemptId) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        match std::mem::replace(&mut flight.stage, Stage::Sent) {
            Stage::Staged(attempt, spent) => {
                turn.rate.release(spent);
                turn.rate.spend(turn.now.moment, spent);
                turn.effects.push(Effect::Send(attempt));
            }
            Stage::Deciding(answer) => {
                flight.stage = Stage::Committing(answer);
                let branch = Branch { epoch: self.given.epoch, attempt: id };
                turn.effects.push(Effect::Resolve(self.given.id, branch, Verdict::Commit));
            }
            other @ (Stage::Sent | Stage::Probing | Stage::Preparing | Stage::Committing(_)) => {
                flight.stage = other
            }
        }
    }

    pub(super) fn awaits_commit(&self) -> bool {
        self.flights.values().any(|flight| match flight.stage {
            Stage::Staged(..) | Stage::Deciding(_) => true,
            Stage::Sent | Stage::Probing | Stage::Preparing | Stage::Committing(_) => false,
        })
    }

    /// The only attempt has ended, however it did. What never left, because nobody took it, has had none yet and
    /// is staged again: spent it is, so a crash meanwhile loses it.
    pub(super) fn answered_once(
        &mut self,
        turn: &mut Turn<'_>,
        flight: &Flight,
        answer: &Answer,
        outcomes: &[Outcome],
    ) {
        self.note_acknowledged(turn, outcomes);
        let mut first = 0;
        for (line, count) in &flight.members {
            let mut through = None;
            let part = &outcomes[first..first + count];
            let taken = part.iter().rposition(|outcome| *outcome != Outcome::NotTaken);
            let taken = taken.map_or(0, |last| last + 1);
            for (index, outcome) in part[..taken].iter().enumerate() {
                let settled = self.settled_once(turn, *line, outcome);
                let hash = classify::answer_sha256(answer, first + index);
                through = self.finish(turn, *line, settled, hash).or(through);
            }
            first += count;
            self.forget_attempt(*line, count - taken, turn.now.moment.since(flight.sent_at));
            self.land(turn, *line, None);
            self.after_landing(turn, *line, through);
        }
        self.stop_if_gone(turn, outcomes);
    }

    fn settled_once(&mut self, turn: &mut Turn<'_>, line: Line, outcome: &Outcome) -> SettledAs {
        let cause = match outcome {
            Outcome::Acknowledged => return SettledAs::Acknowledged,
            Outcome::Retry { cause } | Outcome::Throttled { cause, .. } | Outcome::Rejected { cause } => {
                cause.clone()
            }
            Outcome::NotTaken => "not_taken".to_owned(),
            Outcome::SubscriberGone => "gone".to_owned(),
        };
        let first = self.backlog.front_mut(line, 1).next().map(|queued| queued.item.offset);
        if let Some(offset) = first {
            self.note(turn, Note::Unconfirmed { offset, cause });
        }
        SettledAs::Attempted
    }

    /// Takes the line's first event out for good. Gives its offset when it came from the dead letters.
    fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        line: Line,
        settled: SettledAs,
        hash: Option<AnswerDigest>,
    ) -> Option<Offset> {
        let queued = self.backlog.pop(line)?;
        let (offset, is_expired) = (queued.item.offset, settled == SettledAs::Withheld);
        if queued.is_redriven && is_expired {
            self.leave_dead_letters(turn, queued.item.subject_id, offset);
        }
        self.settle(turn, offset, settled, queued.attempts, hash);
        Some(offset)
    }
}
