//! The audit log's files: entry bundles, hash tiles, acknowledgement companions and the signed checkpoint, in
//! the layout of `docs/reference/attestation-format.md` (ADR 0015).
//!
//! The engine's log is where leaves are durable; everything here can be derived from it again. So leaves are
//! integrated in memory and full files, published in batches, and after a crash fed again from
//! [`AuditDir::size`] on.

mod error;
mod fetch;
mod files;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use writ_attest::leaf::{Kind, Leaf};
use writ_attest::note::{Checkpoint, NoteSigner, NoteVerifier};
use writ_attest::tile::{
    Edge, TILE_WIDTH, TileId, acks_path, bundle_path, encode_tile, partial_folder, partial_tiles, push_entry,
};
use writ_attest::tree::{Hash, leaf_hash};
use writ_attest::{acks, verify};

use crate::disk::DiskLock;
use files::Objects;

pub use error::AuditError;
pub use fetch::DirFetch;
pub use files::Files;

/// Where the audit log lies.
#[derive(Debug, Clone)]
pub struct Places {
    /// The directory of the C2SP layout; may be served as it is.
    pub tree: PathBuf,
    /// The last signed checkpoint, outside the tree: best on another disk, so that restoring an old copy of
    /// the tree is noticed.
    pub last_signed: PathBuf,
}

/// The bundle at the right edge, not yet full.
#[derive(Debug, Default)]
struct Pending {
    entries: usize,
    bundle: Vec<u8>,
    acks: Vec<u8>,
}

impl Pending {
    /// The next bundle, in the memory of the one that is full now.
    fn begin(&mut self) {
        self.entries = 0;
        self.bundle.clear();
        self.acks.clear();
    }
}

/// The one writer of an audit log's files.
pub struct AuditDir {
    objects: Objects,
    last_signed: PathBuf,
    verifier: NoteVerifier,
    edge: Edge,
    pending: Pending,
    published: Option<Published>,
    /// A signed size that a rebuild has yet to reach.
    anchor: Option<Published>,
    /// The files on disk are not yet those of `published`: a rebuild is under way.
    is_rebuild: bool,
    is_poisoned: bool,
    _lock: Box<dyn DiskLock>,
}

#[derive(Debug, Clone)]
struct Published {
    head: Checkpoint,
    note: Vec<u8>,
}

impl std::fmt::Debug for AuditDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditDir({}, {} leaves)", self.verifier.name(), self.size())
    }
}

impl AuditDir {
    /// Opens or makes the audit log of this key and reads its right edge. Refuses a tree that is behind the
    /// last signed checkpoint or contradicts it.
    pub fn open(files: Arc<dyn Files>, places: &Places, verifier: NoteVerifier) -> Result<Self, AuditError> {
        let (mut dir, checkpoint) = Self::prepare(files, places, verifier)?;
        recovery::resume(&mut dir, checkpoint)?;
        Ok(dir)
    }

    /// Opens the audit log to derive all its files again: [`AuditDir::size`] is 0, and nothing is published
    /// before the leaves have led to the last signed checkpoint. Files that exist must be as derived.
    pub fn rebuild(
        files: Arc<dyn Files>,
        places: &Places,
        verifier: NoteVerifier,
    ) -> Result<Self, AuditError> {
        let (mut dir, _) = Self::prepare(files, places, verifier)?;
        dir.anchor = dir.published.take();
        dir.is_rebuild = true;
        dir.check_anchor()?;
        Ok(dir)
    }

    /// Locks, clears what a crash left, and reads both signed checkpoints: the last signed one is kept, the
    /// published one returned.
    fn prepare(
        files: Arc<dyn Files>,
        places: &Places,
        verifier: NoteVerifier,
    ) -> Result<(Self, Option<Published>), AuditError> {
        let objects = Objects::open(files, &places.tree)?;
        let lock = objects.lock()?;
        let checkpoint_path = objects.path(verify::CHECKPOINT_PATH);
        objects.clear_unfinished(&[&checkpoint_path, &places.last_signed])?;
        let checkpoint = recovery::read_signed(&objects, &checkpoint_path, &verifier)?;
        let published = recovery::read_signed(&objects, &places.last_signed, &verifier)?;
        if published.is_none() && checkpoint.is_some() {
            return Err(AuditError::LastSignedMissing { path: places.last_signed.display().to_string() });
        }
        let dir = Self {
            objects,
            last_signed: places.last_signed.clone(),
            verifier,
            edge: Edge::default(),
            pending: Pending::default(),
            published,
            anchor: None,
            is_rebuild: false,
            is_poisoned: false,
            _lock: lock,
        };
        Ok((dir, checkpoint))
    }

    /// The index of the leaf that is needed next. After opening, the size of the last signed checkpoint.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The last checkpoint that was signed. Leaves below its size are not needed from the log any more.
    pub fn published(&self) -> Option<&Checkpoint> {
        self.published.as_ref().map(|published| &published.head)
    }

    /// Adds leaves, as the engine's log holds them (each leaf with its acknowledgement records,
    /// [`acks::join`]). Full bundles and tiles are written as they fill; nothing is visible to readers before
    /// [`AuditDir::publish`]. After an error only a new opening goes on.
    pub fn integrate<E: AsRef<[u8]>>(&mut self, first_index: u64, entries: &[E]) -> Result<(), AuditError> {
        self.guarded(|dir| {
            if first_index != dir.size() {
                return Err(AuditError::Order { expected: dir.size(), given: first_index });
            }
            entries.iter().try_for_each(|entry| dir.push(entry.as_ref()))
        })
    }

    /// Writes the partial files of this size, then signs and publishes its checkpoint. When it returns, all of
    /// it survives a power cut. Does nothing when no leaf came since the last time.
    pub fn publish(&mut self, signer: &NoteSigner) -> Result<Checkpoint, AuditError> {
        self.guarded(|dir| {
            if signer.verifier() != dir.verifier {
                return Err(AuditError::Key { expected: dir.verifier.to_string() });
            }
            if let Some(anchor) = &dir.anchor {
                return Err(AuditError::Unreached { anchor: anchor.head.size, size: dir.size() });
            }
            match dir.published() {
                Some(head) if head.size == dir.size() && !dir.is_rebuild => Ok(head.clone()),
                Some(_) | None => dir.publish_next(signer),
            }
        })
    }

    /// A failed write or sync leaves memory and disk apart: no step after it is trusted.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, AuditError>) -> Result<T, AuditError> {
        if self.is_poisoned {
            return Err(AuditError::Poisoned);
        }
        let result = act(self);
        self.is_poisoned = result.as_ref().is_err_and(|error| !matches!(error, AuditError::Order { .. }));
        result
    }

    fn push(&mut self, entry: &[u8]) -> Result<(), AuditError> {
        let index = self.edge.size();
        let (bytes, records) = acks::split(entry);
        match self.kind(index, bytes, &records)? {
            Kind::Attestation => {
                let place = u8::try_from(self.pending.entries).expect("a bundle has 256 entries");
                acks::push_block(&mut self.pending.acks, place, &records);
            }
            Kind::Intent | Kind::Accounting | Kind::Withheld => {
                let cause = acks::AcksError::Mismatch;
                records.is_empty().then_some(()).ok_or(AuditError::Acks { index, cause })?;
            }
        }
        push_entry(&mut self.pending.bundle, bytes);
        self.pending.entries += 1;
        self.grow(leaf_hash(bytes))?;
        self.check_anchor()
    }

    /// Which record the leaf is. What the engine wrote a moment ago was checked by it and is whole by the log's
    /// checksum; what is derived anew may be a former version's, or damaged, and is read and counted.
    fn kind(&self, index: u64, bytes: &[u8], records: &[&[u8]]) -> Result<Kind, AuditError> {
        let is_own = !self.is_rebuild && !cfg!(debug_assertions);
        if let Some(kind) = Kind::of_own(bytes).filter(|_| is_own) {
            return Ok(kind);
        }
        let leaf = Leaf::parse(bytes).map_err(|cause| AuditError::Leaf { index, cause })?;
        if let Leaf::Attestation(last) = &leaf {
            let checked = last.subscriber_ack_set.check(records);
            checked.map_err(|cause| AuditError::Acks { index, cause })?;
        }
        Ok(leaf.kind())
    }

    /// Adds the leaf to the tree and writes what became full.
    fn grow(&mut self, leaf: Hash) -> Result<(), AuditError> {
        let mut full: Vec<(TileId, Vec<u8>)> = Vec::new();
        self.edge.push(leaf, |id, hashes| full.push((id, encode_tile(hashes))));
        if self.pending.entries == TILE_WIDTH {
            let index = self.edge.size() / TILE_WIDTH as u64 - 1;
            self.objects.write_full(&bundle_path(index, TILE_WIDTH), &self.pending.bundle)?;
            if !self.pending.acks.is_empty() {
                self.objects.write_full(&acks_path(index, TILE_WIDTH), &self.pending.acks)?;
            }
            self.pending.begin();
        }
        full.iter().try_for_each(|(id, bytes)| self.objects.write_full(&id.path(), bytes))
    }

    fn check_anchor(&mut self) -> Result<(), AuditError> {
        let Some(anchor) = self.anchor.take_if(|anchor| anchor.head.size == self.edge.size()) else {
            return Ok(());
        };
        if self.edge.root() != anchor.head.root {
            return Err(AuditError::Fork { size: anchor.head.size });
        }
        self.published = Some(anchor);
        Ok(())
    }

    fn publish_next(&mut self, signer: &NoteSigner) -> Result<Checkpoint, AuditError> {
        self.check_sole_signer()?;
        self.write_partials()?;
        self.objects.sync()?;
        self.clear_partials()?;
        self.objects.sync()?;
        let head = Checkpoint {
            origin: self.verifier.name().to_owned(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        let published = Published { note: head.sign(signer), head: head.clone() };
        self.objects.replace(&self.last_signed, &published.note)?;
        self.objects.replace(&self.objects.path(verify::CHECKPOINT_PATH), &published.note)?;
        self.published = Some(published);
        self.is_rebuild = false;
        Ok(head)
    }

    /// The lock keeps a second writer out on this machine; this notices one on another.
    fn check_sole_signer(&self) -> Result<(), AuditError> {
        let found = self.objects.read(&self.last_signed)?;
        let expected = self.published.as_ref().map(|published| &published.note);
        if found.as_ref() == expected {
            Ok(())
        } else {
            Err(AuditError::Fenced { path: self.last_signed.display().to_string() })
        }
    }

    fn write_partials(&mut self) -> Result<(), AuditError> {
        let tiles: Vec<(String, Vec<u8>)> =
            self.edge.partials().map(|(id, hashes)| (id.path(), encode_tile(hashes))).collect();
        tiles.iter().try_for_each(|(path, bytes)| self.objects.write_partial(path, bytes))?;
        if self.pending.entries == 0 {
            return Ok(());
        }
        let (index, width) = (self.edge.size() / TILE_WIDTH as u64, self.pending.entries);
        self.objects.write_partial(&bundle_path(index, width), &self.pending.bundle)?;
        if self.pending.acks.is_empty() {
            return Ok(());
        }
        self.objects.write_partial(&acks_path(index, width), &self.pending.acks)
    }

    /// Removes the partial forms of what was at the right edge of the last checkpoint and is full now. The full
    /// form is durable by then, and readers of the older checkpoint take it instead.
    fn clear_partials(&mut self) -> Result<(), AuditError> {
        let before = self.published.as_ref().map_or(0, |published| published.head.size);
        for id in partial_tiles(before) {
            let is_full = self.edge.size() >> (8 * (u32::from(id.level) + 1)) > id.index;
            if !is_full {
                continue;
            }
            self.objects.clear_folder(&partial_folder(&TileId { width: TILE_WIDTH, ..id }.path()))?;
            if id.level == 0 {
                self.objects.clear_folder(&partial_folder(&bundle_path(id.index, TILE_WIDTH)))?;
                self.objects.clear_folder(&partial_folder(&acks_path(id.index, TILE_WIDTH)))?;
            }
        }
        Ok(())
    }
}

/// The places of an audit log below a data directory.
pub fn places_in(data: &Path) -> Places {
    Places { tree: data.join("audit"), last_signed: data.join("audit-last-signed") }
}

#[cfg(test)]
mod tests;
