//! The shell: carries out the machines' effects against the world, as the engine does against the real one.

use writ_kernel::dispatch::{Attempt, Effect, Fact, LaneId};
use writ_kernel::machine::Machine;
use writ_kernel::settle;
use writ_model::control::{ControlFact, Finalised};
use writ_model::delivery::{Answer, AttemptId, Fault};
use writ_model::id::Offset;

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::inbox::Kind;
use crate::wire::Way;
use crate::world::World;

impl World {
    pub(crate) fn pass_time(&mut self) -> Result<(), String> {
        let (mut effects, mut settle_effects) = (Vec::new(), Vec::new());
        self.dispatch.on_time(self.now, &mut effects);
        self.settlement.on_time(self.now, &mut settle_effects);
        self.carry_out(effects, settle_effects)
    }

    /// Feeds the machines until no fact is left.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        loop {
            let (mut effects, mut settle_effects) = (Vec::new(), Vec::new());
            if let Some(fact) = self.facts.pop_front() {
                self.dispatch.on(self.now, fact, &mut effects);
            } else if let Some(fact) = self.settle_facts.pop_front() {
                self.settlement.on(self.now, fact, &mut settle_effects);
            } else {
                return Ok(());
            }
            self.carry_out(effects, settle_effects)?;
        }
    }

    pub(crate) fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        settle_effects: Vec<settle::Effect>,
    ) -> Result<(), String> {
        for effect in effects {
            self.note(&effect);
            self.check_effect(&effect)?;
            self.carry_out_one(effect);
        }
        for effect in settle_effects {
            self.note(&effect);
            self.settle_one(effect)?;
        }
        self.want_commit();
        Ok(())
    }

    fn carry_out_one(&mut self, effect: Effect) {
        let wait = self.chance.millis(0, 10);
        match effect {
            Effect::Read { lane, from, items_max, bytes_max } => {
                self.plan(wait, Happening::Read { lane, from, items_max, bytes_max });
            }
            Effect::ReadExpress { lane, behind, from, items_max, bytes_max } => {
                self.plan(wait, Happening::Look { lane, behind, from, items_max, bytes_max });
            }
            Effect::ReadDeadLetters(lane, subject) => {
                let after = self.commit_of_now();
                self.plan(wait, Happening::DeadLetters { lane, subject, after });
            }
            Effect::Send(attempt) => self.send(attempt, Way::Deliver),
            Effect::Prepare(attempt) => self.send(attempt, Way::Prepare),
            Effect::Probe(attempt) => self.send(attempt, Way::Look),
            Effect::ListBranches(lane) => self.list_branches(lane),
            Effect::Resolve(lane, branch, verdict) => self.tell(lane, branch, verdict),
            Effect::Journal(fact) => self.journal(fact),
            Effect::Confirm(attempt) => {
                let is_early = matches!(self.bug, Some(Bug::SentBeforeDurable | Bug::CommittedUndecided));
                let after = if is_early { 0 } else { self.commit_of_now() };
                self.plan(wait, Happening::Confirm { attempt, after });
            }
            Effect::Settled(lane, batch) => {
                self.settle_facts.push_back(settle::Fact::Settled(lane, batch.items.clone()));
                self.journal(ControlFact::Settled(batch));
            }
            Effect::Note(..) => {}
        }
    }

    fn settle_one(&mut self, effect: settle::Effect) -> Result<(), String> {
        match effect {
            settle::Effect::Load { from, limit } => {
                let (wait, after) = (self.chance.millis(0, 10), self.commit_of_now());
                self.plan(wait, Happening::Load { from, limit, after });
            }
            settle::Effect::Final(_) if self.bug == Some(Bug::FinalForgotten) && self.chance.percent(5) => {}
            settle::Effect::Final(finished) => {
                self.hub.leaves.push(self.final_leaf(&finished)?);
                let offsets = vec![finished.offset];
                self.hub.facts.push(ControlFact::Finalised(Finalised { offsets }));
            }
        }
        Ok(())
    }

    fn journal(&mut self, mut fact: ControlFact) {
        if let ControlFact::DeadLettered(letter) = &fact {
            self.truth.dead_letters += 1;
            let subscriber = self.lane_of(letter.subscriber.as_str()).unwrap_or(LaneId(0));
            self.truth.parked.insert((usize::from(subscriber.0), letter.offset));
            if self.bug == Some(Bug::DeadLetterForgotten) {
                return;
            }
        }
        if let (ControlFact::Cursor(cursor), Some(Bug::CursorPastUnsettled)) = (&mut fact, self.bug) {
            cursor.watermark = Offset(cursor.watermark.0 + self.chance.between(0, 2));
        }
        self.hub.facts.push(fact);
    }

    /// The number of the commit that holds everything emitted so far.
    fn commit_of_now(&self) -> u64 {
        self.commits + u64::from(!self.hub.is_empty())
    }

    fn send(&mut self, attempt: Attempt, way: Way) {
        self.truth.attempts += 1;
        let subscriber = self.subscriber_of(attempt.lane);
        if !self.is_former() {
            self.truth.starts.entry(subscriber).or_default().push(self.now.moment);
        }
        if self.options.kind(subscriber) != Kind::Plain {
            return self.call(attempt, way);
        }
        let numbers = self.numbers(&attempt);
        let reaction = self.receivers[subscriber].react(&mut self.chance, &numbers);
        self.truth.ruled += u64::from(is_ruled(&reaction.answer));
        self.flying.insert(attempt.id, attempt.clone());
        let happening = Happening::Answer { attempt, answer: reaction.answer, processed: reaction.processed };
        if reaction.answers_twice {
            self.plan(reaction.after * 2, happening.clone());
        }
        self.plan(reaction.after, happening);
    }

    /// What subscribers tell the events of an attempt apart by.
    pub(crate) fn numbers(&self, attempt: &Attempt) -> Vec<u64> {
        let event = |offset: Offset| self.reference.events.get(&offset);
        attempt.deliveries.iter().filter_map(|d| Some(event(d.offset())?.number())).collect()
    }

    pub(crate) fn serve_answer(
        &mut self,
        attempt: &Attempt,
        answer: Answer,
        processed: &[bool],
    ) -> Result<(), String> {
        if self.flying.remove(&attempt.id).is_some() {
            self.process(attempt, processed)?;
            self.forget_offer(attempt, &answer);
        }
        self.facts.push_back(Fact::Answered(attempt.id, answer));
        Ok(())
    }

    /// What nobody took was offered, and not sent: it may still be sent once.
    fn forget_offer(&mut self, attempt: &Attempt, answer: &Answer) {
        if *answer != Answer::Failed(Fault::NotTaken) {
            return;
        }
        let subscriber = self.subscriber_of(attempt.lane);
        for delivery in &attempt.deliveries {
            self.truth.once.remove(&(subscriber, delivery.offset()));
        }
    }

    pub(crate) fn serve_confirm(&mut self, attempt: AttemptId, after: u64) -> Result<(), String> {
        if self.commits < after {
            let wait = self.chance.millis(1, 3);
            self.plan(wait, Happening::Confirm { attempt, after });
            return Ok(());
        }
        self.facts.push_back(Fact::Durable(attempt));
        if self.chance.percent(20) {
            self.facts.push_back(Fact::Durable(attempt));
        }
        Ok(())
    }

    /// The subscriber behind a lane, replays included.
    pub(crate) fn subscriber_of(&self, lane: LaneId) -> usize {
        self.replay_of.get(&lane).map_or(usize::from(lane.0), |errand| errand.subscriber)
    }
}

/// Whether the table alone would misread it, or could.
fn is_ruled(answer: &Answer) -> bool {
    matches!(answer, Answer::Http(http) if http.body.is_some() || !http.headers.is_empty())
}
