//! The log: events, control facts and leaves in one order, made durable together.
//!
//! ```text
//! offset   0      1       2       3       4       5
//!        +------+-------+-------+-------+-------+-------+
//!        | Event| Event | Leaf  | Leaf  | Fact  | Event | ...
//!        +------+-------+-------+-------+-------+-------+
//!        |<------- commit 0: one sync ----->|<- commit 1
//! ```
//!
//! Offsets are ordered and opaque; a reader may meet gaps. One writer, fenced by its epoch. The disk form is
//! [`SegmentLog`] (bytes: `docs/reference/log-format.md`, reasons: ADR 0009), its twin is [`MemoryLog`].

mod frame;
mod memory;
mod options;
mod reader;
mod record;
mod recovery;
mod segment;
mod shared;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use memory::MemoryLog;
pub use options::{COMMIT_BYTES_MAX, Options, Salts};
pub use recovery::{Opened, Recovery, TornTail};
pub use writer::SegmentLog;

use writ_model::control::ControlFact;
use writ_model::envelope::ClearHeader;
use writ_model::id::{Epoch, Offset, Sequence, Slot};
use writ_model::lineage::Ordinals;
use writ_model::time::Timestamp;
use writ_model::verdict::Decision;

use crate::error::{AppendError, ReadError};
use crate::seal::{Sealed, SealedPart};

/// An event to be appended.
#[derive(Debug)]
pub struct NewEvent {
    /// Made from a `Cleared` by [`crate::seal`], and from nothing else.
    pub sealed: Sealed,
    /// Must be the slot's tail plus one, else the append is refused whole.
    pub sequence: Sequence,
    /// The other numbers it got at admission.
    pub ordinals: Ordinals,
    /// When its final leaf is due at the latest.
    pub settle_by: Timestamp,
    /// Its intent leaf, canonical bytes.
    pub intent: Vec<u8>,
}

/// What one append makes durable: all of it or nothing.
#[derive(Debug, Default)]
pub struct Commit {
    /// Events, in order.
    pub events: Vec<NewEvent>,
    /// Control facts, in order, after the events.
    pub facts: Vec<ControlFact>,
    /// Leaves other than the events' intents, canonical bytes; their indices follow the intents'.
    pub leaves: Vec<Vec<u8>>,
}

impl Commit {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        let Self { events, facts, leaves } = self;
        events.is_empty() && facts.is_empty() && leaves.is_empty()
    }
}

/// Where an append went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The events' offsets, in order.
    pub offsets: Vec<Offset>,
    /// The log's end after this commit: the next offset to be given.
    pub end: Offset,
    /// Audit-log index of the first leaf: intents in event order, then the other leaves.
    pub first_leaf: u64,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Where.
    pub offset: Offset,
    /// Number in the slot.
    pub sequence: Sequence,
    /// The other numbers it got at admission; zero in records of before ADR 0035.
    pub ordinals: Ordinals,
    /// The clear part.
    pub header: ClearHeader,
    /// The gate's decision.
    pub decision: Decision,
    /// The sealed parts, each naming its key.
    pub parts: Vec<SealedPart>,
    /// Index of its intent leaf in the audit log.
    pub intent_index: u64,
    /// When its final leaf is due at the latest.
    pub settle_by: Timestamp,
    /// Stored size in bytes.
    pub bytes: u32,
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An event.
    Event(Box<StoredEvent>),
    /// A control fact.
    Fact(Offset, ControlFact),
    /// A leaf: its audit-log index and canonical bytes. Intents come right after the events of their commit.
    Leaf(Offset, u64, Vec<u8>),
}

impl Record {
    /// Where it is.
    pub fn offset(&self) -> Offset {
        match self {
            Self::Event(event) => event.offset,
            Self::Fact(offset, _) | Self::Leaf(offset, ..) => *offset,
        }
    }
}

/// The writer's side of one shard: one writer, one order, one sync. A second opening is refused
/// (`WRIT-5004`). A store has one shard; more of them are more logs (ADR 0008).
pub trait Log: Send {
    /// Appends one commit and syncs it. When it returns `Ok`, all of it survives a power cut; on any
    /// error but `Indeterminate` nothing of it was stored. After a failed write or sync the log is
    /// poisoned: every later append fails, and only a new opening (which reads the tail) goes on. A full
    /// disk (`Full`) does not poison: the append may be repeated when there is space.
    ///
    /// `epoch` below the log's is refused (`Fenced`); one above it takes over and is durable with the
    /// commit. An empty commit stores nothing and costs no sync.
    fn append(&mut self, epoch: Epoch, commit: Commit) -> Result<Appended, AppendError>;

    /// A handle for reading what is committed, from any thread.
    fn reader(&self) -> Box<dyn LogReader>;

    /// The writer's epoch: what this opening was given, or a later one that took over.
    fn epoch(&self) -> Epoch;

    /// The oldest offset that is still stored.
    fn start(&self) -> Offset;

    /// A bound: no record that is appended later has a smaller offset. Offsets below it may be missing.
    fn end(&self) -> Offset;

    /// The slot's last given number; zero when it has none.
    fn tail(&self, slot: Slot) -> Sequence;

    /// How many leaves the log has given an index.
    fn leaf_count(&self) -> u64;

    /// Drops whole segments all of whose records are below `keep_from`. Returns the new start.
    fn truncate_before(&mut self, keep_from: Offset) -> Result<Offset, AppendError>;
}

/// One segment of the log, as retention sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSpan {
    /// Counts the segments of the log, from 1.
    pub number: u64,
    /// The offset of its first record.
    pub from: Offset,
    /// The first offset after it; of the last segment, the log's end.
    pub to: Offset,
    /// Its committed bytes.
    pub bytes: u64,
    /// Records are still appended to it: it cannot be dropped.
    pub is_open: bool,
}

/// The readers' side: sees committed records only, in order, while the writer goes on. It may lag behind an
/// append that has returned; on a local disk it does not.
pub trait LogReader: Send {
    /// Records from `from` on, as many as fit `bytes_max`, at least one if there is one; empty at the end.
    /// `from` below the start is an error (`ReadError::BehindRetention`).
    fn read(&mut self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, ReadError>;

    /// The events among what [`LogReader::read`] gives for the same stretch, and where to read on: behind the last
    /// record that was passed, or `from` at the end. Only events are decoded: they are a small part of the log.
    fn events(&mut self, from: Offset, bytes_max: usize) -> Result<(Vec<StoredEvent>, Offset), ReadError> {
        let records = self.read(from, bytes_max)?;
        let next = records.last().map_or(from, |last| last.offset().next());
        let event = |record| match record {
            Record::Event(event) => Some(*event),
            Record::Fact(..) | Record::Leaf(..) => None,
        };
        Ok((records.into_iter().filter_map(event).collect(), next))
    }

    /// Another reader of the same log.
    fn another(&self) -> Box<dyn LogReader>;

    /// What the log consists of, oldest first: the units that [`Log::truncate_before`] drops. The last one is
    /// open.
    fn segments(&self) -> Vec<SegmentSpan>;

    /// The oldest offset that is stored.
    fn start(&self) -> Offset {
        self.segments().first().map_or(Offset::ZERO, |segment| segment.from)
    }
}
