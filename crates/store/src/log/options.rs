//! How a segment log is laid out. Any options open any log: they shape only what is written from now on.

/// The most bytes that the frame of one commit may have: a frame is read and checked in memory.
pub const COMMIT_BYTES_MAX: u64 = 256 << 20;

/// Layout of what is written from now on.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment is closed before it would exceed this; a larger commit gets a segment of its own.
    pub segment_bytes: u64,
    /// One index entry for about so many bytes of a segment: the most a reader skips to find an offset.
    pub index_bytes: u64,
    /// Where salts come from.
    pub salts: Salts,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, index_bytes: 64 << 10, salts: Salts::Random }
    }
}

/// Where a segment's salt comes from. A salt marks a segment's own frames, so that bytes of an earlier use
/// of the same disk blocks never pass for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Salts {
    /// The system's random bytes.
    Random,
    /// A seed, mixed with the segment's number and its writer's epoch; for simulations.
    Seeded(u64),
}

impl Salts {
    /// A salt for a segment that a writer of this epoch begins.
    pub(super) fn draw(self, number: u64, epoch: u64) -> u64 {
        match self {
            Self::Random => {
                let mut bytes = [0; 8];
                aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source does not fail");
                u64::from_le_bytes(bytes)
            }
            Self::Seeded(seed) => {
                let mixed = seed ^ number.rotate_left(32) ^ epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
            }
        }
    }
}
