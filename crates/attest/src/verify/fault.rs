//! What can be wrong with a log, in classes: each has an exit code and the code of its error page.

use serde::{Serialize, Serializer};

use crate::acks::AcksError;
use crate::leaf::{EventId, LeafError};
use crate::note::NoteError;
use crate::time::Time;
use crate::tree::Hash;

/// One thing that does not hold. Prints what and where, never a value from a leaf beyond ids and times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The checkpoint is not signed by the log's key.
    #[error("checkpoint: {cause}")]
    Signature {
        /// Why.
        cause: NoteError,
    },
    /// A hash tile is not what the entries give.
    #[error("{path} does not match the entries below it")]
    Tile {
        /// Which tile.
        path: String,
    },
    /// An entry bundle cannot be taken apart, or has another number of entries.
    #[error("{path} is not a bundle of {entries} entries")]
    Bundle {
        /// Which bundle.
        path: String,
        /// How many entries it should have.
        entries: usize,
    },
    /// The root over the entries is not the signed one.
    #[error("root of {size} leaves is {derived}, signed is {signed}")]
    Root {
        /// How many leaves.
        size: u64,
        /// In the checkpoint.
        signed: Hash,
        /// Over the entries.
        derived: Hash,
    },
    /// The log does not continue a checkpoint that was known earlier.
    #[error("root at size {size} is {derived}, a checkpoint known earlier says {known}")]
    Fork {
        /// Size of the earlier checkpoint.
        size: u64,
        /// Its root.
        known: Hash,
        /// The root of this log at that size.
        derived: Hash,
    },
    /// The log is shorter than it once was.
    #[error("the log has {size} leaves, it once had {known}")]
    Rollback {
        /// The known size.
        known: u64,
        /// The present size.
        size: u64,
    },
    /// An object is not there.
    #[error("{path} is missing")]
    Missing {
        /// Which object.
        path: String,
    },
    /// A leaf is not canonical or not of its record's form.
    #[error("leaf {index}: {cause}")]
    Leaf {
        /// Which leaf.
        index: u64,
        /// Why.
        cause: LeafError,
    },
    /// Acknowledgement records are not those of their leaves.
    #[error("{path}: {cause}")]
    Acks {
        /// Which companion object.
        path: String,
        /// Why.
        cause: AcksError,
    },
    /// A final leaf does not belong to an intent that waits for one.
    #[error("final leaf {index} of event {event_id}: {cause}")]
    Pairing {
        /// Which leaf.
        index: u64,
        /// Its event.
        event_id: EventId,
        /// What does not fit.
        cause: &'static str,
    },
    /// An intent has no final leaf although its time to settle is over.
    #[error("intent {index} of event {event_id} has no final leaf; it was due by {settle_by}")]
    Overdue {
        /// Which leaf.
        index: u64,
        /// Its event.
        event_id: EventId,
        /// When the final was due.
        settle_by: Time,
    },
    /// More intents are open than this version keeps in mind: pairing beyond is unknown.
    #[error("more than {limit} intents are open at leaf {index}")]
    TooManyOpen {
        /// Where.
        index: u64,
        /// How many are kept.
        limit: usize,
    },
    /// Accounting leaves of one source are not numbered without a gap.
    #[error("accounting leaf {index} of {source_name}/{partition} is number {found}, expected {expected}")]
    Gap {
        /// Which leaf.
        index: u64,
        /// The source.
        source_name: String,
        /// Its partition.
        partition: String,
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// A leaf's time does not fit the leaves around it, itself, or the time of verification.
    #[error("leaf {index} is of {at}: {cause} {bound}")]
    Time {
        /// Which leaf.
        index: u64,
        /// Its time.
        at: Time,
        /// How it fails.
        cause: &'static str,
        /// What it was compared with.
        bound: Time,
    },
}

impl Fault {
    /// The verifier's exit code for this class.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Signature { .. } => 10,
            Self::Tile { .. } | Self::Bundle { .. } | Self::Root { .. } => 11,
            Self::Fork { .. } => 12,
            Self::Rollback { .. } => 13,
            Self::Missing { .. } => 14,
            Self::Leaf { .. } | Self::Acks { .. } => 15,
            Self::Pairing { .. } | Self::Overdue { .. } | Self::TooManyOpen { .. } | Self::Gap { .. } => 16,
            Self::Time { .. } => 17,
        }
    }

    /// The error page of this class: `WRIT-7011`.
    pub fn code(&self) -> &'static str {
        match self.exit_code() {
            10 => "WRIT-7010",
            11 => "WRIT-7011",
            12 => "WRIT-7012",
            13 => "WRIT-7013",
            14 => "WRIT-7014",
            15 => "WRIT-7015",
            16 => "WRIT-7016",
            _ => "WRIT-7017",
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map([("code", self.code().to_owned()), ("fault", self.to_string())])
    }
}
