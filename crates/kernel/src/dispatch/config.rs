//! What a lane is given: an operator's settings, what the journal holds of it, and its states.

use std::collections::BTreeSet;
use std::time::Duration;

use writ_model::control::Cursor;
use writ_model::delivery::Branch;
use writ_model::id::{Offset, SubjectId, SubscriberName};

use super::answers::Rules;
use super::line::Order;
use super::{breaker, due, ledger, rate, retry};
use crate::guarantee::Promises;

/// How a subscriber takes batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batching {
    /// Events in one request; 1 for subscribers that take no batches.
    pub items_max: usize,
    /// Stored bytes in one request; a single larger event is sent alone.
    pub bytes_max: usize,
    /// How long a standard event may wait for company; express events do not wait.
    pub linger: Duration,
    /// Several events of one line may share a request, in order. False for receivers that apply a request's
    /// events out of order.
    pub subject_repeats: bool,
}

impl Default for Batching {
    fn default() -> Self {
        Self { items_max: 1, bytes_max: 1 << 20, linger: Duration::ZERO, subject_repeats: true }
    }
}

/// One live lane's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whose lane.
    pub subscriber: SubscriberName,
    /// What waits for what.
    pub order: Order,
    /// By when events should be delivered.
    pub due: due::Times,
    /// How old an event may be that is not settled, before the lane is late.
    pub settled_within: Option<Duration>,
    /// Requests in flight at once.
    pub in_flight_max: usize,
    /// Events in flight at once, over all requests; a request takes no more than is left.
    pub events_in_flight_max: usize,
    /// How much the subscriber may be sent, by its live lane and its replays together.
    pub rate: rate::Policy,
    /// Events read and not settled at once; bounds the cursor's completion set too.
    pub window_items: usize,
    /// Their stored bytes; the lane's share of [`super::Settings::bytes_max`] may be less.
    pub window_bytes: usize,
    /// Batches.
    pub batching: Batching,
    /// What its answers mean, before the table.
    pub answers: Rules,
    /// Retries.
    pub retry: retry::Policy,
    /// The breaker.
    pub breaker: breaker::Policy,
    /// How often the cursor is written.
    pub cursor: ledger::Policy,
    /// After an attempt whose end is not known the receiver is looked at before the next one. Takes no batches.
    pub probes: bool,
    /// The subscriber prepares, and commits when the journal has decided.
    pub is_two_phase: bool,
    /// What the subscriber is promised.
    pub promises: Promises,
    /// An event that is sent at most once is not sent when it is older.
    pub expires_after: Option<Duration>,
}

impl Config {
    /// The defaults that `docs/reference/delivery.md` prints.
    pub fn new(subscriber: SubscriberName) -> Self {
        Self {
            subscriber,
            order: Order::default(),
            due: due::Times::default(),
            settled_within: None,
            in_flight_max: 8,
            events_in_flight_max: usize::MAX,
            rate: rate::Policy::default(),
            window_items: 4096,
            window_bytes: 16 << 20,
            batching: Batching::default(),
            answers: Rules::default(),
            retry: retry::Policy::default(),
            breaker: breaker::Policy::default(),
            cursor: ledger::Policy::default(),
            probes: false,
            is_two_phase: false,
            promises: Promises::default(),
            expires_after: None,
        }
    }
}

/// What the journal holds of a lane.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// Its cursor; without one it begins at `begin`.
    pub cursor: Option<Cursor>,
    /// Where a new lane begins.
    pub begin: Offset,
    /// The last recorded state word, `running` when there is none.
    pub state: Option<String>,
    /// Every parked subject with its last dead letter.
    pub parked: Vec<(SubjectId, Offset)>,
    /// Those of them with dead letters that were parked without the later events of the subject: what stands
    /// between them may be open.
    pub scattered: BTreeSet<SubjectId>,
    /// Parked subjects whose dead letters hold an erasure or a suppression behind another event: they are redriven.
    pub stuck: BTreeSet<SubjectId>,
    /// The log's end at the start: an event below it may have been attempted before.
    pub end: Offset,
    /// Branches that are decided and not concluded.
    pub decided: Vec<Branch>,
}

/// Whether a lane does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Reads and sends.
    Running,
    /// Does neither, by an operator's act.
    Paused,
    /// Does neither: the subscriber answered 410. An operator may resume it.
    Gone,
    /// A replay that ended.
    Over,
}

impl State {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Gone => "gone",
            Self::Over => "done",
        }
    }

    pub(super) fn recovered(word: Option<&str>) -> Self {
        match word {
            Some("paused") => Self::Paused,
            Some("gone") => Self::Gone,
            Some(_) | None => Self::Running,
        }
    }
}
