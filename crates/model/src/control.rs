//! Control facts: what the journal holds beside the event stream. Each is durable with the commit that
//! carries it; state is derived from them and from the events.
//!
//! These are promises to the disk: variants and fields are added, never changed or removed.

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::delivery::{Acknowledgement, Branch};
use crate::finding::Finding;
use crate::id::{
    DeliveryId, Epoch, EventId, Generation, Incarnation, Offset, Position, SourceName, SubjectId,
    SubscriberName,
};
use crate::replay::{ReplayAct, ReplayOrder, ReplayWithheld};
use crate::retention::{Hold, HoldReleased, Truncated};
use crate::saga::Saga;
use crate::taxonomy::{ChangeType, PriorityClass};
use crate::time::Timestamp;
use crate::verdict::{PolicyVersion, Reason, WithheldAs};

/// One control fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum ControlFact {
    /// Every change of this source up to the position is durable here (or was decided not to be stored).
    SourceProgress(SourceProgress),
    /// The last change of a source whose events are in the log; may be ahead of the resume point, inside a
    /// large transaction. A change at or before it is a duplicate.
    Covered(Covered),
    /// An accounting leaf was written for a source.
    Accounted(Accounted),
    /// A pushed change was taken; the same producer id again is a duplicate, or a conflict.
    Intake(IntakeSeen),
    /// An event that did not enter the stream.
    Withheld(Withheld),
    /// A change of an attribute group gave no event, because it is older than what was applied.
    Stale(StaleDropped),
    /// A lane's cursor.
    Cursor(Cursor),
    /// Events that settled at one subscriber.
    Settled(SettledBatch),
    /// An event entered a subscriber's dead letters.
    DeadLettered(DeadLetter),
    /// A dead-letter sequence was redriven or discarded.
    DeadLetterClosed(DeadLetterClosed),
    /// A lane was paused, resumed or stopped.
    Lane(LaneChange),
    /// An event is not sent any more, because a later one of its subject makes it void.
    Voided(Voided),
    /// A lane gave up a stretch of the log.
    BehindRetention(BehindRetention),
    /// Final leaves were written for these events.
    Finalised(Finalised),
    /// A replay was started, moved on or ended.
    Replay(ReplayProgress),
    /// A receiver's prepared transaction is to be committed, whatever happens from now on.
    BranchDecided(BranchDecided),
    /// A decided transaction has ended.
    BranchConcluded(BranchDecided),
    /// A record's key changed and no event in the stream says so.
    Rekeyed(Rekeyed),
    /// A replay was ordered.
    ReplayOrdered(Box<ReplayOrder>),
    /// Somebody paused, resumed, slowed or cancelled a replay.
    ReplayActed(ReplayAct),
    /// Today's gate kept events back from a replay.
    ReplayWithheld(ReplayWithheld),
    /// Whole segments leave the log.
    Truncated(Truncated),
    /// A legal hold was placed.
    HoldPlaced(Box<Hold>),
    /// A legal hold was released.
    HoldReleased(HoldReleased),
    /// A saga was ordered, or changed: as it is now.
    Saga(Box<Saga>),
    /// A privacy case was opened, or changed: as it is now.
    Case(Box<Case>),
    /// An erased subject begins another life.
    Readmitted(Readmitted),
    /// A finding was opened, seen again, overdue or closed.
    Finding(Finding),
}

/// How far a source is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProgress {
    /// Which source.
    pub source: SourceName,
    /// Which life of its position space.
    pub incarnation: Incarnation,
    /// The last covered position.
    pub position: Position,
    /// What the snapshot phase is at: absent when streaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// How far a source's changes are in the log, inside transactions too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Which source.
    pub source: SourceName,
    /// Which life of its position space.
    pub incarnation: Incarnation,
    /// The last change.
    pub position: Position,
}

/// The number of a source's last accounting leaf: the next one follows it without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounted {
    /// Which source.
    pub source: SourceName,
    /// The leaf's number, from 1.
    pub seq: u64,
}

/// A pushed change that was taken, for dedup by its producer's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntakeSeen {
    /// Keyed hash of (tenant, source, producer id) in event-id form, whenever it was sent.
    pub causation_id: EventId,
    /// Which source.
    pub source: SourceName,
    /// Keyed hash of the content, hex.
    pub content_hash: String,
    /// How many events came of it.
    pub events: u32,
    /// When.
    pub at: Timestamp,
}

/// An event outside the stream. A quarantined card number has no sealed payload: the value is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The event's id.
    pub event_id: EventId,
    /// Held, quarantined or refused.
    pub withheld: WithheldAs,
    /// Why.
    pub reason: Reason,
    /// Where it came from.
    pub source: SourceName,
    /// What it was about.
    pub change_type: ChangeType,
    /// Whom it was about, under the internal id.
    pub subject_id: SubjectId,
    /// The policy in force.
    pub policy: PolicyVersion,
    /// When it was decided.
    pub at: Timestamp,
    /// The sealed private part as base64, where it may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// A change of one attribute group that was dropped as stale. Its data is not kept: newer data of the same
/// attributes is in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleDropped {
    /// The id that its event would have had.
    pub event_id: EventId,
    /// Where it came from.
    pub source: SourceName,
    /// What it was about.
    pub change_type: ChangeType,
    /// Whom it was about, under the internal id.
    pub subject_id: SubjectId,
    /// When it was judged.
    pub at: Timestamp,
}

/// A subscriber's position: everything up to the watermark is settled, and beyond it the ranges in `done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Whose.
    pub subscriber: SubscriberName,
    /// The owner that wrote it.
    pub epoch: Epoch,
    /// All offsets below this are settled; the next to read.
    pub watermark: Offset,
    /// Settled ranges above the watermark, first and last offset inclusive, ascending and apart.
    pub done: Vec<(Offset, Offset)>,
}

/// Events that settled at one subscriber since the last such fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledBatch {
    /// Where.
    pub subscriber: SubscriberName,
    /// Offset and how it ended.
    pub items: Vec<(Offset, Acknowledgement)>,
}

/// One dead letter. The events of one subject at one subscriber form a sequence in offset order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Where it was not delivered.
    pub subscriber: SubscriberName,
    /// The event.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// Its stable delivery id.
    pub delivery_id: DeliveryId,
    /// Whose sequence it is in.
    pub subject_id: SubjectId,
    /// What it was about.
    pub change_type: ChangeType,
    /// Its class.
    pub class: PriorityClass,
    /// What went wrong (`http_422`, `attempts_exhausted`), or `behind` for an event that waits for an
    /// earlier one of its subject.
    pub cause: String,
    /// Attempts made.
    pub attempts: u32,
    /// When it was parked.
    pub at: Timestamp,
    /// It was parked without the later events of its subject, by a lane without order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
}

/// How a dead-letter sequence, or a part of it, left the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterClosed {
    /// Where.
    pub subscriber: SubscriberName,
    /// Whose sequence.
    pub subject_id: SubjectId,
    /// The first offset that left; absent: everything up to `through`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Offset>,
    /// The last offset that left.
    pub through: Offset,
    /// `redriven` or `discarded`.
    pub how: String,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// An event that one subscriber is not sent, or not sent again: a later erasure or suppression of its subject makes
/// it void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voided {
    /// Whose lane.
    pub subscriber: SubscriberName,
    /// The event.
    pub offset: Offset,
    /// By which event.
    pub by: Offset,
    /// When.
    pub at: Timestamp,
}

/// A stretch of the log that one subscriber does not get what it has not settled of: the log waited for it as long as
/// the operator said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BehindRetention {
    /// Whose lane.
    pub subscriber: SubscriberName,
    /// The first offset that was not settled.
    pub from: Offset,
    /// Where the lane goes on.
    pub to: Offset,
    /// When.
    pub at: Timestamp,
}

/// A change of a lane's running state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneChange {
    /// Whose lane.
    pub subscriber: SubscriberName,
    /// `running`, `paused` or `gone`.
    pub state: String,
    /// When.
    pub at: Timestamp,
}

/// Events whose final leaf is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalised {
    /// Their offsets.
    pub offsets: Vec<Offset>,
}

/// A replay of the log to one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayProgress {
    /// Names the replay.
    pub id: String,
    /// To whom.
    pub subscriber: SubscriberName,
    /// First offset of the range.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
    /// Next offset to replay.
    pub next: Offset,
    /// `running`, `paused`, `done` or `cancelled`.
    pub state: String,
    /// How many events it delivered so far.
    pub delivered: u64,
    /// Settled ranges above `next`, as in a cursor.
    #[serde(default)]
    pub done: Vec<(Offset, Offset)>,
    /// How many events today's gate kept back.
    #[serde(default)]
    pub withheld: u64,
    /// How many events the subscriber did not take.
    #[serde(default)]
    pub failed: u64,
    /// Events a second at most.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
}

/// A prepared transaction at one subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchDecided {
    /// Where.
    pub subscriber: SubscriberName,
    /// Which.
    pub branch: Branch,
    /// When.
    pub at: Timestamp,
}

/// An erased subject that gave a new reason to be known: its changes are taken again, in another life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readmitted {
    /// Whose life.
    pub subject_id: SubjectId,
    /// The new one.
    pub generation: Generation,
    /// The lawful basis: `consent`, `contract`, ...
    pub basis: String,
    /// Where that is recorded; no personal data.
    pub evidence: String,
    /// Who answers for it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// A record moved to another key by a change none of whose events entered the stream. Without this fact the
/// record would be another subject under its new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// Whose record.
    pub subject_id: SubjectId,
    /// In which life.
    pub generation: Generation,
    /// Both key hashes under the subject's evidence key, as base64 of nonce and ciphertext.
    pub sealed: String,
}
