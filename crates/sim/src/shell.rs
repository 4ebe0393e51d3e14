//! The shell: carries out the machines' effects against the world, as the engine does against the real one.

use writ_kernel::dispatch::{Attempt, Effect, Fact, Item, LaneId};
use writ_kernel::gate::permit;
use writ_kernel::machine::Machine;
use writ_kernel::settle;
use writ_model::control::ControlFact;
use writ_model::delivery::Answer;
use writ_model::id::{EventId, Generation, Offset, SourceName, SubjectId};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;
use writ_model::verdict::{Decision, PolicyVersion};
use writ_store::error::AppendError;

use crate::bug::Bug;
use crate::tape::Entry;
use crate::upstream::Event;
use crate::world::{Happening, World};

/// What one read of the tape takes at most: little, so that reads end in odd places.
const READ_BYTES: u64 = 4 << 10;

impl World {
    pub(crate) fn pass_time(&mut self) {
        let (mut effects, mut settle_effects) = (Vec::new(), Vec::new());
        self.dispatch.on_time(self.now, &mut effects);
        self.settlement.on_time(self.now, &mut settle_effects);
        self.carry_out(effects, settle_effects);
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
            self.carry_out(effects, settle_effects);
        }
    }

    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>, settle_effects: Vec<settle::Effect>) {
        for effect in effects {
            self.note(&effect);
            self.carry_out_one(effect);
        }
        for effect in settle_effects {
            self.note(&effect);
            self.settle_one(effect);
        }
        if !self.pending.is_empty() && !self.commit_due {
            self.commit_due = true;
            let wait = self.chance.millis(0, 8);
            self.plan(wait, Happening::Commit);
        }
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
            Effect::Journal(fact) => self.journal(fact),
            Effect::Settled(lane, offset, how) => {
                self.settle_facts.push_back(settle::Fact::Settled(lane, offset, how));
            }
            Effect::Note(..) => {}
        }
    }

    fn settle_one(&mut self, effect: settle::Effect) {
        match effect {
            settle::Effect::Load { from, limit } => {
                let (wait, after) = (self.chance.millis(0, 10), self.commit_of_now());
                self.plan(wait, Happening::Load { from, limit, after });
            }
            settle::Effect::Final(_) if self.bug == Some(Bug::FinalForgotten) && self.chance.percent(5) => {}
            settle::Effect::Final(finished) => {
                let how = finished.acknowledgements.iter();
                let how = how.map(|(lane, how)| (lane.0, how.settled.as_str().to_owned())).collect();
                self.pending.finals.push((finished.offset, how));
            }
        }
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
        self.pending.facts.push(fact);
    }

    /// The number of the commit that holds everything emitted so far.
    fn commit_of_now(&self) -> u64 {
        self.commits + u64::from(!self.pending.is_empty())
    }

    fn send(&mut self, attempt: Attempt) {
        self.truth.attempts += 1;
        let subscriber = self.subscriber_of(attempt.lane);
        let numbers: Vec<u64> = attempt
            .deliveries
            .iter()
            .filter_map(|d| Some(self.reference.events.get(&d.offset())?.number))
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
        }
        self.facts.push_back(Fact::Answered(attempt.id, answer));
        Ok(())
    }

    pub(crate) fn serve_read(&mut self, happening: Happening) -> Result<(), String> {
        let Happening::Read { lane, from, items_max, bytes_max } = happening else { return Ok(()) };
        let most = self.chance.between(1, READ_BYTES) as usize;
        let entries = self.tape.read(from, most)?;
        let Some((_, first)) = entries.first() else {
            self.waiting_reads.insert(lane, happening);
            return Ok(());
        };
        self.note(first);
        let subscriber = self.subscriber_of(lane);
        let (mut items, mut next, mut bytes) = (Vec::new(), from, 0);
        for (offset, entry) in &entries {
            if let Entry::Event(event) = entry
                && event.matches(subscriber)
            {
                let is_full = items.len() >= items_max || bytes + event.bytes as usize > bytes_max;
                if is_full && !items.is_empty() {
                    break;
                }
                bytes += event.bytes as usize;
                items.push(item(*offset, event, subscriber));
            }
            next = offset.next();
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
        let subscriber = self.subscriber_of(lane);
        let key = (self.names[subscriber].to_string(), subject);
        let most = self.chance.between(1, 4) as usize;
        let offsets = self.reference.dead.get(&key).into_iter().flat_map(|sequence| sequence.keys());
        let items = offsets
            .take(most)
            .filter_map(|offset| Some(item(*offset, self.reference.events.get(offset)?, subscriber)))
            .collect();
        self.facts.push_back(Fact::DeadLettersRead(lane, subject, items));
        Ok(())
    }

    pub(crate) fn serve_load(&mut self, from: Offset, limit: usize, after: u64) -> Result<(), String> {
        if self.commits < after {
            let wait = self.chance.millis(1, 3);
            self.plan(wait, Happening::Load { from, limit, after });
            return Ok(());
        }
        // Small answers, so that there is something to load again.
        let limit = limit.min(self.chance.between(1, 50) as usize);
        let (offsets, more) = self.reference.open(from, limit);
        let open = offsets.into_iter().map(|offset| self.open(offset)).collect();
        self.settle_facts.push_back(settle::Fact::Loaded { open, more });
        Ok(())
    }

    fn open(&self, offset: Offset) -> settle::Open {
        let event = &self.reference.events[&offset];
        let lanes = (0..self.names.len()).filter(|n| event.matches(*n)).map(|n| LaneId(n as u16)).collect();
        let told = self.reference.settled.get(&offset).into_iter().flatten();
        let settled = told.filter_map(|(name, how)| {
            let lane = self.names.iter().position(|n| n.as_str() == name)?;
            Some((LaneId(lane as u16), how.clone()))
        });
        settle::Open {
            offset,
            event_id: event_id(event.number),
            intent_index: offset.0,
            settle_by: Timestamp(event.settle_by),
            lanes,
            settled: settled.collect(),
        }
    }

    /// One group commit: append, sync, apply, acknowledge the source, tell the machines.
    pub(crate) fn commit(&mut self) -> Result<(), String> {
        self.commit_due = false;
        if self.pending.is_empty() {
            return Ok(());
        }
        let before = self.tape.end();
        match self.tape.append(&self.pending) {
            Ok(()) => {}
            Err(AppendError::Full { .. }) => {
                self.disk.set_capacity(None);
                self.commit_due = true;
                let wait = self.chance.millis(1, 50);
                self.plan(wait, Happening::Commit);
                return Ok(());
            }
            Err(error) => {
                self.note(&error.to_string());
                return self.crash(false);
            }
        }
        self.pending = crate::tape::Pending::default();
        self.commits += 1;
        self.publish(before)
    }

    fn publish(&mut self, before: Offset) -> Result<(), String> {
        let mut stored = Vec::new();
        for (offset, entry) in self.tape.read_all(before)? {
            let is_event = matches!(entry, Entry::Event(_));
            self.check_record(&entry)?;
            self.reference.apply(offset, entry);
            if is_event {
                stored.push(self.open(offset));
            }
        }
        self.upstream.acknowledge(self.reference.source);
        if !stored.is_empty() {
            self.settle_facts.push_back(settle::Fact::Stored(stored));
        }
        for (_, read) in std::mem::take(&mut self.waiting_reads) {
            let wait = self.chance.millis(0, 5);
            self.plan(wait, read);
        }
        Ok(())
    }

    /// The subscriber behind a lane, replays included.
    pub(crate) fn subscriber_of(&self, lane: LaneId) -> usize {
        self.replay_of.get(&lane).copied().unwrap_or(usize::from(lane.0))
    }
}

pub(crate) fn subject_id(subject: u8) -> SubjectId {
    SubjectId([subject; 16])
}

pub(crate) fn event_id(number: u64) -> EventId {
    format!("019a0000-0000-7000-8000-{number:012x}").parse().expect("a UUID of fixed form")
}

fn item(offset: Offset, event: &Event, subscriber: usize) -> Item {
    let name = format!("s{subscriber}");
    let decision = Decision {
        class: event.class(),
        policy: PolicyVersion("sim@sha256:00".to_owned()),
        schema: "email.v1".to_owned(),
        deny_subscribers: if event.is_denied(subscriber) { vec![name.clone()] } else { Vec::new() },
        withhold: Vec::new(),
    };
    Item {
        offset,
        event_id: event_id(event.number),
        source: SourceName::new("upstream").expect("a name"),
        subject_id: subject_id(event.subject),
        generation: Generation::FIRST,
        change_type: ChangeType::Email,
        class: event.class(),
        recorded_at: Timestamp(event.recorded_at),
        bytes: event.bytes,
        permit: permit::ask(offset, &decision, &name),
    }
}
