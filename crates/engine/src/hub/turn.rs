//! One turn of the hub: a fact goes in, effects come out and are carried out, in order.

use tokio::task::{Id, JoinError};
use writ_kernel::dispatch::{self, Attempt, Effect, LaneId, Note};
use writ_kernel::machine::Machine;
use writ_kernel::settle;
use writ_model::control::ControlFact;
use writ_model::delivery::{Answer, Branch, Fault, Presence, Resolution, Verdict};
use writ_model::id::{Offset, SubjectId};

use super::express::{Look, Looker, Sighted};
use super::{Committed, Fact, Hub};
use crate::deliver::{self, Way};
use crate::metric;
use crate::payload::{Event, Offering, Stretch};
use crate::writer::{Due, Known, Work};

/// Final leaves that the writer takes at once; a commit takes what is queued up to a bound of its own.
const FINALS_AT_ONCE: usize = 256;

impl Hub {
    pub(super) fn take(&mut self, fact: Fact) {
        let now = self.clock.now();
        match fact {
            Fact::Dispatch(fact) => self.dispatch.on(now, fact, &mut self.dispatch_effects),
            Fact::Settle(fact) => self.settlement.on(now, fact, &mut self.settle_effects),
        }
    }

    pub(super) fn answered(&mut self, done: Result<(Id, dispatch::Fact), JoinError>) {
        match done {
            Ok((task, fact)) => {
                self.if_lost.remove(&task);
                self.take(Fact::Dispatch(fact));
            }
            Err(error) => {
                // A connector panicked: whether anything was sent is not known.
                tracing::error!(error = %error, "attempt task failed");
                if let Some(fact) = self.if_lost.remove(&error.id()) {
                    self.take(Fact::Dispatch(fact));
                }
            }
        }
    }

    pub(super) fn committed(&mut self, committed: Committed) {
        let open = committed.events.iter().map(|event| open(event)).collect();
        self.payloads.push(&committed.events, committed.end);
        for attempt in committed.confirmed {
            self.take(Fact::Dispatch(dispatch::Fact::Durable(attempt)));
        }
        self.take(Fact::Settle(settle::Fact::Stored(open)));
        let waiting: Vec<(LaneId, Stretch)> = std::mem::take(&mut self.waiting).into_iter().collect();
        waiting.into_iter().for_each(|(lane, stretch)| self.read(lane, stretch));
        let looking: Vec<(LaneId, Look)> = std::mem::take(&mut self.looking).into_iter().collect();
        looking.into_iter().for_each(|(lane, look)| self.look(lane, look));
    }

    pub(super) fn on_time(&mut self) {
        let now = self.clock.now();
        self.dispatch.on_time(now, &mut self.dispatch_effects);
        self.settlement.on_time(now, &mut self.settle_effects);
        self.findings_on_time();
    }

    /// Carries out what the machines asked for, until they ask for nothing more.
    pub(super) fn carry_out(&mut self) {
        while !self.dispatch_effects.is_empty() || !self.settle_effects.is_empty() {
            for effect in std::mem::take(&mut self.dispatch_effects) {
                self.dispatch_effect(effect);
            }
            self.settle_effects();
        }
        if !self.journal.is_empty() {
            self.writer.send(Work::Facts(std::mem::take(&mut self.journal)));
        }
    }

    fn dispatch_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Read { lane, from, items_max, bytes_max } => {
                self.read(lane, Stretch { from, items_max, bytes_max });
            }
            Effect::ReadExpress { lane, behind, from, items_max, bytes_max } => {
                self.look(lane, Look { behind, from, items_max, bytes_max });
            }
            Effect::ReadDeadLetters(lane, subject) => self.read_dead_letters(lane, subject),
            Effect::Send(attempt) => self.send(attempt, Way::Deliver),
            Effect::Probe(attempt) => self.probe(attempt),
            Effect::Prepare(attempt) => self.send(attempt, Way::Prepare(self.sender.epoch)),
            Effect::ListBranches(lane) => self.list_branches(lane),
            Effect::Resolve(lane, branch, verdict) => self.resolve(lane, branch, verdict),
            Effect::Journal(fact) => {
                if let ControlFact::Replay(progress) = &fact {
                    self.jobs.note(progress, self.clock.now().moment);
                }
                self.journal.push(fact);
            }
            Effect::Confirm(attempt) => {
                let journal = std::mem::take(&mut self.journal);
                self.writer.send(Work::Facts(journal));
                self.writer.send(Work::Confirm(attempt));
            }
            Effect::Settled(lane, batch) => {
                let fact = settle::Fact::Settled(lane, batch.items.clone());
                self.take(Fact::Settle(fact));
                self.journal.push(ControlFact::Settled(batch));
            }
            Effect::Note(lane, note) => self.note(lane, &note),
        }
    }

    fn note(&mut self, lane: LaneId, note: &Note) {
        metric::note(self.lanes.name(lane), note);
        self.find(lane, note);
        if let Note::Unresolved { cause } = note {
            self.lanes.failed(lane, cause);
        }
        if let Note::Retried { cause, .. }
        | Note::DeadLettered { cause, .. }
        | Note::Unconfirmed { cause, .. } = note
        {
            self.lanes.failed(lane, cause);
        }
    }

    fn settle_effects(&mut self) {
        let mut finished = Vec::new();
        for effect in std::mem::take(&mut self.settle_effects) {
            match effect {
                settle::Effect::Final(event) => {
                    let known = self.payloads.get(event.offset).and_then(|event| Known::of(&event));
                    finished.push(Due { finished: event, known });
                }
                settle::Effect::Load { from, limit } => {
                    let journal = std::mem::take(&mut self.journal);
                    self.writer.send(Work::Facts(journal));
                    self.writer.send(Work::Load { from, limit });
                }
            }
        }
        // Thousands may be due at once: in one commit, every reader of it would hold them all.
        while !finished.is_empty() {
            let rest = finished.split_off(finished.len().min(FINALS_AT_ONCE));
            self.writer.send(Work::Finals(std::mem::replace(&mut finished, rest)));
        }
    }

    /// Serves a lane from memory, from disk, or with the next commit.
    fn read(&mut self, lane: LaneId, stretch: Stretch) {
        if let Some(errand) = self.jobs.errand(lane) {
            return self.read_replay(lane, errand, stretch);
        }
        let Some((base, name)) = self.lanes.base(lane) else { return };
        match self.payloads.offer(base, name, stretch) {
            Offering::AtHead => drop(self.waiting.insert(lane, stretch)),
            Offering::Found(items, next) => {
                self.take(Fact::Dispatch(dispatch::Fact::Offered(lane, items, next)));
            }
            Offering::Cold => {
                let (cold, facts, name) = (self.cold.clone(), self.facts.clone(), name.to_owned());
                tokio::spawn(async move {
                    let (items, next) = cold.offer(base, name, stretch).await;
                    drop(facts.send(Fact::Dispatch(dispatch::Fact::OfferedCold(lane, items, next))));
                });
            }
        }
    }

    /// Finds express events for a lane that is behind, or waits for the next commit where there are none.
    fn look(&mut self, lane: LaneId, look: Look) {
        let Some((base, name)) = self.lanes.base(lane) else { return };
        let sighted = match self.payloads.express(base, look.from, look.items_max) {
            Sighted::AtHead => {
                self.looking.insert(lane, look);
                return;
            }
            Sighted::Found(sights, from) if sights.is_empty() => {
                self.looking.insert(lane, Look { from, ..look });
                return;
            }
            Sighted::Found(sights, next) => Some((sights, next)),
            Sighted::Cold => None,
        };
        let looker = Looker { lane: base, subscriber: name.to_owned() };
        let (lookout, facts) = (self.lookout.clone(), self.facts.clone());
        tokio::spawn(async move {
            let (items, next) = lookout.offer(looker, look, sighted).await;
            drop(facts.send(Fact::Dispatch(dispatch::Fact::OfferedExpress(lane, items, next))));
        });
    }

    /// Through the writer, so that the dead letters written before are among them.
    fn read_dead_letters(&mut self, lane: LaneId, subject: SubjectId) {
        let journal = std::mem::take(&mut self.journal);
        self.writer.send(Work::Facts(journal));
        self.writer.send(Work::DeadLetters { lane, subject });
    }

    /// Runs a call of a connector; `if_lost` is the fact when it panics.
    fn call(&mut self, call: impl Future<Output = dispatch::Fact> + Send + 'static, if_lost: dispatch::Fact) {
        self.if_lost.insert(self.attempts.spawn(call).id(), if_lost);
    }

    fn probe(&mut self, attempt: Attempt) {
        let Some(subscriber) = self.lanes.subscriber(attempt.lane) else { return };
        let (id, cold, sender) = (attempt.id, self.cold.clone(), self.sender);
        let call = async move {
            let presence = deliver::probe(&attempt, subscriber.as_ref(), &cold, sender).await;
            dispatch::Fact::Probed(id, presence)
        };
        self.call(call, dispatch::Fact::Probed(id, Presence::Unknown(Fault::AnswerBroken)));
    }

    fn list_branches(&mut self, lane: LaneId) {
        let Some(subscriber) = self.lanes.subscriber(lane) else { return };
        let sender = self.sender;
        let call = async move { dispatch::Fact::Branches(lane, subscriber.branches(sender).await) };
        self.call(call, dispatch::Fact::Branches(lane, Err(Fault::AnswerBroken)));
    }

    fn resolve(&mut self, lane: LaneId, branch: Branch, verdict: Verdict) {
        let Some(subscriber) = self.lanes.subscriber(lane) else { return };
        let sender = self.sender;
        let call = async move {
            dispatch::Fact::Resolved(lane, branch, subscriber.resolve(sender, branch, verdict).await)
        };
        let lost = Resolution::Failed(Fault::AnswerBroken);
        self.call(call, dispatch::Fact::Resolved(lane, branch, lost));
    }

    fn send(&mut self, mut attempt: Attempt, way: Way) {
        let Some(subscriber) = self.lanes.subscriber(attempt.lane) else { return };
        let (id, cold, sender) = (attempt.id, self.cold.clone(), self.sender);
        let durable = self.lanes.durable_cursor(attempt.lane).filter(|_| subscriber.forgets());
        let call = async move {
            // What the lane has settled, and no cursor in the log says yet, a successor would send again.
            attempt.settled_below =
                durable.map_or(Offset::ZERO, |cursor| attempt.settled_below.min(cursor()));
            let answer = deliver::attempt(&attempt, subscriber.as_ref(), &cold, sender, way).await;
            dispatch::Fact::Answered(id, answer)
        };
        self.call(call, dispatch::Fact::Answered(id, Answer::Failed(Fault::AnswerBroken)));
    }

    /// Stops new attempts; those in flight end by their own time-outs, those that wait for a consumer at once.
    pub(super) fn drain(&mut self) {
        self.dispatch.drain(self.clock.now(), &mut self.dispatch_effects);
        self.lanes.close_mailboxes();
    }

    /// Last journal facts on the way out.
    pub(super) fn finish(&mut self) {
        let now = self.clock.now();
        self.dispatch.flush(now, &mut self.dispatch_effects);
        self.carry_out();
    }
}

fn open(event: &Event) -> settle::Open {
    settle::Open {
        offset: event.offset,
        event_id: event.header.event_id,
        intent_index: event.intent_index,
        settle_by: event.settle_by,
        lanes: event.lanes.clone(),
        settled: Vec::new(),
    }
}
