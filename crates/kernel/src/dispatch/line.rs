//! Which events wait for one another at a lane: those of one line are sent one after another, in order, and
//! events of different lines have none.

use writ_model::id::{Offset, Slot, SubjectId};

use super::Item;

/// What order a subscriber gets its events in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Order {
    /// Events of one subject in order. What fails for good parks the later events of its subject too.
    #[default]
    Subject,
    /// Events of one slot in order: a failing event holds up its whole slot until it is delivered or parked,
    /// and parks the later events of its subject. What is redriven comes after the slot's other events.
    Partition,
    /// No order. What fails for good parks itself alone.
    Unordered,
}

/// One queue of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// The events of one subject; in any order, a subject's redriven events.
    Subject(SubjectId),
    /// The events of one slot.
    Slot(Slot),
    /// One event.
    Event(Offset),
}

impl Order {
    /// The line that a new event stands in.
    pub(super) fn line(self, item: &Item) -> Line {
        match self {
            Self::Subject => Line::Subject(item.subject_id),
            Self::Partition => Line::Slot(item.slot),
            Self::Unordered => Line::Event(item.offset),
        }
    }

    /// Whether the later events of a parked subject join it.
    pub(super) fn parks_later(self) -> bool {
        match self {
            Self::Subject | Self::Partition => true,
            Self::Unordered => false,
        }
    }
}
