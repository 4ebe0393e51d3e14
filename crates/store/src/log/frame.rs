//! One commit's frame: a header of fixed length with a checksum of its own, then the payload that it counts
//! and checks. Layout to the byte in `docs/reference/log-format.md`; what a payload holds is in `record`.
//!
//! The header has its own checksum so that a walk over headers alone can trust each length.

use std::fmt;

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 72;

/// A frame's first bytes.
pub(super) const MAGIC: [u8; 4] = *b"WFRM";

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of the payload.
    pub(super) length: u32,
    /// Must be the segment's.
    pub(super) salt: u64,
    /// Counts the frames of the log, from 0.
    pub(super) commit: u64,
    /// The writer's.
    pub(super) epoch: u64,
    /// Offset of the first record.
    pub(super) first_offset: u64,
    /// Audit-log index of the first leaf.
    pub(super) first_leaf: u64,
    /// How many records of each kind, in this order in the payload.
    pub(super) counts: Counts,
    /// CRC-32C of the payload.
    pub(super) payload_crc: u32,
}

/// How many records of each kind a payload holds: events first, then leaves, then facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) events: u32,
    pub(super) leaves: u32,
    pub(super) facts: u32,
}

impl Counts {
    /// All records.
    pub(super) fn records(self) -> u64 {
        u64::from(self.events) + u64::from(self.leaves) + u64::from(self.facts)
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end before the frame does.
    CutOff,
    /// They do not begin like a frame.
    Magic,
    /// The header does not match its checksum.
    Header,
    /// It was written for another use of these disk blocks.
    Salt,
    /// It uses what this version does not know.
    Flags,
    /// The payload does not match its checksum.
    Payload,
    /// It is whole, but does not follow the frame before it.
    Order,
    /// It is whole, but its records cannot be read.
    Record,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutOff => "a frame is cut off",
            Self::Magic => "no frame begins here",
            Self::Header => "a frame's header does not match its checksum",
            Self::Salt => "a frame belongs to another segment",
            Self::Flags => "a frame has flags that this version does not know",
            Self::Payload => "a frame's payload does not match its checksum",
            Self::Order => "a frame does not follow the one before it",
            Self::Record => "a frame's records cannot be read",
        })
    }
}

impl FrameHeader {
    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.length)
    }

    /// The offset after the last record.
    pub(super) fn end_offset(&self) -> u64 {
        self.first_offset + self.counts.records()
    }

    /// The leaf index after the last leaf.
    pub(super) fn end_leaf(&self) -> u64 {
        self.first_leaf + u64::from(self.counts.leaves)
    }

    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.commit.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_offset.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_leaf.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.counts.events.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.counts.leaves.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.counts.facts.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header that must be of the segment with this salt.
    pub(super) fn decode(bytes: &[u8], salt: u64) -> Result<Self, Fault> {
        let bytes: &[u8; HEADER_BYTES] =
            bytes.get(..HEADER_BYTES).and_then(|b| b.try_into().ok()).ok_or(Fault::CutOff)?;
        if bytes[0..4] != MAGIC {
            return Err(Fault::Magic);
        }
        if crc32c::crc32c(&bytes[..68]) != u32_at(bytes, 68) {
            return Err(Fault::Header);
        }
        if u64_at(bytes, 8) != salt {
            return Err(Fault::Salt);
        }
        if u32_at(bytes, 60) != 0 {
            return Err(Fault::Flags);
        }
        Ok(Self {
            length: u32_at(bytes, 4),
            salt,
            commit: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24),
            first_offset: u64_at(bytes, 32),
            first_leaf: u64_at(bytes, 40),
            counts: Counts { events: u32_at(bytes, 48), leaves: u32_at(bytes, 52), facts: u32_at(bytes, 56) },
            payload_crc: u32_at(bytes, 64),
        })
    }

    /// Whether these bytes are the payload.
    pub(super) fn check(&self, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != self.length as usize {
            return Err(Fault::CutOff);
        }
        if crc32c::crc32c(payload) == self.payload_crc { Ok(()) } else { Err(Fault::Payload) }
    }
}

/// The little-endian number at a place in a header that is long enough.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The little-endian number at a place in a header that is long enough.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> FrameHeader {
        FrameHeader {
            length: 5,
            salt: 1,
            commit: 2,
            epoch: 3,
            first_offset: 4,
            first_leaf: 5,
            counts: Counts { events: 1, leaves: 2, facts: 3 },
            payload_crc: crc32c::crc32c(b"hello"),
        }
    }

    #[test]
    fn a_header_reads_back_as_it_was_written() {
        assert_eq!(FrameHeader::decode(&header().encode(), 1), Ok(header()));
    }

    #[test]
    fn a_header_of_another_segment_is_not_a_frame() {
        assert_eq!(FrameHeader::decode(&header().encode(), 9), Err(Fault::Salt));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::decode(&bytes, 1).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_payload_is_checked_for_length_and_content() {
        assert_eq!(header().check(b"hello"), Ok(()));
        assert_eq!(header().check(b"hell"), Err(Fault::CutOff));
        assert_eq!(header().check(b"hallo"), Err(Fault::Payload));
    }
}
