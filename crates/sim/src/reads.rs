//! What lanes, dead letters and settlement are read: the log, from disk and from memory, and the derived state.

use std::collections::BTreeMap;

use writ_kernel::dispatch::{Fact, Item, LaneId};
use writ_kernel::gate::permit;
use writ_kernel::settle;
use writ_model::id::{Offset, SubjectId};
use writ_model::taxonomy::PriorityClass;
use writ_store::log::Record;
use writ_store::state::{OpenEvent, State};

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::reference::Event;
use crate::replays::Look;
use crate::world::World;

/// What one read of the tape takes at most: little, so that reads end in odd places.
const READ_BYTES: u64 = 8 << 10;

/// Likewise for one from memory.
const READ_RECORDS: u64 = 60;

/// Likewise for a look for express events.
const LOOK_RECORDS: u64 = 200;

/// Percent of reads that go to the disk.
const COLD: u64 = 25;

impl World {
    pub(crate) fn serve_read(&mut self, happening: Happening) -> Result<(), String> {
        let Happening::Read { lane, from, items_max, bytes_max } = happening else { return Ok(()) };
        if let Some(errand) = self.replay_of.get(&lane).cloned() {
            let records_max = self.chance.between(1, READ_RECORDS) as usize;
            self.read_for_replay(lane, &errand, Look { from, items_max, records_max });
            return Ok(());
        }
        if from < self.tape.start() {
            let start = self.tape.start();
            return Err(format!("lane {} reads at {from}, and the log begins at {start}", lane.0));
        }
        let cold;
        let is_cold = self.chance.percent(COLD);
        let records = if is_cold {
            let most = self.chance.between(1, READ_BYTES) as usize;
            cold = self.tape.read(from, most)?;
            cold.as_slice()
        } else {
            let most = self.chance.between(1, READ_RECORDS) as usize;
            let warm = self.records(from);
            &warm[..warm.len().min(most)]
        };
        if records.is_empty() {
            self.waiting_reads.push(happening);
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
        let offered = if is_cold { Fact::OfferedCold } else { Fact::Offered };
        self.facts.push_back(offered(lane, items, next));
        Ok(())
    }

    /// The next express events that the lane's subscriber takes, each behind what the lane has not read of its subject.
    pub(crate) fn serve_look(&mut self, happening: Happening) {
        let Happening::Look { lane, behind, from, items_max, bytes_max } = happening else { return };
        let subscriber = self.subscriber_of(lane);
        let records_max = self.chance.between(1, LOOK_RECORDS) as usize;
        let (mut items, mut next) = (BTreeMap::new(), from);
        for record in self.records(from).iter().take(records_max) {
            let offset = record.offset();
            let is_express = |event: &&Event| {
                event.matches(subscriber) && event.stored.decision.class == PriorityClass::Express
            };
            if let Some(event) = self.reference.events.get(&offset).filter(is_express) {
                let subject = event.stored.header.subject_id;
                let before = if self.bug == Some(Bug::ExpressAlone) { offset } else { behind };
                let company = self.reference.events.range(before.max(self.tape.start())..=offset);
                let company = company.filter(|(_, event)| event.matches(subscriber));
                let company: Vec<Item> = company
                    .filter(|(_, event)| event.stored.header.subject_id == subject)
                    .map(|(_, event)| self.item(event, subscriber))
                    .collect();
                let bytes: usize =
                    items.values().chain(&company).map(|item: &Item| item.bytes as usize).sum();
                let fits = items.len() + company.len() <= items_max && bytes <= bytes_max;
                if !fits && !items.is_empty() {
                    break;
                }
                if fits {
                    items.extend(company.into_iter().map(|item| (item.offset, item)));
                }
            }
            next = offset.next();
        }
        if items.is_empty() {
            let look = Happening::Look { lane, behind, from: next, items_max, bytes_max };
            if next == from {
                return self.waiting_reads.push(look);
            }
            let wait = self.chance.millis(0, 3);
            return self.plan(wait, look);
        }
        self.truth.ahead += 1;
        self.facts.push_back(Fact::OfferedExpress(lane, items.into_values().collect(), next));
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
}
