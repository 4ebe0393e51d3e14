//! What the world knows whatever the engine forgets.

use std::collections::{BTreeMap, BTreeSet};

use writ_model::id::{DeliveryId, Epoch, EventId, Offset, Position, SubjectId};
use writ_model::taxonomy::ChangeType;
use writ_model::time::Moment;

/// One event at one subscriber, in one issue: 0 is the ordinary one, replays may have others.
pub(crate) type Issue = (usize, EventId, u32);

#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// The event id that each change gave when it first came.
    pub(crate) ids: BTreeMap<(Position, ChangeType), EventId>,
    pub(crate) id_of: BTreeMap<Issue, DeliveryId>,
    pub(crate) event_of: BTreeMap<DeliveryId, Issue>,
    /// What each subscriber has processed, from any lane.
    pub(crate) seen: BTreeSet<(usize, Offset)>,
    /// What was sent, where it may be sent once only.
    pub(crate) once: BTreeSet<(usize, Offset)>,
    /// What each subscriber has processed from its live lane, and in what order, by subject.
    pub(crate) live: BTreeSet<(usize, Offset)>,
    pub(crate) order: BTreeMap<(usize, SubjectId), Vec<Offset>>,
    /// Which deliveries took effect at receivers that remember, how often their memory was put to the test by
    /// then, and whether a replay brought it about.
    pub(crate) effects: BTreeMap<DeliveryId, (u64, bool)>,
    /// How often an operator paused each subscriber.
    pub(crate) pauses: BTreeMap<usize, u64>,
    /// The newest owner whose request a receiver that keeps owners apart has taken.
    pub(crate) claimed: BTreeMap<usize, Epoch>,
    /// What was in some dead letters at some time: an operator may have it sent again however late.
    pub(crate) parked: BTreeSet<(usize, Offset)>,
    /// What each replay has offered to its subscriber.
    pub(crate) replayed: BTreeSet<(String, Offset)>,
    /// When requests to each subscriber started, since the engine did.
    pub(crate) starts: BTreeMap<usize, Vec<Moment>>,
    pub(crate) attempts: u64,
    pub(crate) crashes: u64,
    pub(crate) takeovers: u64,
    pub(crate) dead_letters: u64,
    pub(crate) withheld: u64,
    pub(crate) branches: u64,
    pub(crate) looks: u64,
    /// Offers of express events before their turn.
    pub(crate) ahead: u64,
    pub(crate) pushes: u64,
    pub(crate) reissues: u64,
    pub(crate) ruled: u64,
}
