//! Ordered key-value pairs: what the vault's records and the derived state are kept in.
//!
//! Two forms: an LSM tree on disk ([`disk`]) and sorted maps in memory ([`memory`]). Keys sort as bytes. What
//! a pair means, and how it is encoded, is the business of the room that keeps it.

pub mod disk;
pub mod memory;

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;

use writ_model::code::{self, Code};

/// One of the sorted key spaces that a store was opened with, by its place in that list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Area(pub usize);

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// What a write must have survived when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process; not a power cut.
    Buffered,
    /// A power cut, together with everything written before it.
    Synced,
}

/// Changes that become visible, and survive a crash, all together or not at all. A later change of a key
/// replaces an earlier one.
#[derive(Debug, Default, Clone)]
pub struct Batch(BTreeMap<(Area, Vec<u8>), Option<Vec<u8>>>);

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, area: Area, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert((area, key), Some(value));
    }

    /// Removes a key, present or not.
    pub fn remove(&mut self, area: Area, key: Vec<u8>) {
        self.0.insert((area, key), None);
    }

    /// What the batch does to a key: nothing, or set (`Some`) or remove (`None`) it.
    pub fn change(&self, area: Area, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.get(&(area, key.to_vec())).map(Option::as_deref)
    }

    /// The changes of keys with this prefix, ascending.
    pub fn changes(&self, area: Area, prefix: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let in_prefix = |key: &[u8]| key.starts_with(prefix);
        self.0
            .range((area, prefix.to_vec())..)
            .take_while(move |((at, key), _)| *at == area && in_prefix(key))
            .map(|((_, key), value)| (key.as_slice(), value.as_deref()))
    }
}

/// A store of pairs. Reads may come from any thread; one thread writes.
pub trait Pairs: Send + Sync {
    /// The value of a key.
    fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// At most `limit` pairs whose key begins with `prefix` and is not below `start`, ascending.
    fn scan(&self, area: Area, prefix: &[u8], start: &[u8], limit: usize) -> Result<Vec<Pair>, Fault>;

    /// Writes a batch, whole or not at all.
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), Fault>;

    /// Makes everything written so far survive a power cut.
    fn sync(&self) -> Result<(), Fault>;
}

/// Why pairs could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another process, or another handle in this one, has it open.
    #[error("{path} is open in another process; stop it first")]
    Locked {
        /// Which directory.
        path: String,
    },
    /// It was written by a version that this one does not read.
    #[error("{path} has format {found}, this version reads {known}; use the version that wrote it")]
    Version {
        /// Which directory or file.
        path: String,
        /// Its format; zero when it names none.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// Which directory or file.
        path: String,
        /// What came back.
        source: io::Error,
    },
    /// An earlier write or sync failed; only a new opening goes on.
    #[error("{path} stopped at an earlier failed write or sync; restart to recover")]
    Stopped {
        /// Which directory.
        path: String,
    },
    /// What is stored cannot be read.
    #[error("{path} is damaged ({cause}); restore it from a backup")]
    Damaged {
        /// Which directory, or what kind of value.
        path: String,
        /// What is wrong.
        cause: String,
    },
}

impl Fault {
    /// The code of the page that says what to do.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => code::STORE_LOCKED,
            Self::Version { .. } => code::STORE_VERSION,
            Self::Io { source, .. } => io_code(source),
            Self::Stopped { .. } => code::SYNC_FAILED,
            Self::Damaged { .. } => code::STORE_DAMAGED,
        }
    }
}

/// The code of a file system error.
pub(crate) fn io_code(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => code::DISK_FULL,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => code::STORE_READ_ONLY,
        _ => code::SYNC_FAILED,
    }
}

/// From and to.
type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The range of a scan: from the larger of `prefix` and `start` to the end of the prefix; `None` when that is
/// empty, for sorted maps panic on ranges that end before they begin.
fn range(prefix: &[u8], start: &[u8]) -> Option<KeyRange> {
    let from = prefix.max(start);
    match after_prefix(prefix) {
        Some(end) if *from >= *end => None,
        Some(end) => Some((Bound::Included(from.to_vec()), Bound::Excluded(end))),
        None => Some((Bound::Included(from.to_vec()), Bound::Unbounded)),
    }
}

/// The smallest key above all keys with this prefix; `None` when there is no such key.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The smallest key above this one, for scans that go on after a key.
pub(crate) fn just_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Area = Area(0);
    const B: Area = Area(1);

    fn put(pairs: &dyn Pairs, area: Area, key: &[u8], durability: Durability) {
        let mut batch = Batch::default();
        batch.put(area, key.to_vec(), key.to_vec());
        pairs.write(batch, durability).unwrap();
    }

    fn keys(pairs: &dyn Pairs, prefix: &[u8], start: &[u8], limit: usize) -> Vec<Vec<u8>> {
        pairs.scan(A, prefix, start, limit).unwrap().into_iter().map(|(key, _)| key).collect()
    }

    fn check(pairs: &dyn Pairs) {
        for key in [&[1, 0][..], &[1, 255], &[1, 255, 0], &[2], &[255, 255]] {
            put(pairs, A, key, Durability::Buffered);
        }
        put(pairs, B, &[1], Durability::Synced);
        assert_eq!(keys(pairs, &[1], &[], 9), [&[1, 0][..], &[1, 255], &[1, 255, 0]]);
        assert_eq!(keys(pairs, &[1], &just_after(&[1, 0]), 1), [[1, 255]]);
        assert_eq!(keys(pairs, &[1], &[9], 9), [[0u8; 0]; 0], "a start beyond the prefix");
        assert_eq!(keys(pairs, &[255], &[], 9), [[255, 255]], "a prefix without a successor");
        assert_eq!(keys(pairs, &[], &[], 9).len(), 5);
        let mut batch = Batch::default();
        batch.remove(A, vec![2]);
        batch.remove(A, vec![77]);
        pairs.write(batch, Durability::Buffered).unwrap();
        assert_eq!(pairs.get(A, &[2]).unwrap(), None);
        assert_eq!(pairs.get(B, &[1]).unwrap(), Some(vec![1]));
    }

    #[test]
    fn memory_and_disk_keep_pairs_in_byte_order() {
        check(&memory::MemoryPairs::new(2));
        let dir = tempfile::tempdir().unwrap();
        let shape =
            disk::Shape { format: 1, areas: &["a", "b"], cache_bytes: 1 << 20, memtable_bytes: 1 << 20 };
        check(&disk::DiskPairs::open(&dir.path().join("db"), &shape).unwrap());
    }
}
