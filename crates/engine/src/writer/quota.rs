//! Room for changes: the operator's bound on the log, and what stays free on the disk. Beyond either, changes are
//! refused like on a full disk, while what the hub writes goes on: deliveries still settle, and what the log no
//! longer needs is still removed.
//!
//! The reserve is there because a full disk is met first by whoever writes next, and the key-value stores beside
//! the log, once a write of theirs has failed, can only be opened again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use writ_model::code;

use crate::config;
use crate::error::EngineError;

/// What a change takes in the log, about: an event or two with their leaves.
const CHANGE_BYTES: u64 = 2048;

/// The reserve where none is configured: so much, or so small a share of the whole disk where that is less.
const RESERVE_BYTES: u64 = 256 << 20;
const RESERVE_SHARE: u64 = 50;

/// What a refused source or push is told to do.
const REMEDY: &str = "sources go on by themselves, pushes are to be sent again";

/// Bytes of the log and of the disk. The log's are measured now and then and estimated between, the disk's free
/// ones are asked for each time.
pub(crate) struct Quota {
    store: PathBuf,
    bytes_max: Option<u64>,
    reserve: u64,
    measured: u64,
    since: u64,
}

impl Quota {
    pub(crate) fn new(store: &config::Store) -> Self {
        let measured = used(&log_of(&store.path)).unwrap_or_default();
        let reserve = store.reserve_mib.map(|mib| mib << 20).unwrap_or_else(|| usual_reserve(&store.path));
        Self { store: store.path.clone(), bytes_max: store.log_bytes_max, reserve, measured, since: 0 }
    }

    /// So many bytes were appended.
    pub(super) fn add(&mut self, bytes: u64) {
        self.since += bytes;
    }

    /// Refuses so many more changes when there is no room for them.
    pub(super) fn check(&mut self, changes: usize) -> Result<(), EngineError> {
        if changes == 0 {
            return Ok(());
        }
        let need = changes as u64 * CHANGE_BYTES;
        self.check_log(need)?;
        self.check_disk(need)
    }

    fn check_log(&mut self, need: u64) -> Result<(), EngineError> {
        let Some(bytes_max) = self.bytes_max else { return Ok(()) };
        if self.measured + self.since + need >= bytes_max {
            self.measured = used(&log_of(&self.store)).unwrap_or(self.measured + self.since);
            self.since = 0;
        }
        if self.measured + need < bytes_max {
            return Ok(());
        }
        let cause = format!("the log takes {} bytes and store.log_bytes_max is {bytes_max}", self.measured);
        Err(full(cause, "raise the bound or move the store"))
    }

    /// A disk that does not answer is left to the append, whose error says more.
    fn check_disk(&self, need: u64) -> Result<(), EngineError> {
        let Ok(disk) = Disk::of(&self.store) else { return Ok(()) };
        if self.reserve == 0 || disk.free >= self.reserve + need {
            return Ok(());
        }
        let cause = format!(
            "{} bytes are free on the disk of {}, and {} are kept for what is under way (store.reserve_mib)",
            disk.free,
            self.store.display(),
            self.reserve
        );
        Err(full(cause, "free space on the store's disk"))
    }
}

fn full(cause: String, what: &str) -> EngineError {
    EngineError::new(code::DISK_FULL, "append to the log", cause, &format!("{what}; {REMEDY}"))
}

fn usual_reserve(store: &Path) -> u64 {
    Disk::of(store).map_or(RESERVE_BYTES, |disk| RESERVE_BYTES.min(disk.whole / RESERVE_SHARE))
}

/// Bytes of the file system that a folder is on.
struct Disk {
    whole: u64,
    /// For this user, without what the system keeps for itself.
    free: u64,
}

impl Disk {
    fn of(folder: &Path) -> std::io::Result<Self> {
        let found = rustix::fs::statvfs(folder)?;
        Ok(Self { whole: found.f_blocks * found.f_frsize, free: found.f_bavail * found.f_frsize })
    }
}

fn log_of(store: &Path) -> PathBuf {
    store.join("log")
}

/// Bytes that a folder's files take on disk: segments reserve their length without taking it.
pub(crate) fn used(folder: &Path) -> std::io::Result<u64> {
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.blocks() * BLOCK;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(reserve: u64) -> (tempfile::TempDir, Quota) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = dir.path().to_path_buf();
        (dir, Quota { store, bytes_max: None, reserve, measured: 0, since: 0 })
    }

    #[test]
    fn changes_are_refused_while_less_than_the_reserve_is_free_and_nothing_else_is() {
        let (_dir, mut scarce) = quota(u64::MAX / 2);
        let refused = scarce.check(1).expect_err("no disk has so much");
        assert_eq!(refused.code, code::DISK_FULL);
        assert!(refused.to_string().contains("store.reserve_mib"), "{refused}");
        assert!(scarce.check(0).is_ok(), "a source that tells only its progress");
    }

    #[test]
    fn no_reserve_asks_for_no_room() {
        let (_dir, mut quota) = quota(0);
        assert!(quota.check(usize::MAX >> 12).is_ok());
    }

    #[test]
    fn the_usual_reserve_is_a_small_share_of_the_disk() {
        let (dir, _) = quota(0);
        let disk = Disk::of(dir.path()).expect("a disk");
        assert!(usual_reserve(dir.path()) <= disk.whole / RESERVE_SHARE);
        assert!((1..=RESERVE_BYTES).contains(&usual_reserve(dir.path())));
    }
}
