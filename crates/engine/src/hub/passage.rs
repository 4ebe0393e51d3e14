//! What lanes that are behind read of the log: decoded once for all of them, without payloads.

use std::collections::VecDeque;
use std::sync::Arc;

use writ_kernel::dispatch::{Item, LaneId};
use writ_model::envelope::ClearHeader;
use writ_model::id::Offset;
use writ_model::taxonomy::PriorityClass;
use writ_model::verdict::Decision;

use super::express::{Sight, sights};
use crate::payload::{Outline, Stretch};

/// Events in all that are kept, some half a KiB each: thirty lanes that are behind by about the same find what the
/// first of them had read.
const EVENTS_MAX: usize = 8192;

/// Passages that are kept: one without events takes room too.
const PASSAGES_MAX: usize = 256;

/// An event that was passed, and the lanes whose filters match, in lane order.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) header: ClearHeader,
    pub(super) decision: Decision,
    pub(super) offset: Offset,
    pub(super) bytes: u32,
    pub(super) lanes: Vec<LaneId>,
}

impl Passed {
    fn outline(&self) -> Outline<'_> {
        let Self { header, decision, offset, bytes, .. } = self;
        Outline { header, decision, offset: *offset, bytes: *bytes }
    }
}

/// All events of the log between two offsets.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) from: Offset,
    /// Behind the last record that was read.
    pub(super) through: Offset,
    pub(super) events: Vec<Passed>,
}

impl Passage {
    fn holds(&self, offset: Offset) -> bool {
        (self.from..self.through).contains(&offset)
    }

    /// What goes to a lane, from an offset that the passage holds up to one that may be shown.
    fn of(&self, base: LaneId, from: Offset, shown: Offset) -> impl Iterator<Item = &Passed> {
        let first = self.events.partition_point(|event| event.offset < from);
        let events = self.events[first..].iter().take_while(move |event| event.offset < shown);
        events.filter(move |event| event.lanes.binary_search(&base).is_ok())
    }

    /// Matching items and where to read on. Items need no payload: what is offered now may be sent much later, and is
    /// opened then.
    pub(super) fn offer(
        &self,
        (base, subscriber): (LaneId, &str),
        stretch: Stretch,
        shown: Offset,
    ) -> (Vec<Item>, Offset) {
        let events = self.of(base, stretch.from, shown).map(Passed::outline);
        stretch.fill(events, subscriber, self.through.min(shown))
    }

    /// Matching express events, and where to look on: one step of a search.
    pub(super) fn express(
        &self,
        base: LaneId,
        from: Offset,
        limit: usize,
        shown: Offset,
    ) -> (Vec<Sight>, Offset) {
        let express = self.of(base, from, shown).filter(|one| one.decision.class == PriorityClass::Express);
        sights(express.map(|event| (event.offset, &event.header)), limit, self.through.min(shown))
    }
}

/// The passages that were read last.
#[derive(Debug, Default)]
pub(super) struct Passages {
    kept: VecDeque<Arc<Passage>>,
    events: usize,
}

impl Passages {
    /// The passage that holds an offset, read if it is not among the last.
    pub(super) fn holding<E>(
        &mut self,
        offset: Offset,
        read: impl FnOnce() -> Result<Passage, E>,
    ) -> Result<Arc<Passage>, E> {
        // The newest first: two may overlap, and the newer one may reach further.
        if let Some(kept) = self.kept.iter().rev().find(|passage| passage.holds(offset)) {
            return Ok(Arc::clone(kept));
        }
        let passage = Arc::new(read()?);
        self.events += passage.events.len();
        self.kept.push_back(Arc::clone(&passage));
        while self.kept.len() > 1 && (self.events > EVENTS_MAX || self.kept.len() > PASSAGES_MAX) {
            let oldest = self.kept.pop_front();
            self.events -= oldest.map_or(0, |passage| passage.events.len());
        }
        Ok(passage)
    }
}

#[cfg(test)]
mod tests;
