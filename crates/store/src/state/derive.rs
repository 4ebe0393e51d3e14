//! What each record of the log does to the derived state. Every rule gives the same state when it is applied
//! a second time.

use prost::Message;
use writ_model::control::{ControlFact, DeadLetter, DeadLetterClosed, IntakeSeen, SettledBatch, Withheld};
use writ_model::finding::Finding;
use writ_model::id::{EventId, Offset, SubscriberName};

use super::key::{self, CONTROL, EVENTS, PARKED, SETTLING};
use super::row::{self, OpenRow};
use crate::log::{Record, StoredEvent};
use crate::pairs::{Area, Batch, Fault, Pairs, just_after};
use crate::settled::SettledRuns;

/// How many keys one scan takes into memory.
const PAGE: usize = 512;

/// A batch in the making, and the store that it will be written to: reads see the batch first.
pub(super) struct Draft<'a> {
    pub(super) pairs: &'a dyn Pairs,
    pub(super) batch: Batch,
}

impl<'a> Draft<'a> {
    pub(super) fn new(pairs: &'a dyn Pairs) -> Self {
        Self { pairs, batch: Batch::default() }
    }

    /// Applies one record.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), Fault> {
        match record {
            Record::Event(event) => self.event(event),
            Record::Fact(offset, fact) => self.fact(*offset, fact),
            Record::Leaf(..) => Ok(()),
        }
    }

    /// The batch, with the offset up to which it goes.
    pub(super) fn finish(mut self, applied: Offset) -> Batch {
        self.batch.put(CONTROL, key::APPLIED.to_vec(), key::offset_bytes(applied).to_vec());
        self.batch
    }

    fn event(&mut self, event: &StoredEvent) -> Result<(), Fault> {
        let (header, offset) = (&event.header, event.offset);
        self.batch.put(EVENTS, key::event(header.event_id), key::offset_bytes(offset).to_vec());
        self.batch.put(EVENTS, key::subject_event(header.subject_id, offset), Vec::new());
        let row = OpenRow {
            event_id: header.event_id.0.as_bytes().to_vec(),
            intent_index: event.intent_index,
            settle_by: event.settle_by.0,
        };
        self.batch.put(SETTLING, key::open(offset), row.encode_to_vec());
        // An event that was held and then cleared is in the stream, and no longer outside it.
        self.forget_withheld(header.event_id)?;
        self.second(header.recorded_at.0.div_euclid(1_000_000), offset)
    }

    /// Only a second later than all before gets a row: then the first row at or after a second holds the
    /// first event of that second or later, even where the clock went back.
    fn second(&mut self, second: i64, offset: Offset) -> Result<(), Fault> {
        let key = key::second(second);
        if self.get(CONTROL, key::LATEST_SECOND)?.is_some_and(|latest| latest >= key) {
            return Ok(());
        }
        self.batch.put(CONTROL, key::LATEST_SECOND.to_vec(), key.clone());
        self.batch.put(EVENTS, key, key::offset_bytes(offset).to_vec());
        Ok(())
    }

    fn fact(&mut self, at: Offset, fact: &ControlFact) -> Result<(), Fault> {
        match fact {
            ControlFact::SourceProgress(progress) => {
                self.put_json(CONTROL, key::source(progress.source.as_str()), progress)
            }
            ControlFact::Covered(covered) => {
                self.put_json(CONTROL, key::covered(covered.source.as_str()), covered)
            }
            ControlFact::Accounted(accounted) => {
                self.put_json(CONTROL, key::accounted(accounted.source.as_str()), accounted)
            }
            ControlFact::Intake(seen) => self.intake(seen),
            ControlFact::Withheld(withheld) => self.withheld(at, withheld),
            ControlFact::Cursor(cursor) => self.put_json(CONTROL, key::cursor(&cursor.subscriber), cursor),
            ControlFact::Settled(settled) => {
                self.settled(at, settled);
                Ok(())
            }
            ControlFact::DeadLettered(letter) => self.dead_lettered(letter),
            ControlFact::DeadLetterClosed(closed) => self.letters_closed(closed),
            ControlFact::Lane(lane) => self.put_json(CONTROL, key::lane(&lane.subscriber), lane),
            ControlFact::Finalised(finalised) => {
                for offset in &finalised.offsets {
                    self.batch.remove(SETTLING, key::open(*offset));
                }
                Ok(())
            }
            ControlFact::Replay(replay) => self.replay(replay),
            ControlFact::ReplayOrdered(order) => self.replay_ordered(order),
            // They are read in the log; what they did is in the progress that follows them.
            ControlFact::ReplayActed(_) | ControlFact::ReplayWithheld(_) => Ok(()),
            // It is read in the log, and counted in the accounting leaf.
            ControlFact::Stale(_) => Ok(()),
            // Why an event was withheld; that it was is settled.
            ControlFact::Voided(_) => Ok(()),
            // The cursor that follows it says the same.
            ControlFact::BehindRetention(_) => Ok(()),
            ControlFact::Truncated(truncated) => {
                let before = key::offset_bytes(truncated.before).to_vec();
                self.batch.put(CONTROL, key::TRUNCATED.to_vec(), before);
                Ok(())
            }
            ControlFact::HoldPlaced(hold) => self.put_json(CONTROL, key::hold(&hold.id), hold),
            ControlFact::HoldReleased(released) => {
                self.batch.remove(CONTROL, key::hold(&released.id));
                Ok(())
            }
            ControlFact::BranchDecided(fact) => {
                self.put_json(CONTROL, key::branch(&fact.subscriber, fact.branch), &fact.branch)
            }
            ControlFact::BranchConcluded(fact) => {
                self.batch.remove(CONTROL, key::branch(&fact.subscriber, fact.branch));
                Ok(())
            }
            // Where subjects are found is the vault's.
            ControlFact::Rekeyed(_) => Ok(()),
            ControlFact::Saga(saga) => self.put_json(CONTROL, key::saga(&saga.id), saga),
            ControlFact::Case(case) => self.put_json(CONTROL, key::case(&case.id), case),
            // Which life a subject is in is the vault's.
            ControlFact::Readmitted(_) => Ok(()),
            ControlFact::Finding(finding) => self.finding(finding),
        }
    }

    /// An id that is used again after its window has one row, in its new place.
    fn intake(&mut self, seen: &IntakeSeen) -> Result<(), Fault> {
        let key = key::intake(seen.causation_id);
        let former: Option<IntakeSeen> =
            self.get(EVENTS, &key)?.map(|bytes| row::from_json(&bytes)).transpose()?;
        if let Some(former) = former {
            self.batch.remove(EVENTS, key::taken_at(former.source.as_str(), former.at, former.causation_id));
        }
        self.batch.put(EVENTS, key::taken_at(seen.source.as_str(), seen.at, seen.causation_id), Vec::new());
        self.put_json(EVENTS, key, seen)
    }

    fn settled(&mut self, at: Offset, settled: &SettledBatch) {
        for items in settled.items.chunk_by(|(a, _), (b, _)| key::page(*a) == key::page(*b)) {
            let row = SettledRuns::new(&settled.subscriber, items).encode_to_vec();
            self.batch.put(SETTLING, key::acknowledgements_of(key::page(items[0].0), at), row);
        }
    }

    /// The open ones; what was closed is in the journal.
    fn finding(&mut self, finding: &Finding) -> Result<(), Fault> {
        let key = key::finding(&finding.subscriber, finding.kind);
        if finding.closed_at.is_some() {
            self.batch.remove(CONTROL, key);
            return Ok(());
        }
        self.put_json(CONTROL, key, finding)
    }

    fn withheld(&mut self, at: Offset, withheld: &Withheld) -> Result<(), Fault> {
        self.forget_withheld(withheld.event_id)?;
        self.batch.put(PARKED, key::withheld_at(withheld.event_id), key::offset_bytes(at).to_vec());
        self.put_json(PARKED, key::withheld(at), withheld)
    }

    fn forget_withheld(&mut self, event: EventId) -> Result<(), Fault> {
        let pointer = key::withheld_at(event);
        if let Some(at) = self.get(PARKED, &pointer)? {
            self.batch.remove(PARKED, key::withheld(Offset(row::number(&at)?)));
            self.batch.remove(PARKED, pointer);
        }
        Ok(())
    }

    fn dead_lettered(&mut self, letter: &DeadLetter) -> Result<(), Fault> {
        let key = key::letter(&letter.subscriber, letter.subject_id, letter.offset);
        if self.get(PARKED, &key)?.is_none() {
            self.count_letters(&letter.subscriber, 1)?;
        }
        self.put_json(PARKED, key, letter)
    }

    fn letters_closed(&mut self, closed: &DeadLetterClosed) -> Result<(), Fault> {
        let prefix = key::letters_of(&closed.subscriber, closed.subject_id);
        let last = key::letter(&closed.subscriber, closed.subject_id, closed.through);
        let mut keys = self.keys_through(PARKED, &prefix, &last)?;
        if let Some(from) = closed.from {
            let first = key::letter(&closed.subscriber, closed.subject_id, from);
            keys.retain(|key| *key >= first);
        }
        self.count_letters(&closed.subscriber, -i64::try_from(keys.len()).unwrap_or(i64::MAX))?;
        for key in keys {
            self.batch.remove(PARKED, key);
        }
        Ok(())
    }

    fn count_letters(&mut self, subscriber: &SubscriberName, more: i64) -> Result<(), Fault> {
        let key = key::letter_count(subscriber);
        let count = self.get(CONTROL, &key)?.map_or(Ok(0), |bytes| row::number(&bytes))?;
        self.batch.put(CONTROL, key, count.saturating_add_signed(more).to_be_bytes().to_vec());
        Ok(())
    }

    pub(super) fn put_json<T: serde::Serialize>(
        &mut self,
        area: Area,
        key: Vec<u8>,
        fact: &T,
    ) -> Result<(), Fault> {
        self.batch.put(area, key, row::to_json(fact)?);
        Ok(())
    }

    pub(super) fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.batch.change(area, key) {
            Some(change) => Ok(change.map(<[u8]>::to_vec)),
            None => self.pairs.get(area, key),
        }
    }

    /// The keys with this prefix up to and including `last`.
    fn keys_through(&self, area: Area, prefix: &[u8], last: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
        let is_set = |(key, value): (&[u8], Option<&[u8]>)| value.map(|_| key.to_vec());
        let mut keys: Vec<_> = self.batch.changes(area, prefix).filter_map(is_set).collect();
        let mut start = prefix.to_vec();
        loop {
            let page = self.pairs.scan(area, prefix, &start, PAGE)?;
            let Some((end, _)) = page.last() else { break };
            start = just_after(end);
            let is_unchanged = |key: &Vec<u8>| self.batch.change(area, key).is_none();
            keys.extend(page.into_iter().map(|(key, _)| key).filter(is_unchanged));
            if start.as_slice() > last {
                break;
            }
        }
        keys.retain(|key| key.as_slice() <= last);
        Ok(keys)
    }
}
