//! What leaves the log and what must stay, as the journal keeps it: truncations, legal holds.

use serde::{Deserialize, Serialize};

use crate::id::Offset;
use crate::lineage::Lamport;
use crate::replay::Selection;
use crate::time::Timestamp;

/// Whole segments leave the log. Durable before the first of them is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truncated {
    /// Everything below is dropped.
    pub before: Offset,
    /// When.
    pub at: Timestamp,
    /// What the clocks had reached: the events that would show it may all leave. Absent in journals of before it was
    /// kept.
    #[serde(default)]
    pub clocks: Clocks,
}

/// Readings that no later run may give again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The hybrid clock's, milliseconds since the Unix epoch.
    pub hlc_millis: u64,
    /// The logical clock's.
    pub lamport: Lamport,
}

/// A legal hold: the segments with events in its scope stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Names the hold.
    pub id: String,
    /// The matter's number, as the lawyers know it; no personal data.
    pub matter: String,
    /// Why, without personal data.
    pub reason: String,
    /// Subjects, change types and times; nothing else of a selection is used.
    pub scope: Selection,
    /// Who placed it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// A legal hold ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// Which.
    pub id: String,
    /// Why, without personal data.
    pub reason: String,
    /// Who released it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}
