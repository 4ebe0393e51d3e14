//! The file of the key-encryption keys: replaced whole, old bytes overwritten, never appended to.
//!
//! ```text
//! "WRITKEK1"   vault id [16]   nonce [12]   AES-256-GCM under the master key of the keys   tag [16]
//! ```
//!
//! Magic and vault id are associated data. Replacing takes the steps below; a crash between any two leaves
//! `kek` whole, old or new, and the next opening overwrites and removes what lies beside it.
//!
//! ```text
//! write kek.new, sync - link kek as kek.old - rename kek.new to kek, sync - overwrite kek.old, sync, remove
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::kek::Keks;
use super::master::{MasterKey, write_beside};
use super::wrap;
use crate::error::VaultError;
use crate::pairs::disk::sync_dir;

/// Format 1; another format gets another name.
const MAGIC: &[u8; 8] = b"WRITKEK1";
/// What all formats begin with.
const FAMILY: &[u8; 7] = b"WRITKEK";

/// `kek` in a vault's directory.
pub(super) struct KekFile {
    dir: PathBuf,
    path: PathBuf,
    old: PathBuf,
    header: Vec<u8>,
    master: MasterKey,
}

impl KekFile {
    pub(super) fn new(dir: &Path, vault_id: &[u8; 16], master: MasterKey) -> Self {
        let header = [MAGIC.as_slice(), vault_id].concat();
        Self { dir: dir.to_owned(), path: path(dir), old: dir.join("kek.old"), header, master }
    }

    /// Reads the keys, and clears away what an interrupted replacement left.
    pub(super) fn read(&self) -> Result<Keks, VaultError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.problem("missing; restore it from the backup that the vault is from"));
            }
            Err(error) => return Err(VaultError::io("read", &self.path)(error)),
        };
        let keks = self.decode(&bytes)?;
        self.clear_leftovers()?;
        Ok(keks)
    }

    /// Puts these keys in the place of the present ones. When it returns they survive a power cut, and the
    /// file system holds the former ones under no name; their bytes were overwritten in place.
    pub(super) fn replace(&self, keks: &Keks) -> Result<(), VaultError> {
        self.clear_leftovers()?;
        let plain = keks.to_bytes(crate::seal::TAG_BYTES);
        let sealed = wrap::seal(&self.master.0, &self.header, plain)?;
        let unfinished = write_beside(&self.path, &[self.header.as_slice(), &sealed].concat())?;
        match fs::hard_link(&self.path, &self.old) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked.map_err(VaultError::io("link", &self.old))?,
        }
        fs::rename(&unfinished, &self.path).map_err(VaultError::io("rename to", &self.path))?;
        sync_dir(&self.dir).map_err(VaultError::io("sync", &self.dir))?;
        self.clear_leftovers()
    }

    fn decode(&self, bytes: &[u8]) -> Result<Keks, VaultError> {
        if !bytes.starts_with(FAMILY) {
            return Err(self.problem("not a file of key-encryption keys; restore it"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(self.problem("written by another version; use that one"));
        }
        let Some(sealed) = bytes.strip_prefix(self.header.as_slice()) else {
            return Err(
                self.problem("belongs to another vault; restore kek file and vault from the same backup")
            );
        };
        let plain = wrap::open(&self.master.0, &self.header, sealed).map(Zeroizing::new);
        let plain = plain.ok_or_else(|| self.problem("does not open: damaged, or another master key"))?;
        Keks::from_bytes(&plain).ok_or_else(|| self.problem("opens but cannot be read; restore it"))
    }

    /// Overwrites and removes `kek.old` and `kek.new`.
    fn clear_leftovers(&self) -> Result<(), VaultError> {
        let mut is_changed = false;
        for leftover in [self.old.clone(), self.path.with_added_extension("new")] {
            let shredded = shred(&leftover, &self.path);
            is_changed |= shredded.map_err(VaultError::io("overwrite and remove", &leftover))?;
        }
        if is_changed {
            sync_dir(&self.dir).map_err(VaultError::io("sync", &self.dir))?;
        }
        Ok(())
    }

    fn problem(&self, problem: &'static str) -> VaultError {
        VaultError::KekFile { path: self.path.display().to_string(), problem }
    }
}

/// Where a vault's key-encryption keys are.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("kek")
}

/// Overwrites a file's bytes in place and removes it; false when there is none. A second name of `kept` is only
/// removed: the crash came before the file got its successor.
fn shred(path: &Path, kept: &Path) -> io::Result<bool> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let is_kept = fs::metadata(kept).is_ok_and(|kept| (kept.dev(), kept.ino()) == (found.dev(), found.ino()));
    if !is_kept {
        let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
    }
    fs::remove_file(path)?;
    Ok(true)
}
