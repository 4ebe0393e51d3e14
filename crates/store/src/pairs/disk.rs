//! Pairs in an LSM tree on disk (fjall), with small explicit bounds on memory (ADR 0010).
//!
//! A new store is made beside its place and moved there whole, so that a crash while making it leaves
//! nothing half made, and a store without a format marker is never one of ours.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Area, Batch, Durability, Fault, Pair, Pairs, range};

/// Keyspace and key of the format number.
const FORMAT: &str = "format";
/// The journal's bound, fjall's least: beyond it, areas that are seldom written are flushed to let go of old
/// journal files.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Flushing must not wait for a compaction, so one thread for each.
const WORKER_THREADS: usize = 2;
/// The format of fjall's own files.
const FJALL_FORMAT: u32 = 3;

/// What a store looks like and how much memory it may take.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The format of keys and values; another one is refused.
    pub format: u32,
    /// Names of the areas.
    pub areas: &'static [&'static str],
    /// Block cache, for all areas together.
    pub cache_bytes: u64,
    /// Write buffer of each area; up to four full ones may wait for the disk.
    pub memtable_bytes: u64,
}

/// A fjall database. Its directory is locked while this lives.
pub struct DiskPairs {
    db: Database,
    areas: Vec<Keyspace>,
    format: Keyspace,
    path: PathBuf,
}

impl DiskPairs {
    /// Opens the store in `dir`, makes it when there is none. Its parents are made with mode 0700.
    pub fn open(dir: &Path, shape: &Shape) -> Result<Self, Fault> {
        if !exists(dir)? {
            create(dir, shape)?;
        }
        let pairs = Self::open_database(dir, shape)?;
        let marker = pairs.format.get(FORMAT).map_err(|error| pairs.fault(error))?;
        let found = marker.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u32::from_be_bytes);
        if found != shape.format {
            return Err(Fault::Version { path: show(dir), found, known: shape.format });
        }
        Ok(pairs)
    }

    fn open_database(dir: &Path, shape: &Shape) -> Result<Self, Fault> {
        let fault = |error| fault(dir, error);
        let db = Database::builder(dir)
            .cache_size(shape.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKER_THREADS)
            .open()
            .map_err(fault)?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(shape.memtable_bytes)
                .filter_block_partitioning_policy(partitioned())
                .index_block_partitioning_policy(partitioned())
        };
        let areas = shape.areas.iter().map(|name| db.keyspace(name, options)).collect::<Result<_, _>>();
        let format = db.keyspace(FORMAT, options).map_err(fault)?;
        Ok(Self { areas: areas.map_err(fault)?, format, db, path: dir.to_owned() })
    }

    fn fault(&self, error: fjall::Error) -> Fault {
        fault(&self.path, error)
    }
}

impl Pairs for DiskPairs {
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.areas[area.0].get(key).map_err(|error| self.fault(error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, area: Area, prefix: &[u8], start: &[u8], limit: usize) -> Result<Vec<Pair>, Fault> {
        let Some(range) = range(prefix, start) else { return Ok(Vec::new()) };
        let pairs = self.areas[area.0].range(range).take(limit);
        let pairs = pairs.map(|pair| pair.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec())));
        pairs.collect::<Result<_, _>>().map_err(|error| self.fault(error))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault> {
        let mode = match durability {
            Durability::Buffered => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncAll,
        };
        let mut writes = self.db.batch().durability(Some(mode));
        for ((area, key), value) in batch.0 {
            match value {
                Some(value) => writes.insert(&self.areas[area.0], key, value),
                None => writes.remove(&self.areas[area.0], key),
            }
        }
        writes.commit().map_err(|error| self.fault(error))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.db.persist(PersistMode::SyncAll).map_err(|error| self.fault(error))
    }
}

/// Filters and indexes below the youngest level lie in blocks of a few KiB. As one block for each table, fjall's own
/// choice down to its third level, each takes megabytes: a small cache holds none of them, and every look reads and
/// checks them anew.
fn partitioned() -> PartitioningPolicy {
    PartitioningPolicy::new([false, true])
}

fn create(dir: &Path, shape: &Shape) -> Result<(), Fault> {
    let unfinished = dir.with_extension("new");
    let parent = dir.parent().unwrap_or(Path::new("."));
    make_private_dir(parent).map_err(|source| io_fault(parent, source))?;
    if exists(&unfinished)? {
        fs::remove_dir_all(&unfinished).map_err(|source| io_fault(&unfinished, source))?;
    }
    let pairs = DiskPairs::open_database(&unfinished, shape)?;
    pairs.format.insert(FORMAT, shape.format.to_be_bytes()).map_err(|error| pairs.fault(error))?;
    pairs.sync()?;
    drop(pairs);
    let moved = fs::rename(&unfinished, dir).and_then(|()| sync_dir(parent));
    moved.map_err(|source| io_fault(dir, source))
}

/// Makes a directory, and those above it, that only the owner can enter.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes the names in a directory survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn exists(path: &Path) -> Result<bool, Fault> {
    path.try_exists().map_err(|source| io_fault(path, source))
}

fn fault(dir: &Path, error: fjall::Error) -> Fault {
    let path = show(dir);
    match error {
        fjall::Error::Locked => Fault::Locked { path },
        fjall::Error::InvalidVersion(found) => {
            let found = found.map_or(0, |version| u32::from(u8::from(version)));
            Fault::Version { path: show(&dir.join("version")), found, known: FJALL_FORMAT }
        }
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            Fault::Io { path, source }
        }
        fjall::Error::Poisoned => Fault::Stopped { path },
        other => Fault::Damaged { path, cause: other.to_string() },
    }
}

fn io_fault(path: &Path, source: io::Error) -> Fault {
    Fault::Io { path: show(path), source }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { format: 7, areas: &["a"], cache_bytes: 1 << 20, memtable_bytes: 1 << 20 };

    #[test]
    fn a_second_opening_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = DiskPairs::open(&dir.path().join("db"), &SHAPE).unwrap();
        let refused = DiskPairs::open(&dir.path().join("db"), &SHAPE).err().unwrap();
        assert_eq!(refused.code(), writ_model::code::STORE_LOCKED);
        drop(first);
        assert!(DiskPairs::open(&dir.path().join("db"), &SHAPE).is_ok());
    }

    #[test]
    fn a_foreign_format_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        drop(DiskPairs::open(&dir.path().join("db"), &SHAPE).unwrap());
        let newer = Shape { format: 8, ..SHAPE };
        let refused = DiskPairs::open(&dir.path().join("db"), &newer).err().unwrap();
        assert!(matches!(refused, Fault::Version { found: 7, known: 8, .. }), "{refused}");
        assert_eq!(refused.code(), writ_model::code::STORE_VERSION);
    }

    #[test]
    fn a_store_that_was_cut_off_while_being_made_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let unfinished = dir.path().join("db.new");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("0.jnl"), b"cut off").unwrap();
        assert!(DiskPairs::open(&dir.path().join("db"), &SHAPE).is_ok());
        assert!(!unfinished.exists());
    }
}
