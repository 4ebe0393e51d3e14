//! The static files of a log: hash tiles, entry bundles and their paths (C2SP tlog-tiles v0.1.0), and the
//! tree's right edge, from which the files and the root of any size grow.
//!
//! A tile of level `l` holds the hashes of up to 256 subtrees of 256^l leaves each.

use crate::tree::{HASH_BYTES, Hash, Nodes, empty_root, node_hash, root_of};

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: usize = 256;

/// Levels that a tree of 2^64 leaves can have.
const LEVELS_MAX: u8 = 8;

/// An entry's length is written in two bytes.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;

/// Which tile: `width` hashes wide, from 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileId {
    /// 0 holds leaf hashes.
    pub level: u8,
    /// Number in its level, from 0.
    pub index: u64,
    /// 256 when full.
    pub width: usize,
}

impl TileId {
    /// Where the hash tile lies.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, numbered(self.index, self.width))
    }

    /// Whether no hash can be added any more.
    pub fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }
}

/// Where an entry bundle lies.
pub fn bundle_path(index: u64, width: usize) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// Where the acknowledgement records of a bundle's final leaves lie.
pub fn acks_path(index: u64, width: usize) -> String {
    format!("acks/{}", numbered(index, width))
}

/// The folder that holds all partial widths of a full object at `path`.
pub fn partial_folder(path: &str) -> String {
    format!("{path}.p")
}

/// `x001/x234/067` or, not full, `x001/x234/067.p/8`.
fn numbered(index: u64, width: usize) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH { format!("{text}.p/{width}") } else { text }
}

/// How many of an object's 256 places a log of `size` leaves fills: the part at the right edge, 0 when all
/// objects of this level are full.
pub fn partial_width(size: u64, level: u8) -> usize {
    usize::try_from((size >> (8 * u32::from(level))) % TILE_WIDTH as u64).expect("below 256")
}

/// The partial tiles of a log of `size` leaves, lowest level first.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS_MAX).filter_map(move |level| {
        let width = partial_width(size, level);
        let index = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
        (width > 0).then_some(TileId { level, index, width })
    })
}

/// A tile's bytes: its hashes, one after the other.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The first `width` hashes of a tile's bytes; `None` when there are fewer, or a broken one.
pub fn decode_tile(bytes: &[u8], width: usize) -> Option<Vec<Hash>> {
    let is_whole = bytes.len().is_multiple_of(HASH_BYTES) && bytes.len() / HASH_BYTES >= width;
    let hashes = bytes.chunks_exact(HASH_BYTES).take(width);
    is_whole.then(|| hashes.map(|hash| Hash(hash.try_into().expect("chunks of the hash's size"))).collect())
}

/// Adds one entry to a bundle: big-endian length, then the bytes.
///
/// # Panics
/// When the entry is longer than [`ENTRY_BYTES_MAX`]; a leaf never is.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).expect("an entry fits two bytes of length");
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// The entries of a bundle; `None` when the framing is broken.
pub fn split_entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(TILE_WIDTH);
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// The right edge: the hashes of the partial tiles, all that a growing tree has to remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// Per level, fewer than 256 hashes.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a log of `size` leaves from the contents of its partial tiles, in the order of
    /// [`partial_tiles`]; `None` when they are not those.
    pub fn from_tiles(size: u64, tiles: Vec<Vec<Hash>>) -> Option<Self> {
        let mut edge = Self { size, levels: Vec::new() };
        let expected: Vec<TileId> = partial_tiles(size).collect();
        if expected.len() != tiles.len() {
            return None;
        }
        for (id, hashes) in expected.iter().zip(tiles) {
            if hashes.len() != id.width {
                return None;
            }
            edge.levels.resize(usize::from(id.level) + 1, Vec::new());
            edge.levels[usize::from(id.level)] = hashes;
        }
        Some(edge)
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf's hash; hands over every tile that became full, lowest level first.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(TileId, &[Hash])) {
        self.size += 1;
        let mut carry = Some(leaf);
        let mut level = 0;
        while let Some(hash) = carry.take() {
            if self.levels.len() <= level {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() == TILE_WIDTH {
                let number = u8::try_from(level).expect("a 64-bit size has eight levels");
                let index = (self.size >> (8 * (level + 1))) - 1;
                full(TileId { level: number, index, width: TILE_WIDTH }, hashes);
                carry = root_of(hashes);
                hashes.clear();
                level += 1;
            }
        }
    }

    /// The partial tiles and their hashes, lowest level first.
    pub fn partials(&self) -> impl Iterator<Item = (TileId, &[Hash])> {
        partial_tiles(self.size).map(|id| (id, self.levels[usize::from(id.level)].as_slice()))
    }

    /// The tree's root.
    pub fn root(&self) -> Hash {
        let mut root = None;
        for hashes in &self.levels {
            root = match (root_of(hashes), root) {
                (None, below) => below,
                (above, None) => above,
                (Some(_), Some(below)) => root_of(&[hashes.as_slice(), &[below]].concat()),
            };
        }
        root.unwrap_or_else(empty_root)
    }
}

/// Looks nodes up in tiles, for proofs. Keeps nothing: a proof needs each tile once or twice.
pub struct TileNodes<F> {
    size: u64,
    fetch: F,
}

impl<F, E> TileNodes<F>
where
    F: FnMut(TileId) -> Result<Vec<Hash>, E>,
{
    /// For a log of `size` leaves; `fetch` gives at least `width` hashes of a tile.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch }
    }
}

impl<F, E> Nodes for TileNodes<F>
where
    F: FnMut(TileId) -> Result<Vec<Hash>, E>,
{
    type Error = E;

    fn node(&mut self, level: u32, index: u64) -> Result<Hash, E> {
        let tile_level = u8::try_from(level / 8).expect("a 64-bit size has eight levels");
        let count = 1_u64 << (level % 8);
        let first = index * count;
        let tile = first / TILE_WIDTH as u64;
        let stored = self.size >> (8 * u32::from(tile_level));
        let width = (stored - tile * TILE_WIDTH as u64).min(TILE_WIDTH as u64);
        let width = usize::try_from(width).expect("at most 256");
        let hashes = (self.fetch)(TileId { level: tile_level, index: tile, width })?;
        let from = usize::try_from(first % TILE_WIDTH as u64).expect("below 256");
        let mut row = hashes[from..from + usize::try_from(count).expect("at most 128")].to_vec();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(row[0])
    }
}

#[cfg(test)]
mod tests;
