//! What the writer and its readers share: the list of segments, how far each is committed, where offsets lie
//! in it. The writer publishes after its sync; a reader never sees anything else.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use writ_model::id::Offset;

use super::SegmentSpan;
use super::segment::{self, SegmentHeader};
use crate::disk::Disk;

/// A log as its readers know it.
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    /// Ascending and never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    end: AtomicU64,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segments: Vec<Arc<Segment>>, end: u64) -> Self {
        Self { disk, dir, segments: RwLock::new(segments), end: AtomicU64::new(end) }
    }

    /// The oldest offset that is stored.
    pub(super) fn start(&self) -> u64 {
        self.read().first().map_or(0, |segment| segment.base_offset)
    }

    /// The next offset to be given; everything below it is committed.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Called after the commit that ends here was synced and its segment's end moved.
    pub(super) fn publish(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// The segment that holds an offset, if it is not older than what is kept. Segments without records
    /// share their base with the next one, hence the last that begins at or before it.
    pub(super) fn holding(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.read();
        let after = segments.partition_point(|segment| segment.base_offset <= offset);
        after.checked_sub(1).map(|at| segments[at].clone())
    }

    /// The segment after this one.
    pub(super) fn following(&self, number: u64) -> Option<Arc<Segment>> {
        let segments = self.read();
        segments.iter().find(|segment| segment.number == number + 1).cloned()
    }

    /// All segments, oldest first.
    pub(super) fn spans(&self) -> Vec<SegmentSpan> {
        let end = self.end();
        let segments = self.read();
        let ends = segments.iter().skip(1).map(|next| next.base_offset).chain([end]);
        let last = segments.len().saturating_sub(1);
        let spans = segments.iter().zip(ends).enumerate();
        let span = |(at, (segment, to)): (usize, (&Arc<Segment>, u64))| SegmentSpan {
            number: segment.number,
            from: Offset(segment.base_offset),
            to: Offset(to),
            bytes: segment.committed(),
            is_open: at == last,
        };
        spans.map(span).collect()
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// Takes out the oldest segment, if all its records are below an offset; never the last one.
    pub(super) fn take_first_before(&self, keep_from: u64) -> Option<Arc<Segment>> {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let goes = segments.get(1).is_some_and(|next| next.base_offset <= keep_from);
        goes.then(|| segments.remove(0))
    }

    /// The segment that was taken out last is the oldest one again.
    pub(super) fn put_back(&self, segment: Arc<Segment>) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).insert(0, segment);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A segment as its readers know it.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) salt: u64,
    pub(super) base_offset: u64,
    /// Where the first frame begins.
    pub(super) data_start: u64,
    pub(super) name: String,
    index_bytes: u64,
    committed: AtomicU64,
    marks: Mutex<Vec<Mark>>,
}

/// The frame that begins with this offset begins at this byte.
#[derive(Clone, Copy)]
struct Mark {
    offset: u64,
    at: u64,
}

impl Segment {
    pub(super) fn new(header: &SegmentHeader, committed: u64, index_bytes: u64) -> Self {
        Self {
            number: header.number,
            salt: header.salt,
            base_offset: header.base_offset,
            data_start: header.bytes(),
            name: segment::name(header.number),
            index_bytes,
            committed: AtomicU64::new(committed),
            marks: Mutex::new(Vec::new()),
        }
    }

    /// Where the committed frames end.
    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Called after everything up to here was synced.
    pub(super) fn commit(&self, end: u64) {
        self.committed.store(end, Ordering::Release);
    }

    /// Notes where a frame begins, if no note is near. Whoever passes may note: the index of a segment from
    /// before a restart grows as it is read.
    pub(super) fn note(&self, offset: u64, at: u64) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let last_at = marks.last().map_or(self.data_start, |mark| mark.at);
        if at >= last_at + self.index_bytes {
            marks.push(Mark { offset, at });
        }
    }

    /// Where to begin looking for an offset: a frame that does not begin after it.
    pub(super) fn nearest(&self, offset: u64) -> u64 {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let after = marks.partition_point(|mark| mark.offset <= offset);
        after.checked_sub(1).map_or(self.data_start, |at| marks[at].at)
    }
}
