//! A view into a segment file that moves forward: frames are taken out of one larger read, and a frame that
//! is larger is read whole. Shared by readers, recovery and nothing else.

use std::io;
use std::sync::Arc;

use super::frame::{Fault, FrameHeader, HEADER_BYTES};
use crate::disk::DiskFile;

/// One read's worth when frames are read one after another.
pub(super) const READ_BYTES: u64 = 128 << 10;

/// One read's worth when only headers are looked at.
pub(super) const HOP_BYTES: u64 = 4 << 10;

/// The bytes `at..` of a file, as far as they were read.
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    bytes: Vec<u8>,
    at: u64,
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The bytes are not one.
    Fault(Fault),
    /// They could not be read.
    Io(io::Error),
}

impl From<Fault> for FrameError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Window {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, bytes: Vec::new(), at: 0 }
    }

    /// The header of the frame at a position. Nothing at or beyond `limit` is looked at. `ahead` is how
    /// much to read at once when a read is needed.
    pub(super) fn header(
        &mut self,
        at: u64,
        limit: u64,
        salt: u64,
        ahead: u64,
    ) -> Result<FrameHeader, FrameError> {
        let bytes = self.cover(at, HEADER_BYTES as u64, limit, ahead)?;
        let header = FrameHeader::decode(bytes, salt)?;
        if at + header.frame_bytes() > limit { Err(Fault::CutOff.into()) } else { Ok(header) }
    }

    /// The frame at a position, its payload checked. The payload stays in reach of [`Window::slice`] until
    /// the next call.
    pub(super) fn frame(&mut self, at: u64, limit: u64, salt: u64) -> Result<FrameHeader, FrameError> {
        let header = self.header(at, limit, salt, READ_BYTES)?;
        let payload = self.cover(at + HEADER_BYTES as u64, u64::from(header.length), limit, READ_BYTES)?;
        header.check(payload)?;
        Ok(header)
    }

    /// Bytes of the frame that was last read.
    pub(super) fn slice(&self, at: u64, length: usize) -> &[u8] {
        let from = (at - self.at) as usize;
        &self.bytes[from..from + length]
    }

    /// The bytes at a position, fewer only at the limit or the end of the file.
    pub(super) fn cover(&mut self, at: u64, length: u64, limit: u64, ahead: u64) -> io::Result<&[u8]> {
        let length = length.min(limit.saturating_sub(at));
        let is_covered = at >= self.at && at + length <= self.at + self.bytes.len() as u64;
        if !is_covered {
            self.fill(at, length.max(ahead).min(limit.saturating_sub(at)))?;
        }
        let from = (at - self.at) as usize;
        let to = self.bytes.len().min(from + length as usize);
        Ok(&self.bytes[from..to])
    }

    fn fill(&mut self, at: u64, length: u64) -> io::Result<()> {
        self.at = at;
        self.bytes.clear();
        // A frame that was larger than any other is not held on to.
        self.bytes.shrink_to(length.max(READ_BYTES) as usize);
        self.bytes.resize(length as usize, 0);
        match self.file.read_at(&mut self.bytes, at) {
            Ok(read) => self.bytes.truncate(read),
            Err(error) => {
                self.bytes.clear();
                return Err(error);
            }
        }
        Ok(())
    }
}
