//! Replays as the journal keeps them: which events, who ordered it, what was done to it, how far it came.

use serde::{Deserialize, Serialize};

use crate::id::{Offset, Sequence, Slot, SubjectId, SubscriberName};
use crate::taxonomy::ChangeType;
use crate::time::Timestamp;
use crate::verdict::PolicyVersion;

/// Which events of the log. Everything that is set must hold; what is empty or `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Of these subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectId>,
    /// Of these change types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub change_types: Vec<ChangeType>,
    /// Recorded at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_time: Option<Timestamp>,
    /// Recorded before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_time: Option<Timestamp>,
    /// Of this slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// This number in the slot, or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_sequence: Option<Sequence>,
    /// Before this number in the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_sequence: Option<Sequence>,
    /// CloudEvents Subscriptions filters, all of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<serde_json::Value>,
}

/// Under which delivery ids a replay delivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryIds {
    /// Those of the first delivery: a receiver that remembers them does nothing twice.
    #[default]
    SameId,
    /// New ones, the replay's number being the reissue: nothing takes the repetition for a repeat.
    NewId,
}

/// What becomes of an event whose content key was destroyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shredded {
    /// It is delivered without data, and says so.
    #[default]
    Tombstone,
    /// It is withheld.
    Skip,
}

/// A replay as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOrder {
    /// Names the replay.
    pub id: String,
    /// Counts the store's replays, from 1; the reissue of new delivery ids.
    pub number: u32,
    /// To whom.
    pub subscriber: SubscriberName,
    /// First offset of the range.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
    /// Which events of the range.
    pub selection: Selection,
    /// Under which delivery ids.
    pub ids: DeliveryIds,
    /// What becomes of shredded events.
    pub shredded: Shredded,
    /// At most so many events a second.
    pub rate_per_second: Option<u32>,
    /// Why new ids are forced on a pair whose guarantee is exactly-once.
    pub forced: Option<String>,
    /// SHA-256 of caller and idempotency key, hex; empty when none was given.
    pub request: String,
    /// SHA-256 of what was asked, hex: a key that comes again with anything else is refused.
    pub asked: String,
    /// Who ordered it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What somebody did to a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayAct {
    /// Which.
    pub id: String,
    /// `paused`, `resumed`, `rate` or `cancelled`.
    pub act: String,
    /// The rate from now on, for `rate`.
    pub rate_per_second: Option<u32>,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// Events that a replay selected and today's gate kept back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWithheld {
    /// Which replay.
    pub id: String,
    /// The policy in force.
    pub policy: PolicyVersion,
    /// Where each is, and why in a word.
    pub items: Vec<(Offset, String)>,
}
