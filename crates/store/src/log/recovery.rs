//! Opening a log: headers of all segments, frames of the last one. A torn last frame is cut off; anything
//! else that is wrong is reported with segment and byte, and left as it is.
//!
//! Damage to the very last frame cannot be told from a torn write. Who needs to know more compares the
//! log's end with what was derived from it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use writ_model::id::{Epoch, Offset, Sequence, Slot};

use super::frame::{Counts, Fault, FrameHeader, HEADER_BYTES, MAGIC};
use super::options::Options;
use super::record;
use super::segment::{self, FIXED_BYTES, FORMAT, HEADER_BYTES_MAX, HeaderFault, SegmentHeader};
use super::shared::{Segment, Shared};
use super::window::{FrameError, READ_BYTES, Window};
use super::writer::{BeginError, SegmentLog, begin_segment};
use crate::disk::{Disk, DiskFile, DiskLock};
use crate::error::{AppendError, ReadError};

/// The name of the lock file.
const LOCK: &str = "lock";

/// How much is searched at once for a frame behind a damaged one.
const SEARCH_BYTES: u64 = 1 << 20;

/// An opened log and what was found.
pub struct Opened {
    /// The log; its epoch is [`Recovery::epoch`].
    pub log: SegmentLog,
    /// What was found and done.
    pub recovery: Recovery,
}

/// What an opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The new writer's epoch, already durable.
    pub epoch: Epoch,
    /// The oldest stored offset.
    pub start: Offset,
    /// The next offset to be given.
    pub end: Offset,
    /// How many segments there are.
    pub segments: u64,
    /// How many bytes of frames were read and checked.
    pub scanned_bytes: u64,
    /// The torn last frame that was cut off, if there was one.
    pub torn: Option<TornTail>,
}

/// Bytes after the last whole frame that were not one; cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// In which segment.
    pub segment: String,
    /// From which byte on.
    pub at: u64,
    /// Why they are not a frame.
    pub cause: String,
}

struct Dir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// The last segment after its scan.
struct Tail {
    header: SegmentHeader,
    file: Arc<dyn DiskFile>,
    /// Where its frames end.
    end: u64,
    /// The last frame and where it begins.
    last: Option<(FrameHeader, u64)>,
    tails: Vec<Sequence>,
    torn: Option<TornTail>,
}

pub(super) fn open(disk: Arc<dyn Disk>, path: &Path, options: Options) -> Result<Opened, ReadError> {
    let dir = Dir { disk, path: path.to_owned() };
    dir.disk.create_dir(path).map_err(dir.failed("make the directory"))?;
    let lock = dir.lock()?;
    let headers = dir.headers(&options)?;
    let tail = dir.scan_last(&headers)?;
    dir.settle(&tail, &options)?;
    let log = dir.writer(&headers, tail, options, lock)?;
    Ok(log)
}

impl Dir {
    fn failed(&self, tried: &str) -> impl Fn(io::Error) -> ReadError + use<> {
        let tried = format!("{tried} {}", self.path.display());
        move |source| ReadError::Io { tried: tried.clone(), source }
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, ReadError> {
        self.disk.lock(&self.path.join(LOCK)).map_err(|source| match source.kind() {
            ErrorKind::WouldBlock => ReadError::Locked { path: self.path.display().to_string() },
            _ => self.failed("lock")(source),
        })
    }

    /// The headers of all segments, which follow one another without a gap; makes the first segment of an
    /// empty log.
    fn headers(&self, options: &Options) -> Result<Vec<SegmentHeader>, ReadError> {
        let names = self.disk.list(&self.path).map_err(self.failed("list"))?;
        for name in names.iter().filter(|name| segment::is_unfinished(name)) {
            self.disk.remove(&self.path.join(name)).map_err(self.failed("clean up"))?;
        }
        let numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
        let mut headers: Vec<SegmentHeader> = Vec::with_capacity(numbers.len());
        let mut length_before = 0;
        for number in numbers {
            let (header, length) = self.header(number)?;
            if let Some(before) = headers.last() {
                check_succession(before, length_before, &header)?;
            }
            headers.push(header);
            length_before = length;
        }
        if headers.is_empty() {
            headers.push(self.found(options)?);
        }
        Ok(headers)
    }

    fn header(&self, number: u64) -> Result<(SegmentHeader, u64), ReadError> {
        let name = segment::name(number);
        let file = self.disk.open(&self.path.join(&name)).map_err(self.failed("open a segment of"))?;
        let length = file.len().map_err(self.failed("measure a segment of"))?;
        let mut bytes = vec![0; HEADER_BYTES_MAX];
        let read = file.read_at(&mut bytes, 0).map_err(self.failed("read a segment of"))?;
        match SegmentHeader::decode(&bytes[..read]) {
            Ok(header) if header.number == number => Ok((header, length)),
            Ok(_) => Err(corrupt(number, FIXED_BYTES as u64, "the file has another segment's name")),
            Err(HeaderFault::Damaged) => Err(corrupt(number, 0, "the segment's header is damaged")),
            Err(HeaderFault::Format(found)) => Err(ReadError::Version { path: name, found, known: FORMAT }),
        }
    }

    /// The first segment of a new log.
    fn found(&self, options: &Options) -> Result<SegmentHeader, ReadError> {
        let header = SegmentHeader {
            number: 1,
            salt: options.salts.draw(1, 0),
            base_offset: 0,
            base_leaf: 0,
            base_commit: 0,
            epoch: 0,
            previous_end: 0,
            tails: Vec::new(),
        };
        match begin_segment(self.disk.as_ref(), &self.path, &header, options.segment_bytes) {
            Ok(_) => Ok(header),
            Err(BeginError::Full) => Err(self.failed("found a log in")(ErrorKind::StorageFull.into())),
            Err(BeginError::Failed(error)) => Err(self.failed("found a log in")(error)),
        }
    }

    /// Reads and checks every frame of the last segment.
    fn scan_last(&self, headers: &[SegmentHeader]) -> Result<Tail, ReadError> {
        let header = headers.last().expect("a log has a segment").clone();
        let path = self.path.join(segment::name(header.number));
        let file = self.disk.open(&path).map_err(self.failed("open the last segment of"))?;
        let length = file.len().map_err(self.failed("measure the last segment of"))?;
        let mut tails = vec![Sequence(0); usize::from(Slot::COUNT)];
        header.tails.iter().for_each(|(slot, tail)| tails[usize::from(slot.number())] = *tail);
        let mut tail = Tail { end: header.bytes(), header, file, last: None, tails, torn: None };
        let mut window = Window::new(tail.file.clone());
        let fault = loop {
            match window.frame(tail.end, length, tail.header.salt) {
                Ok(frame) => tail.take(frame, &window)?,
                Err(FrameError::Io(error)) => return Err(self.failed("read the last segment of")(error)),
                Err(FrameError::Fault(fault)) => break fault,
            }
        };
        let search = search(&mut window, &tail, length).map_err(self.failed("read the last segment of"))?;
        match search {
            Behind::Nothing => {}
            Behind::Rubbish => {
                let segment = segment::name(tail.header.number);
                tail.torn = Some(TornTail { segment, at: tail.end, cause: fault.to_string() });
            }
            Behind::Frame => return Err(corrupt(tail.header.number, tail.end, &fault.to_string())),
        }
        Ok(tail)
    }

    /// Cuts a torn frame off and makes the last whole one durable. It is written again because, after a
    /// failed sync, the page cache may show what the disk does not have, and calls it clean.
    fn settle(&self, tail: &Tail, options: &Options) -> Result<(), ReadError> {
        let cut = || -> io::Result<()> {
            if tail.torn.is_some() {
                tail.file.set_len(tail.end)?;
            }
            if tail.file.len()? < options.segment_bytes {
                tail.file.set_len(options.segment_bytes)?;
            }
            if let Some((header, at)) = tail.last {
                let mut bytes = vec![0; header.frame_bytes() as usize];
                if tail.file.read_at(&mut bytes, at)? < bytes.len() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                tail.file.write_at(&bytes, at)?;
            }
            tail.file.sync_data()?;
            self.disk.sync_dir(&self.path)
        };
        cut().map_err(self.failed("recover the last segment of"))
    }

    /// The writer, its epoch made durable by a frame without records.
    fn writer(
        &self,
        headers: &[SegmentHeader],
        tail: Tail,
        options: Options,
        lock: Box<dyn DiskLock>,
    ) -> Result<Opened, ReadError> {
        let ends = headers.iter().skip(1).map(|next| next.previous_end).chain([tail.end]);
        let segments: Vec<_> = headers
            .iter()
            .zip(ends)
            .map(|(header, end)| Arc::new(Segment::new(header, end, options.index_bytes)))
            .collect();
        let segment = segments.last().expect("a log has a segment").clone();
        let scanned_bytes = tail.end - segment.data_start;
        let count = segments.len() as u64;
        let shared = Shared::new(self.disk.clone(), self.path.clone(), segments, tail.end_offset());
        let epoch = tail.epoch() + 1;
        let mut log = SegmentLog {
            shared: Arc::new(shared),
            options,
            segment,
            position: tail.end,
            next_commit: tail.next_commit(),
            epoch,
            leaf_count: tail.end_leaf(),
            file: tail.file,
            tails: tail.tails,
            is_poisoned: false,
            buffer: vec![0; HEADER_BYTES],
            _lock: lock,
        };
        let frame = log.write_frame(epoch, Counts::default()).map_err(|error| self.not_begun(error))?;
        log.publish(&frame);
        let recovery = Recovery {
            epoch: Epoch(epoch),
            start: Offset(log.shared.start()),
            end: Offset(log.shared.end()),
            segments: count,
            scanned_bytes,
            torn: tail.torn,
        };
        Ok(Opened { log, recovery })
    }

    fn not_begun(&self, error: AppendError) -> ReadError {
        let source = match &error {
            AppendError::Full { .. } => ErrorKind::StorageFull.into(),
            _ => io::Error::other(error),
        };
        self.failed("write the new epoch in")(source)
    }
}

impl Tail {
    fn end_offset(&self) -> u64 {
        self.last.map_or(self.header.base_offset, |(frame, _)| frame.end_offset())
    }

    fn end_leaf(&self) -> u64 {
        self.last.map_or(self.header.base_leaf, |(frame, _)| frame.end_leaf())
    }

    fn next_commit(&self) -> u64 {
        self.last.map_or(self.header.base_commit, |(frame, _)| frame.commit + 1)
    }

    fn epoch(&self) -> u64 {
        self.last.map_or(self.header.epoch, |(frame, _)| frame.epoch)
    }

    /// Moves on over one whole frame, which must follow the one before it.
    fn take(&mut self, frame: FrameHeader, window: &Window) -> Result<(), ReadError> {
        let follows = frame.commit == self.next_commit()
            && frame.first_offset == self.end_offset()
            && frame.first_leaf == self.end_leaf()
            && frame.epoch >= self.epoch();
        if !follows {
            return Err(corrupt(self.header.number, self.end, &Fault::Order.to_string()));
        }
        let payload = window.slice(self.end + HEADER_BYTES as u64, frame.length as usize);
        let read = read_tails(&frame, payload, &mut self.tails);
        read.map_err(|fault| corrupt(self.header.number, self.end, &fault.to_string()))?;
        self.last = Some((frame, self.end));
        self.end += frame.frame_bytes();
        Ok(())
    }
}

/// Moves the slots' tails on over a frame's events.
fn read_tails(frame: &FrameHeader, payload: &[u8], tails: &mut [Sequence]) -> Result<(), Fault> {
    let (_, mut place) = record::words(payload)?;
    for _ in 0..frame.counts.events {
        let (bytes, next) = place.peek(payload)?;
        let (slot, sequence) = record::slot_and_sequence(bytes)?;
        tails[usize::from(slot.number())] = sequence;
        place = next;
    }
    Ok(())
}

fn check_succession(
    before: &SegmentHeader,
    length_before: u64,
    header: &SegmentHeader,
) -> Result<(), ReadError> {
    if header.number != before.number + 1 {
        return Err(corrupt(before.number + 1, 0, "the segment is missing"));
    }
    if length_before < header.previous_end {
        return Err(corrupt(before.number, length_before, "the file is shorter than its successor says"));
    }
    let follows = header.base_offset >= before.base_offset
        && header.base_leaf >= before.base_leaf
        && header.base_commit >= before.base_commit
        && header.epoch >= before.epoch;
    if follows {
        Ok(())
    } else {
        Err(corrupt(header.number, 0, "the segment does not follow the one before it"))
    }
}

fn corrupt(number: u64, at: u64, cause: &str) -> ReadError {
    ReadError::Corrupt { segment: segment::name(number), at, cause: cause.to_owned() }
}

/// What lies behind the last whole frame.
enum Behind {
    /// Zeros to the end of the file.
    Nothing,
    /// Something, but no frame of this segment.
    Rubbish,
    /// A later frame: what stands before it was whole once.
    Frame,
}

/// Looks through the rest of the file. A header with the right salt and checksum is proof enough: frames are
/// written one at a time, each after the one before it was synced.
fn search(window: &mut Window, tail: &Tail, length: u64) -> io::Result<Behind> {
    let mut found = Behind::Nothing;
    let mut at = tail.end;
    while at < length {
        let bytes = window.cover(at, SEARCH_BYTES, length, SEARCH_BYTES)?;
        if bytes.is_empty() {
            break;
        }
        // Reserved length is most of a young segment; a frame begins with bytes that are not zero.
        if is_zero(bytes) {
            at += bytes.len() as u64;
            continue;
        }
        found = Behind::Rubbish;
        let is_frame = |start: &usize| FrameHeader::decode(&bytes[*start..], tail.header.salt).is_ok();
        let mut starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, w)| *w == MAGIC).map(|(i, _)| i);
        // The damaged frame's own header does not count.
        if starts.any(|start| at + start as u64 != tail.end && is_frame(&start)) {
            return Ok(Behind::Frame);
        }
        let step = bytes.len() as u64;
        // A header may lie across two searches.
        at += if at + step < length { step - HEADER_BYTES as u64 + 1 } else { step };
    }
    Ok(found)
}

/// Compares block by block: byte by byte would be most of an opening's time.
fn is_zero(bytes: &[u8]) -> bool {
    const BLOCK: &[u8] = &[0; 4096];
    bytes.chunks(BLOCK.len()).all(|chunk| chunk == &BLOCK[..chunk.len()])
}

const _: () = assert!(SEARCH_BYTES > READ_BYTES && SEARCH_BYTES > HEADER_BYTES as u64);
