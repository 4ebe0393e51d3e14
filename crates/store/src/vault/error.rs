//! Why the key vault refused. Messages name buckets, files and internal ids, never keys or key hashes.

use std::io;
use std::path::Path;

use writ_model::code::{self, Code};
use writ_model::id::SubjectId;

use crate::pairs::{Fault, io_code};

/// The key vault failed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The engine below failed; `cause` says how to recover.
    #[error("key vault: {tried}: {cause}")]
    Engine {
        /// What was tried.
        tried: &'static str,
        /// What came back.
        cause: Fault,
    },
    /// A key-encryption key is missing or does not open its records.
    #[error("key vault: bucket {bucket} cannot be opened; restore kek file and vault from the same backup")]
    Bucket {
        /// Which bucket.
        bucket: u16,
    },
    /// The master key is missing or not the one that the vault was made with.
    #[error("key vault: master key of {path}: {problem}")]
    MasterKey {
        /// Which file or directory.
        path: String,
        /// What is wrong and how to recover.
        problem: &'static str,
    },
    /// The file of the key-encryption keys is missing, damaged or another vault's.
    #[error("key vault: {path}: {problem}")]
    KekFile {
        /// Which file.
        path: String,
        /// What is wrong and how to recover.
        problem: &'static str,
    },
    /// A new subject's key hash names another subject: that one has to be moved (`remember`) first.
    #[error("key vault: create subject {subject}: its key hash names another subject; move that one first")]
    KeyHashTaken {
        /// The subject that was to be created.
        subject: SubjectId,
    },
    /// Last-known state was given for a subject that was never created.
    #[error("key vault: remember: change {change} of {changes} names no subject; create it first")]
    UnknownSubject {
        /// Its place in the batch, from 1.
        change: usize,
        /// How many changes the batch has.
        changes: usize,
    },
    /// A file beside the database failed.
    #[error("key vault: {tried} {path}: {source}")]
    Io {
        /// What was tried.
        tried: &'static str,
        /// Which file.
        path: String,
        /// What came back.
        source: io::Error,
    },
}

impl VaultError {
    /// The code of the page that says what to do.
    pub fn code(&self) -> Code {
        match self {
            Self::Engine { cause, .. } => cause.code(),
            Self::Io { source, .. } => io_code(source),
            Self::Bucket { .. }
            | Self::MasterKey { .. }
            | Self::KekFile { .. }
            | Self::KeyHashTaken { .. }
            | Self::UnknownSubject { .. } => code::VAULT_UNUSABLE,
        }
    }

    /// For `map_err`: the fault of what was `tried`.
    pub(crate) fn when(tried: &'static str) -> impl Fn(Fault) -> Self {
        move |cause| Self::Engine { tried, cause }
    }

    /// For `map_err`: the file system's error at `path`.
    pub(crate) fn io(tried: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { tried, path: path.display().to_string(), source }
    }

    /// A value in the database that this version did not write.
    pub(crate) fn unreadable(what: &'static str) -> Self {
        let cause = Fault::Damaged { path: "vault".to_owned(), cause: format!("{what} cannot be decoded") };
        Self::Engine { tried: "read", cause }
    }
}
