//! The log's twin in memory: the same contract, nothing durable. Clones made by [`MemoryLog::reopen`] share
//! the records, as two writers of one store would, so that fencing can be seen without a disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use writ_model::id::{Epoch, Offset, Sequence, Slot};

use super::{Appended, Commit, Log, LogReader, NewEvent, Record, SegmentSpan, StoredEvent};
use crate::error::{AppendError, ReadError};

/// A log in memory.
#[derive(Default)]
pub struct MemoryLog {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    records: VecDeque<Record>,
    /// Where each stored commit begins: what truncation drops whole.
    commits: VecDeque<u64>,
    start: u64,
    end: u64,
    leaf_count: u64,
    tails: BTreeMap<Slot, Sequence>,
    epoch: u64,
}

impl MemoryLog {
    /// An empty log with its first writer's epoch.
    pub fn new() -> Self {
        Self::default().reopen()
    }

    /// Another writer of the same records, with an epoch above every earlier one.
    pub fn reopen(&self) -> Self {
        shelf(&self.shelf).epoch += 1;
        Self { shelf: self.shelf.clone() }
    }
}

fn shelf(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn check_sequences(&self, commit: &Commit) -> Result<BTreeMap<Slot, Sequence>, AppendError> {
        let mut tails = self.tails.clone();
        for event in &commit.events {
            let slot = event.sealed.header().slot;
            let (tail, given) = (tails.get(&slot).copied().unwrap_or_default(), event.sequence);
            if given != tail.next() {
                return Err(AppendError::SequenceConflict { slot, tail, given });
            }
            tails.insert(slot, given);
        }
        Ok(tails)
    }

    fn push(&mut self, record: impl FnOnce(Offset) -> Record) {
        let offset = Offset(self.end);
        self.records.push_back(record(offset));
        self.end += 1;
    }

    fn push_event(&mut self, event: NewEvent, intent_index: u64) -> Vec<u8> {
        let NewEvent { sealed, sequence, ordinals, settle_by, intent } = event;
        let (header, decision, parts) = sealed.into_parts();
        let bytes = parts.iter().map(|part| part.ciphertext.len()).sum::<usize>() as u32;
        self.push(|offset| {
            Record::Event(Box::new(StoredEvent {
                offset,
                sequence,
                ordinals,
                header,
                decision,
                parts,
                intent_index,
                settle_by,
                bytes,
            }))
        });
        intent
    }

    fn push_leaf(&mut self, leaf: Vec<u8>) {
        let index = self.leaf_count;
        self.leaf_count += 1;
        self.push(|offset| Record::Leaf(offset, index, leaf));
    }
}

impl Log for MemoryLog {
    fn append(&mut self, epoch: Epoch, commit: Commit) -> Result<Appended, AppendError> {
        let mut shelf = shelf(&self.shelf);
        if epoch.0 < shelf.epoch {
            return Err(AppendError::Fenced { given: epoch, current: Epoch(shelf.epoch) });
        }
        let tails = shelf.check_sequences(&commit)?;
        let (first, first_leaf) = (shelf.end, shelf.leaf_count);
        if commit.is_empty() {
            return Ok(Appended { offsets: Vec::new(), end: Offset(first), first_leaf });
        }
        shelf.epoch = epoch.0;
        shelf.tails = tails;
        shelf.commits.push_back(first);
        let events = commit.events.len() as u64;
        let mut intents = Vec::new();
        for (number, event) in commit.events.into_iter().enumerate() {
            let intent = shelf.push_event(event, first_leaf + number as u64);
            intents.push(intent);
        }
        intents.into_iter().chain(commit.leaves).for_each(|leaf| shelf.push_leaf(leaf));
        for fact in commit.facts {
            shelf.push(|offset| Record::Fact(offset, fact));
        }
        let offsets = (first..first + events).map(Offset).collect();
        Ok(Appended { offsets, end: Offset(shelf.end), first_leaf })
    }

    fn reader(&self) -> Box<dyn LogReader> {
        Box::new(MemoryReader { shelf: self.shelf.clone() })
    }

    fn epoch(&self) -> Epoch {
        Epoch(shelf(&self.shelf).epoch)
    }

    fn start(&self) -> Offset {
        Offset(shelf(&self.shelf).start)
    }

    fn end(&self) -> Offset {
        Offset(shelf(&self.shelf).end)
    }

    fn tail(&self, slot: Slot) -> Sequence {
        shelf(&self.shelf).tails.get(&slot).copied().unwrap_or_default()
    }

    fn leaf_count(&self) -> u64 {
        shelf(&self.shelf).leaf_count
    }

    fn truncate_before(&mut self, keep_from: Offset) -> Result<Offset, AppendError> {
        let mut shelf = shelf(&self.shelf);
        while shelf.commits.get(1).is_some_and(|next| *next <= keep_from.0) {
            shelf.commits.pop_front();
        }
        let start = shelf.commits.front().copied().unwrap_or(shelf.end);
        let dropped = (start - shelf.start) as usize;
        shelf.records.drain(..dropped);
        shelf.start = start;
        Ok(Offset(start))
    }
}

struct MemoryReader {
    shelf: Arc<Mutex<Shelf>>,
}

/// What a record counts against a read's limit.
fn weight(record: &Record) -> usize {
    match record {
        Record::Event(event) => event.bytes as usize,
        Record::Leaf(_, _, bytes) => bytes.len(),
        Record::Fact(..) => 1,
    }
}

impl LogReader for MemoryReader {
    fn read(&mut self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let shelf = shelf(&self.shelf);
        let Some(skipped) = from.0.checked_sub(shelf.start) else {
            return Err(ReadError::BehindRetention { from, start: Offset(shelf.start) });
        };
        let mut records: Vec<Record> = Vec::new();
        let mut room = bytes_max;
        for record in shelf.records.iter().skip(skipped as usize) {
            let bytes = weight(record);
            if bytes > room && !records.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            records.push(record.clone());
        }
        Ok(records)
    }

    fn another(&self) -> Box<dyn LogReader> {
        Box::new(Self { shelf: Arc::clone(&self.shelf) })
    }

    fn segments(&self) -> Vec<SegmentSpan> {
        let shelf = shelf(&self.shelf);
        let ends = shelf.commits.iter().skip(1).copied().chain([shelf.end]);
        let last = shelf.commits.len().saturating_sub(1);
        let spans = shelf.commits.iter().zip(ends).enumerate();
        let span = |(at, (from, to)): (usize, (&u64, u64))| SegmentSpan {
            number: at as u64 + 1,
            from: Offset(*from),
            to: Offset(to),
            bytes: to - from,
            is_open: at == last,
        };
        spans.map(span).collect()
    }
}
