//! When is an event settled, and what goes into its final leaf?
//!
//! The machine holds a bounded window of open events, oldest first. What does not fit stays in the state
//! store and is loaded as room frees up; the same load fills the window after a restart. An event is final
//! when every lane that it was routed to has settled it, or when its time to settle passes: the lanes that
//! have not are then `pending`.

use writ_model::delivery::Acknowledgement;
use writ_model::id::{EventId, Offset};
use writ_model::time::Timestamp;

use crate::dispatch::LaneId;

/// One event that has no final leaf yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Where it is in the log.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// The index of its intent leaf.
    pub intent_index: u64,
    /// When it is final whatever happens.
    pub settle_by: Timestamp,
    /// The lanes it was routed to.
    pub lanes: Vec<LaneId>,
    /// The lanes that settled it already.
    pub settled: Vec<(LaneId, Acknowledgement)>,
}

/// What settlement is told.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Newly stored events, in offset order.
    Stored(Vec<Open>),
    /// One lane settled one event.
    Settled(LaneId, Offset, Acknowledgement),
    /// The answer to [`Effect::Load`]: open events from the state store, in offset order, with every
    /// acknowledgement that was journaled before the load; `more` when the bound cut it.
    Loaded {
        /// The events.
        open: Vec<Open>,
        /// There are more.
        more: bool,
    },
}

/// What settlement wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Load open events from this offset on, at most so many. To be served after everything that was
    /// emitted before it is committed and applied.
    Load {
        /// First offset.
        from: Offset,
        /// At most so many.
        limit: usize,
    },
    /// Write the final leaf of this event.
    Final(Finished),
}

/// An event whose outcome is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where it is in the log.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// The index of its intent leaf.
    pub intent_index: u64,
    /// One per lane it was routed to, in lane order.
    pub acknowledgements: Vec<(LaneId, Acknowledgement)>,
}
