//! Reading what is committed, from any thread: a position in one segment, one frame of it taken apart at a
//! time. A reader that goes on where it stopped never searches; one that jumps starts from the index.

use std::io::ErrorKind;
use std::sync::Arc;

use writ_model::id::Offset;

use super::frame::{Fault, FrameHeader, HEADER_BYTES};
use super::record::{self, Place, Words};
use super::shared::{Segment, Shared};
use super::window::{FrameError, HOP_BYTES, Window};
use super::{LogReader, Record, SegmentSpan, StoredEvent};
use crate::error::ReadError;

/// A reader of a segment log.
pub(super) struct SegmentReader {
    shared: Arc<Shared>,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    segment: Arc<Segment>,
    window: Window,
    frame: Option<OpenFrame>,
}

/// A frame whose payload is in the window.
struct OpenFrame {
    header: FrameHeader,
    at: u64,
    words: Words,
    place: Place,
    /// The offset of the record at `place`.
    next: u64,
}

impl SegmentReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None }
    }

    /// Brings the frame that holds `offset`, or the next one if it lies in a gap, into the window, with
    /// `offset` its next record. `None`: there is no such frame.
    fn seek(&mut self, offset: u64) -> Result<Option<&mut OpenSegment>, ReadError> {
        let is_here = self.open.as_ref().is_some_and(|open| open.is_at(offset));
        if !is_here {
            let Some(segment) = self.shared.holding(offset) else { return Ok(None) };
            self.enter(segment)?;
        }
        let mut is_new = !is_here;
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            if open.seek(offset, is_new)? {
                return Ok(self.open.as_mut());
            }
            let Some(next) = self.shared.following(open.segment.number) else { return Ok(None) };
            self.enter(next)?;
            is_new = true;
        }
    }

    /// Passes records from `from` on as long as they fit; the offset behind the last, or `from`.
    fn gather(&mut self, from: Offset, bytes_max: usize, pass: &mut Pass<'_>) -> Result<Offset, ReadError> {
        let end = self.shared.end();
        let start = self.shared.start();
        if from.0 < start {
            return Err(ReadError::BehindRetention { from, start: Offset(start) });
        }
        let mut room = Room { bytes: bytes_max, is_untouched: true };
        let mut next = from.0;
        while next < end {
            let Some(open) = self.seek(next)? else { break };
            match open.drain(&mut room, pass)? {
                Drained::Full(offset) => return Ok(Offset(offset)),
                Drained::Through(offset) => next = offset,
            }
        }
        Ok(Offset(next))
    }

    fn enter(&mut self, segment: Arc<Segment>) -> Result<(), ReadError> {
        let is_open = self.open.as_ref().is_some_and(|open| open.segment.number == segment.number);
        if is_open {
            return Ok(());
        }
        let path = self.shared.dir.join(&segment.name);
        let file = self.shared.disk.open(&path).map_err(|source| {
            // Dropped between the look at the list and the opening.
            let start = Offset(self.shared.start());
            if source.kind() == ErrorKind::NotFound && segment.base_offset < start.0 {
                return ReadError::BehindRetention { from: Offset(segment.base_offset), start };
            }
            ReadError::Io { tried: format!("open segment {}", segment.name), source }
        })?;
        self.open = Some(OpenSegment { segment, window: Window::new(file), frame: None });
        Ok(())
    }
}

impl LogReader for SegmentReader {
    fn read(&mut self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        self.gather(from, bytes_max, &mut |frame, bytes| {
            records.push(frame.record(bytes)?);
            Ok(())
        })?;
        Ok(records)
    }

    fn events(&mut self, from: Offset, bytes_max: usize) -> Result<(Vec<StoredEvent>, Offset), ReadError> {
        let mut events = Vec::new();
        let next = self.gather(from, bytes_max, &mut |frame, bytes| {
            events.extend(frame.event(bytes)?);
            Ok(())
        })?;
        Ok((events, next))
    }

    fn another(&self) -> Box<dyn LogReader> {
        Box::new(Self::new(Arc::clone(&self.shared)))
    }

    fn segments(&self) -> Vec<SegmentSpan> {
        self.shared.spans()
    }

    fn start(&self) -> Offset {
        Offset(self.shared.start())
    }
}

/// What becomes of a record that is passed.
type Pass<'a> = dyn FnMut(&OpenFrame, &[u8]) -> Result<(), Fault> + 'a;

/// How much more fits a read; the very first record always does.
struct Room {
    bytes: usize,
    is_untouched: bool,
}

enum Drained {
    /// The record at this offset does not fit.
    Full(u64),
    /// The frame is read to its end; its end offset.
    Through(u64),
}

impl OpenSegment {
    /// Whether reading at `offset` goes on from the open frame.
    fn is_at(&self, offset: u64) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.next == offset)
    }

    /// Opens the frame that holds `offset` or the first one after it, from the index if `is_new`, else from
    /// the open frame on. `false`: this segment has none.
    fn seek(&mut self, offset: u64, is_new: bool) -> Result<bool, ReadError> {
        if let (false, Some(frame)) = (is_new, &self.frame)
            && frame.next < frame.header.end_offset()
        {
            return Ok(true);
        }
        let from = match (is_new, &self.frame) {
            (false, Some(frame)) => frame.at + frame.header.frame_bytes(),
            (true, _) | (_, None) => self.segment.nearest(offset),
        };
        self.frame = None;
        let Some(at) = self.hop(offset, from)? else { return Ok(false) };
        self.load(at)?;
        self.skip_to(offset)?;
        Ok(true)
    }

    /// Walks over headers to the first frame that ends after `offset`.
    fn hop(&mut self, offset: u64, mut at: u64) -> Result<Option<u64>, ReadError> {
        let limit = self.segment.committed();
        while at < limit {
            let header = self.window.header(at, limit, self.segment.salt, HOP_BYTES);
            let header = header.map_err(|error| self.failed(at, error))?;
            self.segment.note(header.first_offset, at);
            if header.end_offset() > offset {
                return Ok(Some(at));
            }
            at += header.frame_bytes();
        }
        Ok(None)
    }

    fn load(&mut self, at: u64) -> Result<(), ReadError> {
        let frame = self.window.frame(at, self.segment.committed(), self.segment.salt);
        let header = frame.map_err(|error| self.failed(at, error))?;
        let (words, place) =
            record::words(self.payload(at, &header)).map_err(|f| self.failed(at, f.into()))?;
        self.frame = Some(OpenFrame { next: header.first_offset, header, at, words, place });
        Ok(())
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), ReadError> {
        while let Some(frame) = &self.frame
            && frame.next < offset
        {
            let payload = self.payload(frame.at, &frame.header);
            let (_, place) = frame.place.peek(payload).map_err(|f| self.failed(frame.at, f.into()))?;
            self.advance(place);
        }
        Ok(())
    }

    /// Passes records of the open frame while they fit.
    fn drain(&mut self, room: &mut Room, pass: &mut Pass<'_>) -> Result<Drained, ReadError> {
        loop {
            let frame = self.frame.as_ref().expect("a frame is open after seek");
            let end = frame.header.end_offset();
            let payload = self.payload(frame.at, &frame.header);
            if frame.next == end && !frame.place.is_end(payload) {
                return Err(self.failed(frame.at, Fault::Record.into()));
            }
            if frame.next == end {
                return Ok(Drained::Through(end));
            }
            let peeked = frame.place.peek(payload);
            let (bytes, place) = peeked.map_err(|f| self.failed(frame.at, f.into()))?;
            if bytes.len() > room.bytes && !room.is_untouched {
                return Ok(Drained::Full(frame.next));
            }
            *room = Room { bytes: room.bytes.saturating_sub(bytes.len()), is_untouched: false };
            pass(frame, bytes).map_err(|f| self.failed(frame.at, f.into()))?;
            self.advance(place);
        }
    }

    fn advance(&mut self, place: Place) {
        if let Some(frame) = &mut self.frame {
            frame.place = place;
            frame.next += 1;
        }
    }

    fn payload(&self, at: u64, header: &FrameHeader) -> &[u8] {
        self.window.slice(at + HEADER_BYTES as u64, header.length as usize)
    }

    fn failed(&self, at: u64, error: FrameError) -> ReadError {
        let segment = self.segment.name.clone();
        match error {
            FrameError::Fault(fault) => ReadError::Corrupt { segment, at, cause: fault.to_string() },
            FrameError::Io(source) => ReadError::Io { tried: format!("read segment {segment}"), source },
        }
    }
}

impl OpenFrame {
    /// The record at the frame's place; its kind and index follow from its number in the frame.
    fn record(&self, bytes: &[u8]) -> Result<Record, Fault> {
        if let Some(event) = self.event(bytes)? {
            return Ok(Record::Event(Box::new(event)));
        }
        let (events, leaves) = (u64::from(self.header.counts.events), u64::from(self.header.counts.leaves));
        let (offset, number) = (Offset(self.next), self.number());
        if number < events + leaves {
            return Ok(Record::Leaf(offset, self.header.first_leaf + number - events, bytes.to_vec()));
        }
        Ok(Record::Fact(offset, record::fact(bytes)?))
    }

    /// The event at the frame's place; `None` when the record there is not one.
    fn event(&self, bytes: &[u8]) -> Result<Option<StoredEvent>, Fault> {
        let number = self.number();
        if number >= u64::from(self.header.counts.events) {
            return Ok(None);
        }
        record::event(bytes, &self.words, Offset(self.next), self.header.first_leaf + number).map(Some)
    }

    /// Which record of the frame is at its place.
    fn number(&self) -> u64 {
        self.next - self.header.first_offset
    }
}
