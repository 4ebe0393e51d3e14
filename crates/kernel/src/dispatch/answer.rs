//! What an answer does to a lane: settle, wait, split a refused batch, give up, stop.

use std::time::Duration;

use writ_model::delivery::{Answer, AttemptId, Outcome, SettledAs};
use writ_model::id::{AnswerDigest, Offset};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Moment;

use super::lane::{Lane, State};
use super::line::Line;
use super::parent::Turn;
use super::send::{Flight, Stage};
use super::{GivenUp, Note, classify};

/// One line's part of an answer.
struct Part<'a> {
    line: Line,
    outcomes: &'a [Outcome],
    answer: &'a Answer,
    first: usize,
    is_charged: bool,
    sent_at: Moment,
}

impl Lane {
    /// An attempt ended. One that is not under way (late, repeated, of an earlier run) changes nothing.
    pub(super) fn answered(&mut self, turn: &mut Turn<'_>, id: AttemptId, answer: &Answer) {
        let is_prepared = match self.flights.get(&id).map(|flight| &flight.stage) {
            // The answer to the prepare has come before.
            None | Some(Stage::Deciding(_) | Stage::Committing(_)) => return,
            Some(Stage::Preparing) => self.decide(turn, id, answer),
            Some(Stage::Probing) => return,
            Some(Stage::Sent | Stage::Staged(..)) => false,
        };
        if is_prepared {
            return;
        }
        let Some(flight) = self.flights.remove(&id) else { return };
        self.flying -= flight.events();
        if let Stage::Staged(_, spent) = &flight.stage {
            turn.rate.release(*spent);
        }
        let types = self.types(&flight.members);
        let judge = classify::Judge { rules: &self.config.answers, wall: turn.now.wall };
        let verdict = judge.verdict(answer, &types);
        let is_charged = self.breaker.charges(flight.pass);
        let outcomes = &verdict.outcomes;
        let health = classify::health(outcomes);
        self.with_breaker(turn, |breaker, now| breaker.record(now, flight.pass, health));
        self.throttle(turn, outcomes);
        if flight.is_once {
            return self.answered_once(turn, &flight, answer, outcomes);
        }
        if verdict.is_whole_rejection() {
            return self.split(turn, &flight);
        }
        self.note_acknowledged(turn, outcomes);
        let mut first = 0;
        for (line, count) in flight.members {
            let part = &outcomes[first..first + count];
            let sent_at = flight.sent_at;
            self.conclude(turn, &Part { line, outcomes: part, answer, first, is_charged, sent_at });
            first += count;
        }
        self.stop_if_gone(turn, outcomes);
    }

    /// What the events of an attempt are about, in the order of sending.
    pub(super) fn types(&mut self, members: &[(Line, usize)]) -> Vec<ChangeType> {
        let mut types = Vec::new();
        for (line, count) in members {
            types.extend(self.backlog.front_mut(*line, *count).map(|queued| queued.item.change_type));
        }
        types
    }

    pub(super) fn stop_if_gone(&mut self, turn: &mut Turn<'_>, outcomes: &[Outcome]) {
        if outcomes.contains(&Outcome::SubscriberGone) && self.state != State::Gone {
            self.note(turn, Note::Gone);
            self.change(turn, State::Gone);
        }
    }

    pub(super) fn note_acknowledged(&self, turn: &mut Turn<'_>, outcomes: &[Outcome]) {
        let count = outcomes.iter().filter(|outcome| **outcome == Outcome::Acknowledged).count();
        if count > 0 {
            self.note(turn, Note::Acknowledged(u32::try_from(count).unwrap_or(u32::MAX)));
        }
    }

    /// Obeys a wait that the subscriber named, up to the operator's bound, and says so.
    fn throttle(&mut self, turn: &mut Turn<'_>, outcomes: &[Outcome]) {
        let Some(asked) = classify::wait(outcomes) else { return };
        let bound = self.config.retry.retry_after_max;
        let jitter = self.jitter.below(self.config.retry.base);
        let until = turn.now.moment.after(asked.min(bound)).after(jitter);
        self.pace.hold(until);
        self.note(turn, Note::Throttled { asked, until, bounded: asked > bound });
    }

    /// A batch was refused as a whole: its events go again in batches of half the size, until the one that
    /// is to blame is alone. Nothing is charged: the others did nothing wrong.
    fn split(&mut self, turn: &mut Turn<'_>, flight: &Flight) {
        let half = flight.events() / 2;
        for (line, _) in &flight.members {
            self.backlog.limit_batches(*line, half);
            self.land(turn, *line, None);
        }
    }

    /// Takes the outcomes of one line's events in order, up to the first that is no success: what was
    /// sent behind that one goes again behind it.
    fn conclude(&mut self, turn: &mut Turn<'_>, part: &Part<'_>) {
        let mut until = None;
        let mut through = None;
        for (index, outcome) in part.outcomes.iter().enumerate() {
            match outcome {
                Outcome::Acknowledged => {
                    let hash = classify::answer_sha256(part.answer, part.first + index);
                    through = self.acknowledge(turn, part.line, hash).or(through);
                }
                Outcome::Retry { .. } | Outcome::Throttled { .. } | Outcome::Rejected { .. }
                    if self.is_void(part.line) =>
                {
                    break;
                }
                Outcome::Retry { cause } | Outcome::Throttled { cause, .. } => {
                    self.suspect_front(part.line, part.answer);
                    let is_waited = matches!(outcome, Outcome::Throttled { wait: Some(_), .. });
                    let is_charged = part.is_charged && !is_waited;
                    match self.retry_at(turn, part.line, cause, is_charged) {
                        Ok(at) => until = at,
                        Err(exhausted) => {
                            until = self.give_up(turn, part.line, GivenUp::Exhausted, &exhausted)
                        }
                    }
                    break;
                }
                Outcome::Rejected { cause } => {
                    until = self.give_up(turn, part.line, GivenUp::Rejected, cause);
                    break;
                }
                Outcome::NotTaken => {
                    let waited = turn.now.moment.since(part.sent_at);
                    self.forget_attempt(part.line, part.outcomes.len() - index, waited);
                    break;
                }
                Outcome::SubscriberGone => break,
            }
        }
        self.land(turn, part.line, until);
        self.after_landing(turn, part.line, through);
    }

    fn acknowledge(&mut self, turn: &mut Turn<'_>, line: Line, hash: Option<AnswerDigest>) -> Option<Offset> {
        let queued = self.backlog.pop(line)?;
        let (offset, subject) = (queued.item.offset, queued.item.subject_id);
        self.settle(turn, offset, SettledAs::Acknowledged, queued.attempts, hash);
        if queued.is_redriven {
            self.leave_dead_letters(turn, subject, offset);
            if !self.backlog.has_events(line) {
                self.note(turn, Note::Caught(queued.delivery_id));
            }
        }
        Some(offset)
    }

    /// The first events of a line never left: neither the attempt nor the time that they waited for somebody to
    /// take them counts.
    pub(super) fn forget_attempt(&mut self, line: Line, count: usize, waited: Duration) {
        for queued in self.backlog.front_mut(line, count) {
            queued.attempts = queued.attempts.saturating_sub(1);
            let first = queued.first_attempt.map(|first| first.after(waited));
            queued.first_attempt = first.filter(|_| queued.attempts > 0);
        }
    }

    /// When the line's first event is tried again, or why it is not.
    fn retry_at(
        &mut self,
        turn: &mut Turn<'_>,
        line: Line,
        cause: &str,
        is_charged: bool,
    ) -> Result<Option<Moment>, String> {
        let now = turn.now.moment;
        let policy = &self.config.retry;
        let Some(queued) = self.backlog.front_mut(line, 1).next() else { return Ok(None) };
        queued.charged += u32::from(is_charged);
        let first = queued.first_attempt.unwrap_or(now);
        if policy.is_exhausted(queued.charged, first, now) {
            let bound = if queued.charged >= policy.attempts_max { "attempts" } else { "age" };
            return Err(format!("{bound}_exhausted/{cause}"));
        }
        let at = now.after(self.jitter.below(policy.ceiling(queued.charged)));
        let at = self.pace.deadline(now).map_or(at, |held| held.max(at));
        let offset = queued.item.offset;
        self.note(turn, Note::Retried { offset, cause: cause.to_owned(), at });
        Ok(Some(at))
    }
}
