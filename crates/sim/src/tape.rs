//! The real segment log over the simulated disk.

use std::path::Path;
use std::sync::Arc;

use crate::mount::Mount;
use writ_model::id::{Epoch, Offset, Sequence, Slot};
use writ_store::disk::SimDisk;
use writ_store::error::{AppendError, ReadError};
use writ_store::log::{Appended, Commit, Log, Options, Record, Salts, SegmentLog, SegmentSpan};

pub(crate) const DIR: &str = "/sim/log";

/// What one read of the whole tape asks for at a time.
const READ_BYTES: usize = 1 << 20;

/// Small segments, so that a world fills several.
pub(crate) fn options(seed: u64) -> Options {
    Options { segment_bytes: 24 << 10, index_bytes: 2 << 10, salts: Salts::Seeded(seed) }
}

pub(crate) struct Tape {
    log: SegmentLog,
    epoch: Epoch,
    mount: Mount,
}

impl Tape {
    pub(crate) fn open(disk: &SimDisk, seed: u64) -> Result<Self, ReadError> {
        let mount = Mount::new(disk);
        let opened = SegmentLog::open(Arc::new(mount.clone()), Path::new(DIR), options(seed))?;
        Ok(Self { log: opened.log, epoch: opened.recovery.epoch, mount })
    }

    /// Its disk is attached elsewhere.
    pub(crate) fn take_away(&self) {
        self.mount.take_away();
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn end(&self) -> Offset {
        self.log.end()
    }

    /// The oldest offset that it still holds.
    pub(crate) fn start(&self) -> Offset {
        self.log.start()
    }

    pub(crate) fn segments(&self) -> Vec<SegmentSpan> {
        self.log.reader().segments()
    }

    pub(crate) fn truncate_before(&mut self, before: Offset) -> Result<Offset, AppendError> {
        self.log.truncate_before(before)
    }

    pub(crate) fn tail(&self, slot: Slot) -> Sequence {
        self.log.tail(slot)
    }

    pub(crate) fn append(&mut self, commit: Commit) -> Result<Appended, AppendError> {
        self.log.append(self.epoch, commit)
    }

    /// What a writer of an earlier epoch would try.
    pub(crate) fn append_as(&mut self, epoch: Epoch, commit: Commit) -> Result<Appended, AppendError> {
        self.log.append(epoch, commit)
    }

    /// Everything from an offset on, as far as `bytes_max` goes.
    pub(crate) fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, String> {
        self.log.reader().read(from, bytes_max).map_err(|error| error.to_string())
    }

    /// Everything from an offset on.
    pub(crate) fn read_all(&self, mut from: Offset) -> Result<Vec<Record>, String> {
        let mut all: Vec<Record> = Vec::new();
        while from < self.end() {
            let some = self.read(from, READ_BYTES)?;
            let Some(last) = some.last() else { return Err(format!("no record at {from}")) };
            from = last.offset().next();
            all.extend(some);
        }
        Ok(all)
    }
}
