//! Why the store refused. Every variant names what was tried and how to recover, and has a code.

use writ_model::code::{self, Code};
use writ_model::id::{Epoch, Offset, Sequence, Slot};

use crate::pairs::io_code;

pub use crate::state::error::StateError;
pub use crate::vault::error::VaultError;

/// An append was refused.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk is full; nothing was stored. Free space, then the append may be repeated.
    #[error("append of {bytes} bytes to {path}: no space left; free space or move the store")]
    Full {
        /// Which file.
        path: String,
        /// How much.
        bytes: u64,
    },
    /// The slot's tail is not the one that the caller expected; nothing was stored.
    #[error("append to slot {}: sequence {given} does not follow {tail}", slot.number())]
    SequenceConflict {
        /// Which slot.
        slot: Slot,
        /// The slot's tail.
        tail: Sequence,
        /// The sequence that was given.
        given: Sequence,
    },
    /// The commit is larger than any commit may be; nothing was stored.
    #[error("append of {bytes} bytes: a commit may have {bytes_max}; split it")]
    TooLarge {
        /// How much.
        bytes: u64,
        /// How much it may be.
        bytes_max: u64,
    },
    /// A newer writer has the log; nothing was stored.
    #[error("append with epoch {}: epoch {} has taken over", given.0, current.0)]
    Fenced {
        /// The writer's epoch.
        given: Epoch,
        /// The log's epoch.
        current: Epoch,
    },
    /// Nobody knows whether it was stored: open again and read the tail.
    #[error("append: outcome unknown ({cause}); open the log again and read its tail")]
    Indeterminate {
        /// What happened.
        cause: String,
    },
    /// An earlier write or sync failed; only a new opening goes on.
    #[error("append: the log stopped at an earlier failed write or sync; restart to recover")]
    Poisoned,
}

impl AppendError {
    /// The code of the page that says what to do.
    pub fn code(&self) -> Code {
        match self {
            Self::Full { .. } => code::DISK_FULL,
            Self::Fenced { .. } => code::WRITER_FENCED,
            Self::SequenceConflict { .. }
            | Self::TooLarge { .. }
            | Self::Indeterminate { .. }
            | Self::Poisoned => code::SYNC_FAILED,
        }
    }
}

/// A read or an opening failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is older than what is kept.
    #[error("read at offset {from}: the log begins at {start}")]
    BehindRetention {
        /// What was asked for.
        from: Offset,
        /// What there is.
        start: Offset,
    },
    /// A segment is damaged before its end; it is named and left as it is.
    #[error("segment {segment} is damaged at byte {at}: {cause}")]
    Corrupt {
        /// Which file.
        segment: String,
        /// Where.
        at: u64,
        /// What is wrong.
        cause: String,
    },
    /// Another process has the store open.
    #[error("{path} is open in another process; stop it first")]
    Locked {
        /// Which directory.
        path: String,
    },
    /// The store was written by a version that this one does not read.
    #[error("{path} has format {found}, this version reads {known}")]
    Version {
        /// Which file.
        path: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file system failed.
    #[error("{tried}: {source}")]
    Io {
        /// What was tried.
        tried: String,
        /// What came back.
        source: std::io::Error,
    },
}

impl ReadError {
    /// The code of the page that says what to do.
    pub fn code(&self) -> Code {
        match self {
            Self::Corrupt { .. } | Self::BehindRetention { .. } => code::LOG_CORRUPT,
            Self::Locked { .. } => code::STORE_LOCKED,
            Self::Version { .. } => code::STORE_VERSION,
            Self::Io { source, .. } => io_code(source),
        }
    }
}

/// A sealed part does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext cannot be sealed: it has no JSON form, or is longer than AES-GCM allows.
    #[error("private part cannot be sealed")]
    DoesNotSeal,
    /// The key is not the right one, or the part or its header was altered.
    #[error("sealed part does not open: wrong key or altered data")]
    DoesNotOpen,
    /// It opened, but its content is not what this version writes.
    #[error("sealed part opens but cannot be read")]
    Unreadable,
}
