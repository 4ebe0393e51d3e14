//! Writing objects so that no reader and no crash ever sees half of one: a file of its own, synced, then
//! renamed to its name, then the directory synced. Full objects are never written over.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::AuditError;
use crate::disk::{Disk, DiskLock, RealDisk, SimDisk};

/// Holds the writer's lock.
const LOCK: &str = "lock";

/// The object that is being written. One writer needs one name, and a crash leaves at most one file.
const UNFINISHED: &str = "unfinished";

/// Readable by everyone, writable by nobody.
const READ_ONLY: u32 = 0o444;

/// What the audit log needs of a file system beyond [`Disk`].
pub trait Files: Disk {
    /// The whole file, opened for reading only; `None` when there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Takes every right to write the file away.
    fn protect(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
}

impl Files for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        present(fs::read(path))
    }

    fn protect(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(READ_ONLY))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }
}

impl Files for SimDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = present(self.open(path))? else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    fn protect(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, _dir: &Path) -> io::Result<()> {
        // Directories are prefixes of paths there.
        Ok(())
    }
}

pub(super) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Beside the target: the last signed checkpoint may be on another file system than the tree.
fn replacement_of(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// The objects below one directory.
pub(super) struct Objects {
    files: Arc<dyn Files>,
    root: PathBuf,
    /// Directories with names that a power cut may still take.
    unsynced: BTreeSet<PathBuf>,
}

fn tried(what: &str, path: &Path) -> impl FnOnce(io::Error) -> AuditError {
    let tried = format!("{what} {}", path.display());
    move |source| AuditError::Io { tried, source }
}

impl Objects {
    pub(super) fn open(files: Arc<dyn Files>, root: &Path) -> Result<Self, AuditError> {
        files.create_dir(root).map_err(tried("make", root))?;
        Ok(Self { files, root: root.to_owned(), unsynced: BTreeSet::new() })
    }

    pub(super) fn lock(&self) -> Result<Box<dyn DiskLock>, AuditError> {
        let path = self.path(LOCK);
        self.files.lock(&path).map_err(|source| match source.kind() {
            ErrorKind::WouldBlock => AuditError::Locked { path: self.root.display().to_string() },
            _ => tried("lock", &path)(source),
        })
    }

    pub(super) fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    /// Removes what a crash left half written, of objects and of the files that are replaced.
    pub(super) fn clear_unfinished(&self, replaced: &[&Path]) -> Result<(), AuditError> {
        for path in replaced.iter().map(|path| replacement_of(path)).chain([self.path(UNFINISHED)]) {
            present(self.files.remove(&path)).map_err(tried("remove", &path))?;
        }
        Ok(())
    }

    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, AuditError> {
        self.files.read(path).map_err(tried("read", path))
    }

    /// Writes an object that will never change. One that is there already (from before a crash) must be the
    /// same: the writer's lock makes the look and the rename one step.
    pub(super) fn write_full(&mut self, object: &str, bytes: &[u8]) -> Result<(), AuditError> {
        let path = self.path(object);
        match self.read(&path)? {
            Some(found) if found == bytes => {
                // Its name may still be one that a power cut takes.
                self.note_unsynced(&path);
                Ok(())
            }
            Some(_) => Err(AuditError::Mismatch { path: object.to_owned() }),
            None => {
                let unfinished = self.write_unfinished(bytes)?;
                self.files.protect(&unfinished).map_err(tried("protect", &unfinished))?;
                self.finish(&path)
            }
        }
    }

    /// Writes an object of the right edge, over one of the same width if there is one.
    pub(super) fn write_partial(&mut self, object: &str, bytes: &[u8]) -> Result<(), AuditError> {
        self.write_unfinished(bytes)?;
        self.finish(&self.path(object))
    }

    /// Puts a file in place of another, durable when it returns.
    pub(super) fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        let dir = path.parent().unwrap_or(Path::new(""));
        self.files.create_dir(dir).map_err(tried("make", dir))?;
        let unfinished = replacement_of(path);
        self.write_synced(&unfinished, bytes)?;
        self.files.rename(&unfinished, path).map_err(tried("rename to", path))?;
        self.files.sync_dir(dir).map_err(tried("sync", dir))
    }

    fn write_unfinished(&self, bytes: &[u8]) -> Result<PathBuf, AuditError> {
        let path = self.path(UNFINISHED);
        self.write_synced(&path, bytes)?;
        Ok(path)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        let file = self.files.create(path).map_err(tried("create", path))?;
        file.write_at(bytes, 0).map_err(tried("write", path))?;
        file.sync_data().map_err(tried("sync", path))
    }

    fn finish(&mut self, path: &Path) -> Result<(), AuditError> {
        let dir = path.parent().unwrap_or(&self.root).to_owned();
        if !self.unsynced.contains(&dir) {
            self.files.create_dir(&dir).map_err(tried("make", &dir))?;
        }
        self.note_unsynced(path);
        self.files.rename(&self.path(UNFINISHED), path).map_err(tried("rename to", path))
    }

    /// The file's directory and those above it, which may be new too.
    fn note_unsynced(&mut self, path: &Path) {
        let above = path.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.root));
        self.unsynced.extend(above.map(Path::to_owned));
    }

    /// Makes every name that was given or removed survive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), AuditError> {
        for dir in &self.unsynced {
            present(self.files.sync_dir(dir)).map_err(tried("sync", dir))?;
        }
        self.unsynced.clear();
        Ok(())
    }

    /// Removes a directory and the files in it, if it is there.
    pub(super) fn clear_folder(&mut self, folder: &str) -> Result<(), AuditError> {
        let dir = self.path(folder);
        let Some(names) = present(self.files.list(&dir)).map_err(tried("list", &dir))? else {
            return Ok(());
        };
        for name in names {
            let path = dir.join(name);
            self.files.remove(&path).map_err(tried("remove", &path))?;
            self.note_unsynced(&path);
        }
        present(self.files.remove_dir(&dir)).map_err(tried("remove", &dir)).map(drop)
    }
}
