//! From the first bundle to the last: every entry is hashed, every stored tile compared, the root derived.
//! The first object that does not fit ends the walk; only sound bundles are read for their meaning.

use super::ledger::Ledger;
use super::{Expectations, Fault, Fetch, FetchError, Report};
use crate::acks::{self, AckSet, AcksError};
use crate::leaf::Leaf;
use crate::note::Checkpoint;
use crate::tile::{Edge, TILE_WIDTH, TileId, acks_path, bundle_path, encode_tile, split_entries};
use crate::tree::leaf_hash;

/// Why the walk ended early.
enum Stop {
    Fault(Fault),
    Fetch(FetchError),
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

pub(super) fn walk(
    fetch: &dyn Fetch,
    head: &Checkpoint,
    expected: &Expectations<'_>,
    report: &mut Report,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), FetchError> {
    let mut walk = Walk {
        fetch,
        head,
        expected,
        edge: Edge::default(),
        ledger: Ledger::new(expected),
        forks: Vec::new(),
        report,
    };
    match walk.run(progress) {
        Ok(()) => {
            walk.forks.into_iter().for_each(|fork| walk.report.add(fork));
            walk.ledger.finish(walk.report);
            Ok(())
        }
        Err(Stop::Fault(fault)) => {
            walk.report.add(fault);
            Ok(())
        }
        Err(Stop::Fetch(error)) => Err(error),
    }
}

struct Walk<'a> {
    fetch: &'a dyn Fetch,
    head: &'a Checkpoint,
    expected: &'a Expectations<'a>,
    edge: Edge,
    ledger: Ledger<'a>,
    /// Told after the root is known to hold: before, a damaged entry would look like a fork.
    forks: Vec<Fault>,
    report: &'a mut Report,
}

/// An object as found: under the path of its width, or, when that was cleared away, as the full object.
struct Found {
    bytes: Vec<u8>,
    is_exact: bool,
}

impl Walk<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Stop> {
        self.compare_known();
        while self.edge.size() < self.head.size {
            self.bundle()?;
            progress(self.edge.size(), self.head.size);
        }
        let derived = self.edge.root();
        if derived != self.head.root {
            return Err(Stop::Fault(Fault::Root { size: self.head.size, signed: self.head.root, derived }));
        }
        Ok(())
    }

    fn bundle(&mut self) -> Result<(), Stop> {
        let first = self.edge.size();
        let index = first / TILE_WIDTH as u64;
        let width = usize::try_from((self.head.size - first).min(TILE_WIDTH as u64)).expect("at most 256");
        let found = self.object(index, width, bundle_path)?;
        let path = || bundle_path(index, width);
        let damaged = || Stop::Fault(Fault::Bundle { path: path(), entries: width });
        let mut entries = split_entries(&found.bytes).ok_or_else(damaged)?;
        let count = if found.is_exact { width } else { TILE_WIDTH };
        if entries.len() != count {
            return Err(damaged());
        }
        entries.truncate(width);
        self.hash(&entries)?;
        self.read(first, &entries)
    }

    /// Adds the entries to the tree and compares each stored tile that they fill.
    fn hash(&mut self, entries: &[&[u8]]) -> Result<(), Stop> {
        let mut tiles: Vec<(TileId, Vec<u8>)> = Vec::new();
        for entry in entries {
            self.edge.push(leaf_hash(entry), |id, hashes| tiles.push((id, encode_tile(hashes))));
            self.report.leaves_checked += 1;
            self.compare_known();
        }
        if self.edge.size() == self.head.size {
            tiles.extend(self.edge.partials().map(|(id, hashes)| (id, encode_tile(hashes))));
        }
        for (id, derived) in tiles {
            let path_of = |index, width| TileId { level: id.level, index, width }.path();
            let found = self.object(id.index, id.width, path_of)?;
            let fits =
                if found.is_exact { found.bytes == derived } else { found.bytes.starts_with(&derived) };
            if !fits {
                return Err(Stop::Fault(Fault::Tile { path: id.path() }));
            }
        }
        Ok(())
    }

    fn compare_known(&mut self) {
        let size = self.edge.size();
        for known in self.expected.known.iter().filter(|known| known.size == size) {
            let derived = self.edge.root();
            if derived != known.root {
                self.forks.push(Fault::Fork { size, known: known.root, derived });
            }
        }
    }

    /// The object of this width, or the full one in its place (C2SP tlog-tiles, "Partial Tiles").
    fn object(
        &self,
        index: u64,
        width: usize,
        path_of: impl Fn(u64, usize) -> String,
    ) -> Result<Found, Stop> {
        let path = path_of(index, width);
        if let Some(bytes) = self.fetch.get(&path)? {
            return Ok(Found { bytes, is_exact: true });
        }
        if width < TILE_WIDTH
            && let Some(bytes) = self.fetch.get(&path_of(index, TILE_WIDTH))?
        {
            return Ok(Found { bytes, is_exact: false });
        }
        Err(Stop::Fault(Fault::Missing { path }))
    }

    /// Holds what the leaves say against each other and against their acknowledgement records.
    fn read(&mut self, first: u64, entries: &[&[u8]]) -> Result<(), Stop> {
        let mut sets: Vec<(u8, AckSet)> = Vec::new();
        for (place, (index, entry)) in (0_u8..=u8::MAX).zip((first..).zip(entries)) {
            match Leaf::parse(entry) {
                Err(cause) => self.report.add(Fault::Leaf { index, cause }),
                Ok(leaf) => {
                    self.ledger.observe(index, &leaf, self.report);
                    if let Leaf::Attestation(last) = leaf {
                        sets.push((place, last.subscriber_ack_set));
                    }
                }
            }
        }
        if sets.is_empty() { Ok(()) } else { self.read_acks(first / TILE_WIDTH as u64, entries.len(), &sets) }
    }

    fn read_acks(&mut self, index: u64, width: usize, sets: &[(u8, AckSet)]) -> Result<(), Stop> {
        let found = self.object(index, width, acks_path)?;
        match check_acks(&found, width, sets) {
            Ok(records) => self.report.acknowledgements += records,
            Err(cause) => self.report.add(Fault::Acks { path: acks_path(index, width), cause }),
        }
        Ok(())
    }
}

/// How many records there are, when they are those of the leaves.
fn check_acks(found: &Found, width: usize, sets: &[(u8, AckSet)]) -> Result<u64, AcksError> {
    let mut blocks = acks::split_blocks(&found.bytes)?;
    if !found.is_exact {
        blocks.retain(|block| usize::from(block.place) < width);
    }
    if !blocks.iter().map(|block| block.place).eq(sets.iter().map(|(place, _)| *place)) {
        return Err(AcksError::Mismatch);
    }
    let mut records = 0;
    for (block, (_, set)) in blocks.iter().zip(sets) {
        set.check(&block.records)?;
        records += block.records.len() as u64;
    }
    Ok(records)
}
