//! What a source saw, and what was detected in it.

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, Position, RecordKey, SourceName};
use crate::lineage::Claim;
use crate::taxonomy::{ChangeType, Entity, Operation};
use crate::time::Timestamp;
use crate::value::{Attributes, Image};

/// What the source says happened to the row. Soft-delete, restore, reparent and rekey are told apart
/// later, by `writ-kernel`'s detect, with the mapping in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowChange {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A row that is gone.
    Delete,
    /// The source knows the row's present state, not what happened (a snapshot, a webhook).
    Upsert,
}

/// A source saw one record change. Not yet durable anywhere in Writ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which configured source.
    pub source: SourceName,
    /// The life of the source's position space.
    pub incarnation: Incarnation,
    /// Where in the source; total within the incarnation.
    pub position: Position,
    /// When the source committed it (for snapshots: when the snapshot was taken).
    pub committed_at: Timestamp,
    /// The source's transaction id. Linking, so it goes into sealed parts only.
    pub transaction: Option<String>,
    /// The id under which a producer sent it (CloudEvents `source` and `id`, webhook event id). Private.
    pub producer_id: Option<String>,
    /// Table or topic as the mapping names it.
    pub table: String,
    /// What happened to the row.
    pub row: RowChange,
    /// A producer that already knows the type says so (typed intake, redact topics).
    pub declared: Option<ChangeType>,
    /// The record's key, after the change.
    pub key: RecordKey,
    /// The key before the change, where it differs.
    pub old_key: Option<RecordKey>,
    /// The row before, as far as the source sent it.
    pub before: Option<Image>,
    /// The row after, as far as the source sent it.
    pub after: Option<Image>,
    /// What its producer says of its place among others.
    pub claim: Claim,
}

/// One typed change. One row change gives as many as it touches change types; they share a causation id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// What it is about.
    pub change_type: ChangeType,
    /// What happened.
    pub operation: Operation,
    /// The kind of record.
    pub entity: Entity,
    /// The mapped attributes of this type before, as far as known; `None`: did not exist.
    pub before: Option<Attributes>,
    /// The mapped attributes of this type after; `None`: no longer exist.
    pub after: Option<Attributes>,
    /// Mapped attributes that the source did not show and the last-known state does not hold.
    pub unseen: Vec<String>,
    /// Low-cardinality location of the record, where mapped.
    pub location: Option<String>,
    /// Language tag of the record, where mapped.
    pub locale: Option<String>,
}
