//! A segment file's name and header. The header gives what recovery and readers need without reading the
//! frames: where the segment's offsets and leaves begin, and every slot's tail as of its beginning.

use writ_model::id::{Sequence, Slot};

use super::frame::{u32_at, u64_at};

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// Bytes of the header before the slot tails.
pub(super) const FIXED_BYTES: usize = 80;

const MAGIC: [u8; 8] = *b"WRITLOG\n";
const TAIL_BYTES: usize = 10;
const CRC_BYTES: usize = 4;

/// The largest header: every slot has a tail.
pub(super) const HEADER_BYTES_MAX: usize = FIXED_BYTES + Slot::COUNT as usize * TAIL_BYTES + CRC_BYTES;

/// A segment's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Counts the segments of the log, from 1, without gaps.
    pub(super) number: u64,
    /// Marks this segment's frames.
    pub(super) salt: u64,
    /// Offset of its first record.
    pub(super) base_offset: u64,
    /// Audit-log index of its first leaf.
    pub(super) base_leaf: u64,
    /// Number of its first commit.
    pub(super) base_commit: u64,
    /// Epoch of the writer that began it.
    pub(super) epoch: u64,
    /// Where the frames of the segment before it end, in bytes; 0 when there is none.
    pub(super) previous_end: u64,
    /// The last given number of every slot that has one, in slot order.
    pub(super) tails: Vec<(Slot, Sequence)>,
}

/// Why a file's beginning is not a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// Not a segment of a log, or damaged.
    Damaged,
    /// Of another format.
    Format(u32),
}

impl SegmentHeader {
    /// How long the encoded header is: where the first frame begins.
    pub(super) fn bytes(&self) -> u64 {
        (FIXED_BYTES + self.tails.len() * TAIL_BYTES + CRC_BYTES) as u64
    }

    /// The header's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.tails.len() * TAIL_BYTES + CRC_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&(self.tails.len() as u32).to_le_bytes());
        for field in [
            self.number,
            self.salt,
            self.base_offset,
            self.base_leaf,
            self.base_commit,
            self.epoch,
            self.previous_end,
            0,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        for (slot, tail) in &self.tails {
            bytes.extend_from_slice(&slot.number().to_le_bytes());
            bytes.extend_from_slice(&tail.0.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from a file's first bytes; more bytes than the header has may be given. The format is
    /// judged before the checksum: another format may keep its checksum elsewhere.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if bytes.len() < FIXED_BYTES || bytes[..8] != MAGIC {
            return Err(HeaderFault::Damaged);
        }
        let format = u32_at(bytes, 8);
        if format != FORMAT {
            return Err(HeaderFault::Format(format));
        }
        let tails_end = FIXED_BYTES + u32_at(bytes, 12).min(u32::from(Slot::COUNT)) as usize * TAIL_BYTES;
        let is_whole = bytes.len() >= tails_end + CRC_BYTES
            && crc32c::crc32c(&bytes[..tails_end]) == u32_at(bytes, tails_end);
        if !is_whole {
            return Err(HeaderFault::Damaged);
        }
        let tail =
            |entry: &[u8]| (Slot::new(u16::from_le_bytes([entry[0], entry[1]])), Sequence(u64_at(entry, 2)));
        Ok(Self {
            number: u64_at(bytes, 16),
            salt: u64_at(bytes, 24),
            base_offset: u64_at(bytes, 32),
            base_leaf: u64_at(bytes, 40),
            base_commit: u64_at(bytes, 48),
            epoch: u64_at(bytes, 56),
            previous_end: u64_at(bytes, 64),
            tails: bytes[FIXED_BYTES..tails_end].chunks_exact(TAIL_BYTES).map(tail).collect(),
        })
    }
}

/// The file name of a segment.
pub(super) fn name(number: u64) -> String {
    format!("{number:012}.seg")
}

/// The name of a segment file whose header is not durable yet.
pub(super) fn unfinished_name(number: u64) -> String {
    format!("{number:012}.new")
}

/// The number in a segment's file name; `None` for any other file.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let is_number = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// Whether a file is a segment that was being made when the writer stopped.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.ends_with(".new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 1,
            salt: 2,
            base_offset: 3,
            base_leaf: 4,
            base_commit: 5,
            epoch: 6,
            previous_end: 7,
            tails: vec![(Slot::new(8), Sequence(9)), (Slot::new(4095), Sequence(u64::MAX))],
        }
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        let bytes = header().encode();
        assert_eq!(bytes.len() as u64, header().bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let bytes = header().encode();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&altered).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_format_is_named() {
        let mut bytes = header().encode();
        bytes[8] = 9;
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderFault::Format(9)));
    }

    #[test]
    fn only_segments_have_numbers() {
        assert_eq!(number(&name(17)), Some(17));
        for other in ["lock", "17.seg", "00000000017.seg", "000000000017.new", "+00000000017.seg"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
