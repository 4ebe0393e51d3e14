//! The master key: wraps the file of key-encryption keys and the tenant secrets. Either a file beside the
//! vault, made on first opening, or a secret of the operator's that never touches this disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::wrap::random;
use crate::error::VaultError;
use crate::pairs::disk::sync_dir;

/// A 256-bit key. Zeroed when dropped, never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MasterKey(pub [u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(<hidden>)")
    }
}

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub enum Master {
    /// `master.key` in the vault's directory, mode 0600, made on first opening.
    File,
    /// Given by the operator; the same at every opening.
    Supplied(MasterKey),
}

impl Master {
    /// The master key of the vault in `dir`. A missing file is made only for a vault that is new: an old one
    /// could not be opened with a new key.
    pub(super) fn resolve(&self, dir: &Path, is_new_vault: bool) -> Result<MasterKey, VaultError> {
        let path = dir.join("master.key");
        match self {
            Self::Supplied(key) => Ok(key.clone()),
            Self::File => match read(&path)? {
                Some(key) => Ok(key),
                None if is_new_vault => make(dir, &path),
                None => {
                    Err(problem(&path, "missing; restore it, or configure the master key it was made with"))
                }
            },
        }
    }
}

fn read(path: &Path) -> Result<Option<MasterKey>, VaultError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VaultError::io("read", path)(error)),
    };
    let mode = fs::metadata(path).map_err(VaultError::io("inspect", path))?.mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "master key is readable by others");
    }
    let key = bytes.as_slice().try_into().map_err(|_| problem(path, "not 32 bytes long; restore it"))?;
    Ok(Some(MasterKey(key)))
}

fn make(dir: &Path, path: &Path) -> Result<MasterKey, VaultError> {
    let key = MasterKey(random()?);
    let unfinished = write_beside(path, &key.0)?;
    fs::rename(&unfinished, path).map_err(VaultError::io("rename to", path))?;
    sync_dir(dir).map_err(VaultError::io("sync", dir))?;
    Ok(key)
}

/// Writes and syncs `<path>.new`, mode 0600, to be renamed to `path`.
pub(super) fn write_beside(path: &Path, bytes: &[u8]) -> Result<PathBuf, VaultError> {
    let unfinished = path.with_added_extension("new");
    write_private(&unfinished, bytes).map_err(VaultError::io("write", &unfinished))?;
    Ok(unfinished)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn problem(path: &Path, problem: &'static str) -> VaultError {
    VaultError::MasterKey { path: path.display().to_string(), problem }
}
