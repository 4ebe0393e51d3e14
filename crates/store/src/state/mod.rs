//! Derived state: what the log's records add up to, for questions that a scan would be too slow for.
//!
//! Applied behind the commits, atomically with the offset it is applied up to; rebuilt from there after a
//! crash. Never on the commit path.

pub mod error;

mod derive;
mod derived;
mod disclosure;
mod forget;
mod key;
mod replay;
mod row;

pub use derived::{Derived, FjallState, MemoryState};
pub use replay::ENDED_KEPT;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use writ_model::case::Case;
use writ_model::control::{
    Accounted, Covered, Cursor, DeadLetter, IntakeSeen, LaneChange, ReplayProgress, SourceProgress, Withheld,
};
use writ_model::delivery::{Acknowledgement, Branch};
use writ_model::finding::Finding;
use writ_model::id::{EventId, Offset, SourceName, SubjectId, SubscriberName};
use writ_model::replay::ReplayOrder;
use writ_model::retention::Hold;
use writ_model::saga::Saga;
use writ_model::time::Timestamp;

use crate::error::StateError;
use crate::log::Record;

/// An event without a final leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEvent {
    /// Where.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// Its intent leaf.
    pub intent_index: u64,
    /// When it is final whatever happens.
    pub settle_by: Timestamp,
    /// Subscribers that settled it.
    pub settled: Vec<(SubscriberName, Acknowledgement)>,
}

/// How the events of a stretch of the log settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearby {
    /// The stretch.
    pub covers: Range<Offset>,
    /// By event and subscriber.
    pub settled: BTreeMap<Offset, BTreeMap<SubscriberName, Acknowledgement>>,
}

/// What was derived. `apply` is called by one thread; the questions may come from any.
pub trait State: Send + Sync {
    /// Applies records in log order, each once: those below [`State::applied`] are skipped, so batches may
    /// overlap. Atomic with the new applied offset, which never goes back; not synced.
    fn apply(&self, records: &[Record], through: Offset) -> Result<(), StateError>;

    /// The next offset to apply.
    fn applied(&self) -> Offset;

    /// Makes everything applied so far survive a power cut.
    fn sync(&self) -> Result<(), StateError>;

    /// How far a source is durable.
    fn source(&self, source: &SourceName) -> Result<Option<SourceProgress>, StateError>;

    /// The last change of a source whose events are in the log.
    fn covered(&self, source: &SourceName) -> Result<Option<Covered>, StateError>;

    /// The number of a source's last accounting leaf.
    fn accounted(&self, source: &SourceName) -> Result<Option<Accounted>, StateError>;

    /// A pushed change that was taken before, by its causation id.
    fn intake(&self, causation_id: EventId) -> Result<Option<IntakeSeen>, StateError>;

    /// A subscriber's cursor.
    fn cursor(&self, subscriber: &SubscriberName) -> Result<Option<Cursor>, StateError>;

    /// The last recorded change of a lane's running state.
    fn lane(&self, subscriber: &SubscriberName) -> Result<Option<LaneChange>, StateError>;

    /// Dead letters of a subscriber in (subject, offset) order, after the given one.
    fn dead_letters(
        &self,
        subscriber: &SubscriberName,
        after: Option<(SubjectId, Offset)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StateError>;

    /// How many dead letters a subscriber has.
    fn dead_letter_count(&self, subscriber: &SubscriberName) -> Result<u64, StateError>;

    /// Where an event is, whether or not the log still holds it.
    fn find_event(&self, event_id: EventId) -> Result<Option<Offset>, StateError>;

    /// A subject's events, oldest first, after the given offset.
    fn events_of(
        &self,
        subject: SubjectId,
        after: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<Offset>, StateError>;

    /// How the events that lie in the log near this one settled so far, and the offsets that this covers. Answers
    /// for many events cost about what one does.
    fn acknowledgements_near(&self, offset: Offset) -> Result<Nearby, StateError>;

    /// How an event settled so far.
    fn acknowledgements(&self, offset: Offset) -> Result<Vec<(SubscriberName, Acknowledgement)>, StateError>;

    /// Events without a final leaf, from an offset on.
    fn open_events(&self, from: Offset, limit: usize) -> Result<Vec<OpenEvent>, StateError>;

    /// Events outside the stream, newest last, after the given id; none when that one is no longer there. An
    /// event that was held and then entered the stream is not among them.
    fn withheld(&self, after: Option<EventId>, limit: usize) -> Result<Vec<Withheld>, StateError>;

    /// Prepared transactions at a subscriber that the journal has decided and not concluded.
    fn decided(&self, subscriber: &SubscriberName) -> Result<Vec<Branch>, StateError>;

    /// Replays that are not done.
    fn replays(&self) -> Result<Vec<ReplayProgress>, StateError>;

    /// The open findings, by subscriber and kind.
    fn findings(&self) -> Result<Vec<Finding>, StateError>;

    /// The last replays that ended, the last one first; [`ENDED_KEPT`] are kept.
    fn ended_replays(&self, limit: usize) -> Result<Vec<ReplayProgress>, StateError>;

    /// What a replay was ordered to do; `None` for one that ended long ago, or of a former version.
    fn replay_order(&self, id: &str) -> Result<Option<ReplayOrder>, StateError>;

    /// The replay that was ordered with this request (hash of caller and idempotency key).
    fn replay_of_request(&self, request: &str) -> Result<Option<String>, StateError>;

    /// The number of the last replay that was ordered; zero when there was none.
    fn last_replay(&self) -> Result<u32, StateError>;

    /// Legal holds that are not released.
    fn holds(&self) -> Result<Vec<Hold>, StateError>;

    /// Sagas by id, those that have ended too: at most `limit`, from behind `after`.
    fn sagas(&self, after: Option<&str>, limit: usize) -> Result<Vec<Saga>, StateError>;

    /// One saga.
    fn saga(&self, id: &str) -> Result<Option<Saga>, StateError>;

    /// Privacy cases by id, those that have ended too: at most `limit`, from behind `after`.
    fn cases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Case>, StateError>;

    /// One privacy case.
    fn case(&self, id: &str) -> Result<Option<Case>, StateError>;

    /// The disclosure ledger: every subscriber to which data of the subject went, or may have gone, by this store's
    /// log from its beginning on. Costs a read for each of the subject's events that the log still holds.
    fn disclosed(&self, subject: SubjectId) -> Result<BTreeSet<SubscriberName>, StateError>;

    /// The offset before which the journal says that the log is dropped.
    fn truncated(&self) -> Result<Offset, StateError>;

    /// Forgets where the events among these records were and how they settled: they are about to leave the
    /// log. Whom they went to stays, in the disclosure ledger. Called by the thread that applies, in bounded steps; a second time changes nothing. Cursors, dead
    /// letters, withheld events and pushed changes stay.
    fn forget(&self, records: &[Record]) -> Result<(), StateError>;

    /// Forgets at most `limit` pushed changes of a source that were taken before a time, the oldest first, and says
    /// how many there were. Called by the thread that applies.
    fn forget_taken(&self, source: &SourceName, before: Timestamp, limit: usize)
    -> Result<usize, StateError>;

    /// The first event recorded in this time's second or later; the log's applied end when there is none.
    /// Exact for whole seconds; for a time within a second a reader skips, by their `recorded_at`, the events
    /// of the second's earlier part.
    fn offset_at(&self, time: Timestamp) -> Result<Offset, StateError>;
}
