//! The real segment log over the simulated disk.
//!
//! A stored event can only be made from what the gate cleared. Until the gate is part of this world, events
//! and finals are put into the log as leaves, in the same commits, frames and syncs.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use writ_model::control::ControlFact;
use writ_model::id::{Epoch, Offset};
use writ_store::disk::SimDisk;
use writ_store::error::AppendError;
use writ_store::log::{Commit, Log, Options, Record, Salts, SegmentLog};

use crate::upstream::Event;

const DIR: &str = "/sim/log";

/// What one read of the whole tape asks for at a time.
const READ_BYTES: usize = 1 << 20;

/// One record of the tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    Event(Event),
    Final(Offset, Vec<(u16, String)>),
    #[serde(skip)]
    Fact(ControlFact),
}

/// What waits for the next commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    pub(crate) events: Vec<Event>,
    pub(crate) finals: Vec<(Offset, Vec<(u16, String)>)>,
    pub(crate) facts: Vec<ControlFact>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.finals.is_empty() && self.facts.is_empty()
    }
}

pub(crate) struct Tape {
    log: SegmentLog,
    epoch: Epoch,
}

impl Tape {
    pub(crate) fn open(disk: &SimDisk, seed: u64) -> Result<Self, String> {
        let options = Options { segment_bytes: 16 << 10, index_bytes: 1 << 10, salts: Salts::Seeded(seed) };
        let opened = SegmentLog::open(Arc::new(disk.clone()), Path::new(DIR), options);
        let opened = opened.map_err(|error| format!("the log does not open: {error}"))?;
        Ok(Self { log: opened.log, epoch: opened.recovery.epoch })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn end(&self) -> Offset {
        self.log.end()
    }

    pub(crate) fn append(&mut self, pending: &Pending) -> Result<(), AppendError> {
        let events = pending.events.iter().cloned().map(Entry::Event);
        let finals = pending.finals.iter().cloned().map(|(offset, how)| Entry::Final(offset, how));
        let leaves =
            events.chain(finals).map(|entry| serde_json::to_vec(&entry).expect("plain data")).collect();
        let commit = Commit { events: Vec::new(), facts: pending.facts.clone(), leaves };
        self.log.append(self.epoch, commit).map(|_| ())
    }

    /// Everything from an offset on, as far as `bytes_max` goes.
    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<(Offset, Entry)>, String> {
        let records = self.log.reader().read(from, bytes_max).map_err(|error| error.to_string())?;
        records.into_iter().map(decode).collect()
    }

    /// Everything from an offset on.
    pub(crate) fn read_all(&self, mut from: Offset) -> Result<Vec<(Offset, Entry)>, String> {
        let mut all = Vec::new();
        while from < self.end() {
            let some = self.read(from, READ_BYTES)?;
            let Some((last, _)) = some.last() else { return Err(format!("no record at {from}")) };
            from = last.next();
            all.extend(some);
        }
        Ok(all)
    }
}

fn decode(record: Record) -> Result<(Offset, Entry), String> {
    match record {
        Record::Fact(offset, fact) => Ok((offset, Entry::Fact(fact))),
        Record::Leaf(offset, _, bytes) => {
            let entry =
                serde_json::from_slice(&bytes).map_err(|error| format!("leaf at {offset}: {error}"))?;
            Ok((offset, entry))
        }
        Record::Event(event) => Err(format!("unexpected event at {}", event.offset)),
    }
}
