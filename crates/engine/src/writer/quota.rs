//! The operator's bound on the log. Beyond it changes are refused like on a full disk, while what the hub
//! writes goes on: deliveries still settle.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use writ_model::code;

use crate::error::EngineError;

/// What a change takes in the log, about: an event or two with their leaves.
const CHANGE_BYTES: u64 = 2048;

/// Bytes on disk, measured now and then and estimated between.
pub(crate) struct Quota {
    folder: PathBuf,
    bytes_max: u64,
    measured: u64,
    since: u64,
}

impl Quota {
    /// `None` for no bound.
    pub(crate) fn new(folder: &Path, bytes_max: Option<u64>) -> Option<Self> {
        let bytes_max = bytes_max?;
        let measured = used(folder).unwrap_or_default();
        Some(Self { folder: folder.to_path_buf(), bytes_max, measured, since: 0 })
    }

    /// So many bytes were appended.
    pub(super) fn add(&mut self, bytes: u64) {
        self.since += bytes;
    }

    /// Refuses so many more changes when the log has no room for them.
    pub(super) fn check(&mut self, changes: usize) -> Result<(), EngineError> {
        let need = changes as u64 * CHANGE_BYTES;
        if self.measured + self.since + need >= self.bytes_max {
            self.measured = used(&self.folder).unwrap_or(self.measured + self.since);
            self.since = 0;
        }
        if changes == 0 || self.measured + need < self.bytes_max {
            return Ok(());
        }
        let cause =
            format!("the log takes {} bytes and store.log_bytes_max is {}", self.measured, self.bytes_max);
        let remedy =
            "raise the bound or move the store; sources go on by themselves, pushes are to be sent again";
        Err(EngineError::new(code::DISK_FULL, "append to the log", cause, remedy))
    }
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
