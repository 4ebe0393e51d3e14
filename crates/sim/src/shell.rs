//! The shell: carries out the machines' effects against the world, as the engine does against the real one.

use writ_kernel::dispatch::{Attempt, Effect, Fact, Item, LaneId};
use writ_kernel::gate::permit;
use writ_kernel::machine::Machine;
use writ_kernel::settle;
use writ_model::control::ControlFact;
use writ_model::control::Finalised;
use writ_model::delivery::{Answer, AttemptId, Fault};
use writ_model::id::{Offset, SubjectId};
use writ_store::log::Record;
use writ_store::state::{OpenEvent, State};

use crate::bug::Bug;
use crate::reference::Event;
use crate::world::{Happening, World};

/// What one read of the tape takes at most: little, so that reads end in odd places.
const READ_BYTES: u64 = 8 << 10;

/// Likewise for one from memory.
const READ_RECORDS: u64 = 60;

/// Percent of reads that go to the disk.
const COLD: u64 = 25;

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
            self.check_effects(&effects)?;
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
            Effect::ReadDeadLetters(lane, subject) => {
                let after = self.commit_of_now();
                self.plan(wait, Happening::DeadLetters { lane, subject, after });
            }
            Effect::Send(attempt) => self.send(attempt),
            // No lane of the world is two-phase or probes: the kernel's own tests have those.
            Effect::Prepare(_) | Effect::ListBranches(_) | Effect::Resolve(..) | Effect::Probe(_) => {}
            Effect::Journal(fact) => self.journal(fact),
            Effect::Confirm(attempt) => {
                let is_early = self.bug == Some(Bug::SentBeforeDurable);
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
        if let ControlFact::DeadLettered(_) = &fact {
            self.truth.dead_letters += 1;
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

    fn send(&mut self, attempt: Attempt) {
        self.truth.attempts += 1;
        let subscriber = self.subscriber_of(attempt.lane);
        self.truth.starts.entry(subscriber).or_default().push(self.now.moment);
        let numbers: Vec<u64> = attempt
            .deliveries
            .iter()
            .filter_map(|d| Some(self.reference.events.get(&d.offset())?.number()))
            .collect();
        let reaction = self.receivers[subscriber].react(&mut self.chance, &numbers);
        self.flying.insert(attempt.id, attempt.clone());
        let happening = Happening::Answer { attempt, answer: reaction.answer, processed: reaction.processed };
        if reaction.answers_twice {
            self.plan(reaction.after * 2, happening.clone());
        }
        self.plan(reaction.after, happening);
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

    pub(crate) fn serve_read(&mut self, happening: Happening) -> Result<(), String> {
        let Happening::Read { lane, from, items_max, bytes_max } = happening else { return Ok(()) };
        let cold;
        let records = if self.chance.percent(COLD) {
            let most = self.chance.between(1, READ_BYTES) as usize;
            cold = self.tape.read(from, most)?;
            cold.as_slice()
        } else {
            let most = self.chance.between(1, READ_RECORDS) as usize;
            let warm = self.records(from);
            &warm[..warm.len().min(most)]
        };
        if records.is_empty() {
            self.waiting_reads.insert(lane, happening);
            return Ok(());
        }
        let subscriber = self.subscriber_of(lane);
        let (mut items, mut next, mut bytes) = (Vec::new(), from, 0);
        for record in records {
            let event = self.reference.events.get(&record.offset()).filter(|event| event.matches(subscriber));
            if let (Record::Event(stored), Some(event)) = (record, event) {
                let is_full = items.len() >= items_max || bytes + stored.bytes as usize > bytes_max;
                if is_full && !items.is_empty() {
                    break;
                }
                bytes += stored.bytes as usize;
                items.push(self.item(event, subscriber));
            }
            next = record.offset().next();
        }
        self.facts.push_back(Fact::Offered(lane, items, next));
        Ok(())
    }

    pub(crate) fn serve_dead_letters(
        &mut self,
        lane: LaneId,
        subject: SubjectId,
        after: u64,
    ) -> Result<(), String> {
        if self.commits < after {
            let wait = self.chance.millis(1, 3);
            self.plan(wait, Happening::DeadLetters { lane, subject, after });
            return Ok(());
        }
        self.follow()?;
        let subscriber = self.subscriber_of(lane);
        let most = self.chance.between(1, 4) as usize;
        // Just before the subject's first dead letter.
        let before = SubjectId((u128::from_be_bytes(subject.0).saturating_sub(1)).to_be_bytes());
        let after = Some((before, Offset(u64::MAX)));
        let letters = self.state.dead_letters(&self.names[subscriber], after, most);
        let letters = letters.map_err(|error| error.to_string())?;
        let mine = letters.iter().take_while(|letter| letter.subject_id == subject);
        let events = mine.filter_map(|letter| self.reference.events.get(&letter.offset));
        let items = events.map(|event| self.item(event, subscriber)).collect();
        self.facts.push_back(Fact::DeadLettersRead(lane, subject, items));
        Ok(())
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

    pub(crate) fn serve_load(&mut self, from: Offset, limit: usize, after: u64) -> Result<(), String> {
        if self.commits < after {
            let wait = self.chance.millis(1, 3);
            self.plan(wait, Happening::Load { from, limit, after });
            return Ok(());
        }
        self.follow()?;
        // Small answers, so that there is something to load again.
        let limit = limit.min(self.chance.between(1, 50) as usize);
        let found = self.state.open_events(from, limit + 1).map_err(|error| error.to_string())?;
        let more = found.len() > limit;
        let open = found.into_iter().take(limit).map(|event| self.loaded(event)).collect();
        self.settle_facts.push_back(settle::Fact::Loaded { open, more });
        Ok(())
    }

    fn loaded(&self, event: OpenEvent) -> settle::Open {
        let settled = event.settled.into_iter();
        let settled = settled.filter_map(|(name, how)| Some((self.lane_of(name.as_str())?, how))).collect();
        let OpenEvent { event_id, intent_index, settle_by, .. } = event;
        settle::Open { event_id, intent_index, settle_by, settled, ..self.open(event.offset) }
    }

    /// An event that was just stored.
    pub(crate) fn open(&self, offset: Offset) -> settle::Open {
        let Event { stored, lanes, .. } = &self.reference.events[&offset];
        settle::Open {
            offset,
            event_id: stored.header.event_id,
            intent_index: stored.intent_index,
            settle_by: stored.settle_by,
            lanes: lanes.iter().map(|n| LaneId(*n as u16)).collect(),
            settled: Vec::new(),
        }
    }

    pub(crate) fn item(&self, event: &Event, subscriber: usize) -> Item {
        let stored = &event.stored;
        Item {
            offset: stored.offset,
            event_id: stored.header.event_id,
            source: stored.header.source.clone(),
            subject_id: stored.header.subject_id,
            slot: stored.header.slot,
            generation: stored.header.generation,
            change_type: stored.header.change_type,
            operation: stored.header.operation,
            class: stored.decision.class,
            recorded_at: stored.header.recorded_at,
            bytes: stored.bytes,
            permit: permit::ask(stored.offset, &stored.decision, self.names[subscriber].as_str()),
        }
    }

    /// The subscriber behind a lane, replays included.
    pub(crate) fn subscriber_of(&self, lane: LaneId) -> usize {
        self.replay_of.get(&lane).copied().unwrap_or(usize::from(lane.0))
    }
}
