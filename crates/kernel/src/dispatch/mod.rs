//! Fan-out: one lane per subscriber, each a machine of small parts; this parent only routes facts to lanes.
//!
//! A lane pulls: it asks for a stretch of the log (`Effect::Read`), gets light [`Item`]s, keeps order per
//! subject, batches, sends, classifies what comes back, retries, opens its breaker, parks what cannot be
//! delivered together with the later events of its subject, and moves its cursor. It holds no payload.

pub mod lane;

pub mod ahead;
mod answer;
pub mod answers;
pub mod attempt;
pub mod backlog;
mod behind;
pub mod breaker;
pub mod catch_up;
pub mod classify;
mod config;
pub mod cursor;
pub mod dead_letter;
pub mod due;
mod http_date;
mod lateness;
pub mod ledger;
pub mod line;
mod once;
mod outlived;
pub mod overtake;
pub mod pace;
mod parent;
pub mod parking;
mod probe;
pub mod rate;
pub mod replay;
pub mod retry;
pub mod send;
mod two_phase;
pub mod void;

use std::time::Duration;

use writ_model::control::{ControlFact, SettledBatch};
use writ_model::delivery::{Answer, AttemptId, Branch, Fault, Presence, Resolution, Verdict};
use writ_model::id::{DeliveryId, EventId, Generation, Offset, Slot, SourceName, SubjectId};
use writ_model::taxonomy::{ChangeType, Operation, PriorityClass};
use writ_model::time::{Moment, Timestamp};

use crate::gate::permit::PermitVerdict;

pub use parent::{Dispatch, Settings};

/// Names a lane within one run: its number in configuration order; replays get numbers after those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u16);

/// One event as a lane sees it. Only events that the subscriber's filter matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is in the log.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// The configured source it came from; part of the delivery id.
    pub source: SourceName,
    /// Orders it.
    pub subject_id: SubjectId,
    /// The subject's slot.
    pub slot: Slot,
    /// Which life of the subject.
    pub generation: Generation,
    /// What it is about.
    pub change_type: ChangeType,
    /// What happened to the record: only updates commute, and only additions are ever sent at most once.
    pub operation: Operation,
    /// Express goes first.
    pub class: PriorityClass,
    /// When it was admitted.
    pub recorded_at: Timestamp,
    /// Stored size, for the byte bounds.
    pub bytes: u32,
    /// Whether it may be sent.
    pub permit: PermitVerdict,
}

/// What dispatch is told.
#[derive(Debug, Clone)]
pub enum Fact {
    /// The answer to a [`Effect::Read`]: matching events in offset order, and where to read on. Comes only
    /// when there is something to read past `from`: a lane at the head waits for it.
    Offered(LaneId, Vec<Item>, Offset),
    /// The same, from disk: the lane is behind what memory holds, and reads on at a pace.
    OfferedCold(LaneId, Vec<Item>, Offset),
    /// The answer to [`Effect::ReadExpress`]: events in offset order, and where to look on.
    OfferedExpress(LaneId, Vec<Item>, Offset),
    /// One attempt ended.
    Answered(AttemptId, Answer),
    /// The answer to [`Effect::Confirm`].
    Durable(AttemptId),
    /// The answer to [`Effect::Probe`].
    Probed(AttemptId, Presence),
    /// The answer to [`Effect::ListBranches`]: what of this store's and subscriber's is prepared there.
    Branches(LaneId, Result<Vec<Branch>, Fault>),
    /// The answer to [`Effect::Resolve`].
    Resolved(LaneId, Branch, Resolution),
    /// An operator paused a lane: nothing new is sent, in-flight attempts end.
    Pause(LaneId),
    /// An operator resumed it.
    Resume(LaneId),
    /// An operator redrives one subject's dead-letter sequence.
    Redrive(LaneId, SubjectId, String),
    /// The answer to [`Effect::ReadDeadLetters`]: the sequence's events in offset order from its first on,
    /// at least one if there is one. What is left out is asked for again when these are delivered.
    DeadLettersRead(LaneId, SubjectId, Vec<Item>),
    /// An operator discards one subject's dead-letter sequence.
    Discard(LaneId, SubjectId, String),
    /// The log is about to lose what is before this offset: the lane goes on there.
    Behind(LaneId, Offset),
    /// An operator pauses, resumes, slows or cancels a replay. Ignored for a live lane.
    Act(LaneId, replay::Act, String),
}

/// One request to one subscriber: one or more events, each under its permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Answers carry it back.
    pub id: AttemptId,
    /// Whose.
    pub lane: LaneId,
    /// The events, in order.
    pub deliveries: Vec<attempt::Delivery>,
    /// The lane sends nothing below this offset again but by an operator's act; zero for a replay.
    pub settled_below: Offset,
}

/// What dispatch wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Offer the events from this offset on, up to these bounds. At most one is outstanding per lane.
    Read {
        /// Whose.
        lane: LaneId,
        /// First offset to offer.
        from: Offset,
        /// At most so many items.
        items_max: usize,
        /// At most so many bytes, but at least one item.
        bytes_max: usize,
    },
    /// Look for matching express events from an offset on, and offer them with every matching event of their subjects
    /// from `behind` on that stands before them. At most one is outstanding per lane; it is answered when there is such
    /// an event, however far along. One that does not fit with what is before it is passed over: the lane reads it in
    /// its turn.
    ReadExpress {
        /// Whose.
        lane: LaneId,
        /// What is before it the lane has read.
        behind: Offset,
        /// First offset to look at.
        from: Offset,
        /// At most so many items.
        items_max: usize,
        /// At most so many bytes.
        bytes_max: usize,
    },
    /// Read one subject's dead letters of this lane. To be served after everything that was emitted before
    /// it is committed and applied.
    ReadDeadLetters(LaneId, SubjectId),
    /// Make the attempt, once, and answer.
    Send(Attempt),
    /// Look whether the receiver has the attempt's event, and answer. Nothing is sent.
    Probe(Attempt),
    /// Make the attempt, once, prepare its transaction under this run's branch, and answer.
    Prepare(Attempt),
    /// List the branches at the lane's receiver.
    ListBranches(LaneId),
    /// End a branch at the lane's receiver.
    Resolve(LaneId, Branch, Verdict),
    /// Put this in the journal with the next commit. Not awaited: a crash before it repeats a delivery under
    /// the same delivery id.
    Journal(ControlFact),
    /// Answer [`Fact::Durable`] once everything that was emitted before is committed.
    Confirm(AttemptId),
    /// These events have settled at this lane: for settlement, and for the journal like [`Effect::Journal`].
    Settled(LaneId, SettledBatch),
    /// For metrics and logs.
    Note(LaneId, Note),
}

/// Why an event is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// The subscriber refuses it.
    Rejected,
    /// Its attempts or its time are used up.
    Exhausted,
}

/// Something worth counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// So many events were acknowledged by one attempt.
    Acknowledged(u32),
    /// An event will be retried at this moment, for this cause.
    Retried {
        /// Which event.
        offset: Offset,
        /// Why.
        cause: String,
        /// When.
        at: Moment,
    },
    /// An event and the later ones of its subject are in the dead letters.
    DeadLettered {
        /// Which event.
        offset: Offset,
        /// Why.
        cause: String,
        /// Whose word that was.
        why: GivenUp,
    },
    /// The lane has no dead letters any more.
    NoneParked,
    /// The subscriber asked for a wait; `asked` is its word, `until` is when the lane sends again. They
    /// differ by more than jitter when the operator's bound cut the wait.
    Throttled {
        /// The wait that it named.
        asked: Duration,
        /// When the lane sends again.
        until: Moment,
        /// The operator's bound cut it.
        bounded: bool,
    },
    /// An event that is sent at most once was not acknowledged.
    Unconfirmed {
        /// Which event.
        offset: Offset,
        /// What came back.
        cause: String,
    },
    /// An event is not sent, or not again: a later erasure or suppression of its subject makes it void.
    Voided {
        /// Which event.
        offset: Offset,
        /// By which.
        by: Offset,
    },
    /// Branches at the receiver cannot be listed or resolved now.
    Unresolved {
        /// What came back.
        cause: &'static str,
    },
    /// The lane has no room for another parked subject: the event is retried at the longest interval until
    /// dead letters are redriven or discarded.
    DeadLettersFull,
    /// The breaker changed: `closed`, `open`, `half_open`.
    Breaker(&'static str),
    /// The subscriber is gone (410); its lane stopped.
    Gone,
    /// The lane runs again after it was paused or gone.
    Resumed,
    /// An operator resumed the lane, whether or not it stood: what it lost is taken note of.
    Noticed,
    /// The log does not keep what the lane has not settled of this stretch: it is not delivered.
    Behind {
        /// The first offset that was not settled.
        from: Offset,
        /// Where the lane goes on.
        to: Offset,
    },
    /// The lane was offered events out of order: it took none of them and paused itself.
    Disorder,
    /// The oldest event that is not settled is older than the operator allows.
    Late,
    /// It is not, or not any more.
    InTime,
    /// A replay or a redrive reached its end.
    Caught(DeliveryId),
}

#[cfg(test)]
mod tests;
