//! One simulated file: what readers see, what the platter has, and the changes between the two.

use super::seed::Seed;

/// What a disk puts down whole or not at all.
const SECTOR: usize = 512;

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Default)]
pub(super) struct Inode {
    seen: Vec<u8>,
    platter: Vec<u8>,
    pending: Vec<Change>,
    /// One past the last byte ever written: the space in use.
    written: usize,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn used(&self) -> u64 {
        self.written as u64
    }

    /// How many of `length` bytes at `at` may be written when `room` more bytes are free.
    pub(super) fn fitting(&self, length: usize, at: u64, room: u64) -> usize {
        let end = (self.written as u64).saturating_add(room);
        length.min(usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX))
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        let change = Change::Write { at: at as usize, bytes: bytes.to_vec() };
        apply(&mut self.seen, &change);
        self.pending.push(change);
        if !bytes.is_empty() {
            self.written = self.written.max(at as usize + bytes.len());
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let change = Change::Length(len as usize);
        apply(&mut self.seen, &change);
        self.pending.push(change);
        self.written = self.written.min(len as usize);
    }

    pub(super) fn read(&self, into: &mut [u8], at: u64) -> usize {
        let from = (at as usize).min(self.seen.len());
        let read = into.len().min(self.seen.len() - from);
        into[..read].copy_from_slice(&self.seen[from..from + read]);
        read
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.platter, &change);
        }
    }

    /// The pages are marked clean without having reached the platter.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
    }

    /// Keeps the platter and, as the seed decides, all, none, the first few, or any part of the rest.
    pub(super) fn crash(&mut self, seed: &mut Seed) {
        let changes = std::mem::take(&mut self.pending);
        match seed.below(4) {
            0 => {}
            1 => changes.iter().for_each(|change| apply(&mut self.platter, change)),
            2 => {
                let kept = seed.below(changes.len() as u64 + 1) as usize;
                changes[..kept].iter().for_each(|change| apply(&mut self.platter, change));
                changes[kept..].iter().take(1).for_each(|change| tear(&mut self.platter, change, seed, true));
            }
            _ => changes.iter().for_each(|change| tear(&mut self.platter, change, seed, false)),
        }
        self.seen = self.platter.clone();
        self.written = self.written.min(self.seen.len());
    }

    pub(super) fn flip(&mut self, bit: u64) {
        let at = (bit / 8) as usize;
        for bytes in [&mut self.seen, &mut self.platter] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(len) => bytes.resize(*len, 0),
        Change::Write { at, bytes: written } => {
            let end = at + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(written);
        }
    }
}

/// Applies a part of a change: whole sectors of a write up to some point, or any of them.
fn tear(bytes: &mut Vec<u8>, change: &Change, seed: &mut Seed, is_prefix: bool) {
    let Change::Write { at, bytes: written } = change else {
        if seed.below(2) == 0 {
            apply(bytes, change);
        }
        return;
    };
    let sectors = sectors(*at, written.len());
    let kept = seed.below(sectors.len() as u64 + 1) as usize;
    for (index, (from, to)) in sectors.into_iter().enumerate() {
        let is_kept = if is_prefix { index < kept } else { seed.below(2) == 0 };
        if is_kept {
            apply(bytes, &Change::Write { at: at + from, bytes: written[from..to].to_vec() });
        }
    }
}

/// A write's pieces, each within one sector of the file, as ranges into its bytes.
fn sectors(at: usize, length: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < length {
        let to = length.min(from + SECTOR - (at + from) % SECTOR);
        pieces.push((from, to));
        from = to;
    }
    pieces
}
