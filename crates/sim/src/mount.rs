//! A disk as one process sees it. When the disk is attached elsewhere, nothing that the process tries reaches it
//! any more: neither through open files, which a crash of the simulated disk ends, nor by name.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use writ_store::disk::{Disk, DiskFile, DiskLock, SimDisk};

#[derive(Clone)]
pub(crate) struct Mount {
    disk: SimDisk,
    is_gone: Arc<AtomicBool>,
}

impl Mount {
    pub(crate) fn new(disk: &SimDisk) -> Self {
        Self { disk: disk.clone(), is_gone: Arc::default() }
    }

    /// From now on the disk is another's.
    pub(crate) fn take_away(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    fn held(&self) -> io::Result<&SimDisk> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is attached elsewhere"));
        }
        Ok(&self.disk)
    }
}

impl Disk for Mount {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.held()?.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.held()?.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.held()?.open(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.held()?.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.held()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.held()?.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.held()?.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.held()?.lock(path)
    }
}
