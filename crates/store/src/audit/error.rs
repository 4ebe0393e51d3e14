//! Why the audit log's files could not be opened, extended or published.

use writ_attest::acks::AcksError;
use writ_attest::leaf::LeafError;
use writ_attest::note::NoteError;
use writ_model::code::{self, Code};

/// The audit directory refused. Nothing is signed after any of these.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file system failed.
    #[error("{tried}: {source}; make the place writable, then open the audit log again")]
    Io {
        /// What was tried.
        tried: String,
        /// What came back.
        source: std::io::Error,
    },
    /// Another process writes this audit log.
    #[error("{path} is open in another process; stop it first")]
    Locked {
        /// Which directory.
        path: String,
    },
    /// A checkpoint on disk is not signed by this log's key.
    #[error("{path}: {cause}; open the audit log with the key that signed it")]
    Signature {
        /// Which file.
        path: String,
        /// Why.
        cause: NoteError,
    },
    /// There is a checkpoint, and no record of what was signed last.
    #[error(
        "{path} is missing although a checkpoint was published; restore it, or copy the checkpoint to it after comparing it with an auditor's"
    )]
    LastSignedMissing {
        /// Which file.
        path: String,
    },
    /// The tree lacks files of the last signed checkpoint: an older copy was restored, or files were lost.
    #[error(
        "the tree does not hold the {signed} leaves that were signed ({path}); restore a newer copy or rebuild it from the log"
    )]
    Behind {
        /// Size of the last signed checkpoint.
        signed: u64,
        /// The first file that is missing.
        path: String,
    },
    /// The leaves lead to another root than was signed.
    #[error(
        "the tree contradicts the checkpoint signed at size {size}; do not sign on, keep both copies for the auditor"
    )]
    Fork {
        /// Where.
        size: u64,
    },
    /// A file is not what the leaves give.
    #[error(
        "{path} is not what the leaves give; set it aside for the auditor and rebuild the tree from the log"
    )]
    Mismatch {
        /// Which file.
        path: String,
    },
    /// Somebody else signed since this opening.
    #[error("{path} was changed by another writer; stop it, then open the audit log again")]
    Fenced {
        /// Which file.
        path: String,
    },
    /// Leaves were given out of order; nothing was taken, and the right ones may follow.
    #[error("leaf {given} was given, {expected} is next")]
    Order {
        /// The next index.
        expected: u64,
        /// The index that was given.
        given: u64,
    },
    /// What the log holds at this index is not a leaf.
    #[error("leaf {index}: {cause}; a newer version may have written it")]
    Leaf {
        /// Which leaf.
        index: u64,
        /// Why.
        cause: LeafError,
    },
    /// The acknowledgement records are not those of their leaf.
    #[error("leaf {index}: {cause}")]
    Acks {
        /// Which leaf.
        index: u64,
        /// Why.
        cause: AcksError,
    },
    /// The signing key is not this log's.
    #[error("the signing key is not that of {expected}")]
    Key {
        /// The log's public key.
        expected: String,
    },
    /// A rebuild has not reached the last signed checkpoint.
    #[error("rebuilt {size} of the {anchor} leaves that were signed; feed the rest before publishing")]
    Unreached {
        /// The signed size.
        anchor: u64,
        /// The size so far.
        size: u64,
    },
    /// An earlier step failed; only a new opening goes on.
    #[error("the audit log stopped at an earlier error; open it again to recover")]
    Poisoned,
}

impl AuditError {
    /// The error page.
    pub fn code(&self) -> Code {
        match self {
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => code::DISK_FULL,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                code::STORE_READ_ONLY
            }
            Self::Io { .. } | Self::Poisoned => code::SYNC_FAILED,
            Self::Locked { .. } => code::STORE_LOCKED,
            Self::Signature { .. } | Self::Key { .. } => code::AUDIT_SIGNATURE,
            Self::LastSignedMissing { .. } | Self::Behind { .. } => code::AUDIT_ROLLBACK,
            Self::Fork { .. } => code::AUDIT_FORK,
            Self::Mismatch { .. } => code::AUDIT_ROOT,
            Self::Fenced { .. } => code::WRITER_FENCED,
            Self::Order { .. } | Self::Unreached { .. } => code::AUDIT_MISSING,
            Self::Leaf { .. } | Self::Acks { .. } => code::AUDIT_CANONICAL,
        }
    }
}
