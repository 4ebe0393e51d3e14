//! An event: a clear header that routes it and a private part that is sealed under the subject's key.
//!
//! The header is a closed list (ADR 0003). Nothing that names a person or links records goes in it: the
//! record key, the source's position and transaction, the causation id and the data are all private.

use serde::{Deserialize, Serialize};

use crate::id::{
    EventId, Generation, Incarnation, Position, RecordKey, Slot, SourceName, SubjectId, TenantId,
};
use crate::lineage::{Lineage, SourceVersion};
use crate::taxonomy::{ChangeType, Entity, Operation};
use crate::time::{Hlc, Timestamp};
use crate::value::Attributes;

/// Everything about an event that is stored unencrypted. Adding a field needs an ADR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearHeader {
    /// Stable under rewinds of the source.
    pub event_id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// The configured source it came from.
    pub source: SourceName,
    /// What it is about.
    pub change_type: ChangeType,
    /// What happened.
    pub operation: Operation,
    /// The kind of record.
    pub entity: Entity,
    /// The subject under its internal random id; the partition key.
    pub subject_id: SubjectId,
    /// Which of the subject's lives.
    pub generation: Generation,
    /// The subject's slot.
    pub slot: Slot,
    /// Hybrid logical clock at admission.
    pub hlc: Hlc,
    /// When the source committed the change.
    pub time: Timestamp,
    /// When Writ admitted it.
    pub recorded_at: Timestamp,
    /// Major version of the schema of the data.
    pub schema_major: u32,
    /// Low-cardinality location, where mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Language tag, where mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Where it stands among others, where there is something to say (ADR 0035).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

/// What is sealed under the subject's content key before it touches a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivatePart {
    /// The record's natural key; the CloudEvents `subject` is the entity and this.
    pub key: RecordKey,
    /// The key before a rekey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_key: Option<RecordKey>,
    /// Table or topic in the source.
    pub table: String,
    /// Life of the source's position space.
    pub incarnation: Incarnation,
    /// Where in the source.
    pub position: Position,
    /// The source's transaction id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// The id under which a producer sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer_id: Option<String>,
    /// Shared by all events of one row change.
    pub causation_id: EventId,
    /// Shared by the events of one business transaction, as its producer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// How new its producer says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SourceVersion>,
    /// The change itself.
    pub data: EventData,
}

/// The `data` of the CloudEvent, validated against the change type's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventData {
    /// The record's natural key values, in key order.
    pub key: Vec<String>,
    /// Attributes before; null when the attribute group did not exist or is not known.
    pub before: Option<Attributes>,
    /// Attributes after; null when they no longer exist.
    pub after: Option<Attributes>,
    /// Attributes whose value nobody showed; absent when none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// An event before any verdict. Lives in memory only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The clear part.
    pub header: ClearHeader,
    /// The part to be sealed.
    pub private: PrivatePart,
}
