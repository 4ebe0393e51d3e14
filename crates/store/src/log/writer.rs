//! The writer: one commit, one frame, one sync. Checks first, writes second, publishes last.
//!
//! What it must never do: sync twice in the hope of better luck, or publish what is not synced.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use writ_model::id::{Epoch, Offset, Sequence, Slot};

use super::frame::{Counts, FrameHeader, HEADER_BYTES};
use super::options::{COMMIT_BYTES_MAX, Options};
use super::reader::SegmentReader;
use super::record;
use super::recovery::{self, Opened};
use super::segment::{self, SegmentHeader};
use super::shared::{Segment, Shared};
use super::{Appended, Commit, Log, LogReader};
use crate::disk::{Disk, DiskFile, DiskLock};
use crate::error::{AppendError, ReadError};

/// The encoding buffer is kept between commits up to this size.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// The log in segment files under one directory.
pub struct SegmentLog {
    pub(super) shared: Arc<Shared>,
    pub(super) options: Options,
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(super) position: u64,
    pub(super) next_commit: u64,
    pub(super) epoch: u64,
    pub(super) leaf_count: u64,
    /// The last given number of every slot, by slot number.
    pub(super) tails: Vec<Sequence>,
    pub(super) is_poisoned: bool,
    pub(super) buffer: Vec<u8>,
    pub(super) _lock: Box<dyn DiskLock>,
}

impl SegmentLog {
    /// Opens the log in `dir`, making it if there is none, and takes its lock. A torn last frame is cut off
    /// and reported; any other damage is an error and nothing is changed. When it returns, everything that
    /// readers will see is durable, and so is the new writer's epoch.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Opened, ReadError> {
        recovery::open(disk, dir, options)
    }

    fn check_sequences(&self, commit: &Commit) -> Result<BTreeMap<Slot, Sequence>, AppendError> {
        let mut moved = BTreeMap::new();
        for event in &commit.events {
            let slot = event.sealed.header().slot;
            let tail = moved.get(&slot).copied().unwrap_or_else(|| self.tail(slot));
            let given = event.sequence;
            if given != tail.next() {
                return Err(AppendError::SequenceConflict { slot, tail, given });
            }
            moved.insert(slot, given);
        }
        Ok(moved)
    }

    /// Leaves the commit's frame in the buffer, its header's salt and checksums still to be filled in.
    fn encode(&mut self, commit: Commit) -> Result<Counts, AppendError> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer.resize(HEADER_BYTES, 0);
        let counts = record::encode(commit, &mut self.buffer);
        let bytes = self.buffer.len() as u64;
        if bytes > COMMIT_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes, bytes_max: COMMIT_BYTES_MAX });
        }
        Ok(counts)
    }

    /// Writes and syncs the frame in the buffer; afterwards it is durable but not published.
    pub(super) fn write_frame(&mut self, epoch: u64, counts: Counts) -> Result<FrameHeader, AppendError> {
        if self.position + self.buffer.len() as u64 > self.options.segment_bytes
            && self.position > self.segment.data_start
        {
            self.roll(epoch)?;
        }
        let payload = &self.buffer[HEADER_BYTES..];
        let header = FrameHeader {
            length: u32::try_from(payload.len()).expect("a commit is at most COMMIT_BYTES_MAX"),
            salt: self.segment.salt,
            commit: self.next_commit,
            epoch,
            first_offset: self.shared.end(),
            first_leaf: self.leaf_count,
            counts,
            payload_crc: crc32c::crc32c(payload),
        };
        self.buffer[..HEADER_BYTES].copy_from_slice(&header.encode());
        if let Err(error) = self.file.write_at(&self.buffer, self.position) {
            return Err(self.write_failed(error));
        }
        if let Err(error) = self.file.sync_data() {
            return Err(self.poison("sync", error));
        }
        Ok(header)
    }

    /// Makes what was just synced visible.
    pub(super) fn publish(&mut self, header: &FrameHeader) {
        self.segment.note(header.first_offset, self.position);
        self.position += header.frame_bytes();
        self.next_commit += 1;
        self.epoch = header.epoch;
        self.leaf_count = header.end_leaf();
        self.segment.commit(self.position);
        self.shared.publish(header.end_offset());
    }

    /// A full disk leaves at most a part of the frame, which is never a frame: once it is cut off, the log
    /// can go on. Any other failed write may have left all of it.
    fn write_failed(&mut self, error: io::Error) -> AppendError {
        let is_clean = is_full(&error) && self.file.set_len(self.position).is_ok();
        if !is_clean {
            return self.poison("write", error);
        }
        let reserved = self.options.segment_bytes.max(self.position);
        if let Err(error) = self.file.set_len(reserved) {
            tracing::debug!(segment = %self.segment.name, %error, "segment goes on without reserved length");
        }
        AppendError::Full { path: self.segment.name.clone(), bytes: self.buffer.len() as u64 }
    }

    /// A segment that is not there was removed before, by an attempt that failed later on.
    fn remove(&self, segment: &Segment) -> io::Result<()> {
        match self.shared.disk.remove(&self.shared.dir.join(&segment.name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.shared.disk.sync_dir(&self.shared.dir)
    }

    fn poison(&mut self, tried: &str, error: io::Error) -> AppendError {
        self.is_poisoned = true;
        AppendError::Indeterminate { cause: format!("{tried} of segment {}: {error}", self.segment.name) }
    }

    /// Begins the next segment; the one before it gives back the length that it did not use.
    fn roll(&mut self, epoch: u64) -> Result<(), AppendError> {
        let number = self.segment.number + 1;
        let tails = self.tails.iter().enumerate().filter(|(_, tail)| tail.0 > 0);
        let header = SegmentHeader {
            number,
            salt: self.options.salts.draw(number, epoch),
            base_offset: self.shared.end(),
            base_leaf: self.leaf_count,
            base_commit: self.next_commit,
            epoch,
            previous_end: self.position,
            tails: tails.map(|(slot, tail)| (Slot::new(slot as u16), *tail)).collect(),
        };
        let reserved = self.options.segment_bytes.max(header.bytes() + self.buffer.len() as u64);
        let file = match begin_segment(self.shared.disk.as_ref(), &self.shared.dir, &header, reserved) {
            Ok(file) => file,
            Err(BeginError::Full) => {
                return Err(AppendError::Full { path: segment::name(number), bytes: header.bytes() });
            }
            Err(BeginError::Failed(error)) => return Err(self.poison("begin the successor", error)),
        };
        if let Err(error) = self.file.set_len(self.position) {
            tracing::debug!(segment = %self.segment.name, %error, "segment keeps its reserved length");
        }
        let next = Arc::new(Segment::new(&header, header.bytes(), self.options.index_bytes));
        self.shared.push(next.clone());
        (self.segment, self.file, self.position) = (next, file, header.bytes());
        Ok(())
    }
}

/// Why a segment could not be begun.
pub(super) enum BeginError {
    /// No space; there is no trace of it.
    Full,
    /// Nobody knows whether it is there.
    Failed(io::Error),
}

/// Makes a segment file. It gets its name when its header is durable, so a segment's header is never torn.
pub(super) fn begin_segment(
    disk: &dyn Disk,
    dir: &Path,
    header: &SegmentHeader,
    reserved: u64,
) -> Result<Arc<dyn DiskFile>, BeginError> {
    let unfinished = dir.join(segment::unfinished_name(header.number));
    let write = || -> io::Result<Arc<dyn DiskFile>> {
        let file = disk.create(&unfinished)?;
        file.set_len(reserved)?;
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        Ok(file)
    };
    let file = match write() {
        Ok(file) => file,
        Err(error) if is_full(&error) && disk.remove(&unfinished).is_ok() => return Err(BeginError::Full),
        Err(error) => return Err(BeginError::Failed(error)),
    };
    disk.rename(&unfinished, &dir.join(segment::name(header.number))).map_err(BeginError::Failed)?;
    disk.sync_dir(dir).map_err(BeginError::Failed)?;
    Ok(file)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl Log for SegmentLog {
    fn append(&mut self, epoch: Epoch, commit: Commit) -> Result<Appended, AppendError> {
        if self.is_poisoned {
            return Err(AppendError::Poisoned);
        }
        if epoch.0 < self.epoch {
            return Err(AppendError::Fenced { given: epoch, current: self.epoch() });
        }
        let moved = self.check_sequences(&commit)?;
        if commit.is_empty() {
            return Ok(Appended { offsets: Vec::new(), end: self.end(), first_leaf: self.leaf_count });
        }
        let counts = self.encode(commit)?;
        let header = self.write_frame(epoch.0, counts)?;
        self.publish(&header);
        for (slot, sequence) in moved {
            self.tails[usize::from(slot.number())] = sequence;
        }
        let events = header.first_offset..header.first_offset + u64::from(counts.events);
        Ok(Appended {
            offsets: events.map(Offset).collect(),
            end: Offset(header.end_offset()),
            first_leaf: header.first_leaf,
        })
    }

    fn reader(&self) -> Box<dyn LogReader> {
        Box::new(SegmentReader::new(self.shared.clone()))
    }

    fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    fn start(&self) -> Offset {
        Offset(self.shared.start())
    }

    fn end(&self) -> Offset {
        Offset(self.shared.end())
    }

    fn tail(&self, slot: Slot) -> Sequence {
        self.tails[usize::from(slot.number())]
    }

    fn leaf_count(&self) -> u64 {
        self.leaf_count
    }

    fn truncate_before(&mut self, keep_from: Offset) -> Result<Offset, AppendError> {
        // One by one and each made durable, so that a crash never leaves a gap in the middle.
        while let Some(dropped) = self.shared.take_first_before(keep_from.0) {
            if let Err(error) = self.remove(&dropped) {
                let cause = format!("remove segment {}: {error}", dropped.name);
                // What follows it must not go while it may be there.
                self.shared.put_back(dropped);
                return Err(AppendError::Indeterminate { cause });
            }
        }
        Ok(self.start())
    }
}
