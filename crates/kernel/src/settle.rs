//! When is an event settled, and what goes into its final leaf?
//!
//! The machine holds a bounded window of open events, oldest first. What does not fit stays in the state
//! store and is loaded as room frees up; the same load fills the window after a restart. An event is final
//! when every lane that it was routed to has settled it, or when its time to settle passes: the lanes that
//! have not are then `pending`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{EventId, Offset};
use writ_model::time::{Moment, Timestamp};

use crate::dispatch::LaneId;
use crate::machine::{Machine, Now};

/// At most so many open events are in memory; at thirty lanes an event takes about 3 KiB.
pub const WINDOW: usize = 8_192;

/// Acknowledgements kept while a load is under way. More than these make the load be asked for again, by
/// which time they are in the store.
pub const EARLY_MAX: usize = 16_384;

/// Deadlines are wall-clock times: the wall clock is looked at again after at most this, should it jump.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

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
    /// One lane settled one event. Late, repeated and unknown ones change nothing.
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

/// Holds the open events, oldest first, and says when each is final.
#[derive(Debug, Clone)]
pub struct Settlement {
    window: BTreeMap<Offset, Open>,
    due: BTreeSet<(Timestamp, Offset)>,
    /// Every open event below this is in the window.
    from: Offset,
    /// There may be open events at or beyond `from` in the store.
    is_behind: bool,
    load: Option<Load>,
    look_again: Option<Moment>,
}

/// What happened while a load is under way.
#[derive(Debug, Clone, Default)]
struct Load {
    fresh: Vec<Open>,
    early: Vec<(LaneId, Offset, Acknowledgement)>,
    has_overflowed: bool,
}

impl Settlement {
    /// After a start, everything open is in the store: the first effect is to load it.
    pub fn start(effects: &mut Vec<Effect>) -> Self {
        let mut settlement = Self {
            window: BTreeMap::new(),
            due: BTreeSet::new(),
            from: Offset::ZERO,
            is_behind: true,
            load: None,
            look_again: None,
        };
        settlement.load_if_room(effects);
        settlement
    }

    /// How many open events are in memory: never more than [`WINDOW`].
    pub fn open_count(&self) -> usize {
        self.window.len()
    }

    fn stored(&mut self, open: Vec<Open>, effects: &mut Vec<Effect>) {
        for event in open {
            match &mut self.load {
                Some(load) if load.fresh.len() < WINDOW => load.fresh.push(event),
                None if !self.is_behind && self.window.len() < WINDOW => self.admit(event, effects),
                Some(_) | None => self.is_behind = true,
            }
        }
    }

    fn admit(&mut self, mut event: Open, effects: &mut Vec<Effect>) {
        if event.offset < self.from {
            return;
        }
        self.from = event.offset.next();
        event.lanes.sort_unstable();
        event.lanes.dedup();
        self.due.insert((event.settle_by, event.offset));
        let offset = event.offset;
        self.window.insert(offset, event);
        self.finish_if_settled(offset, effects);
    }

    fn settled(&mut self, lane: LaneId, offset: Offset, how: Acknowledgement, effects: &mut Vec<Effect>) {
        if let Some(event) = self.window.get_mut(&offset) {
            if event.lanes.contains(&lane) && event.settled.iter().all(|(other, _)| *other != lane) {
                event.settled.push((lane, how));
                self.finish_if_settled(offset, effects);
            }
            return;
        }
        let Some(load) = self.load.as_mut().filter(|_| offset >= self.from) else { return };
        if load.early.len() < EARLY_MAX {
            load.early.push((lane, offset, how));
        } else {
            load.has_overflowed = true;
        }
    }

    fn loaded(&mut self, open: Vec<Open>, more: bool, effects: &mut Vec<Effect>) {
        let Some(load) = self.load.take() else { return };
        if load.has_overflowed {
            self.is_behind = true;
            return;
        }
        self.is_behind |= more;
        let room = WINDOW.saturating_sub(self.window.len());
        self.is_behind |= open.len() > room;
        open.into_iter().take(room).for_each(|event| self.admit(event, effects));
        self.stored(load.fresh, effects);
        for (lane, offset, how) in load.early {
            self.settled(lane, offset, how, effects);
        }
    }

    fn finish_if_settled(&mut self, offset: Offset, effects: &mut Vec<Effect>) {
        let is_settled = |event: &Open| {
            // No lane is in either list twice, so the count says of almost every event that it is not.
            event.settled.len() >= event.lanes.len()
                && event.lanes.iter().all(|lane| event.settled.iter().any(|(settled, _)| settled == lane))
        };
        if self.window.get(&offset).is_some_and(is_settled) {
            self.finish(offset, None, effects);
        }
    }

    /// Writes the final of an event; lanes that have not settled it are pending as of `at`.
    fn finish(&mut self, offset: Offset, at: Option<Timestamp>, effects: &mut Vec<Effect>) {
        let Some(event) = self.window.remove(&offset) else { return };
        self.due.remove(&(event.settle_by, offset));
        let Open { event_id, intent_index, lanes, mut settled, .. } = event;
        let acknowledgements = lanes
            .into_iter()
            .filter_map(|lane| {
                let place = settled.iter().position(|(other, _)| *other == lane);
                let how = place.map(|place| settled.swap_remove(place).1).or_else(|| at.map(pending))?;
                Some((lane, how))
            })
            .collect();
        effects.push(Effect::Final(Finished { offset, event_id, intent_index, acknowledgements }));
    }

    fn load_if_room(&mut self, effects: &mut Vec<Effect>) {
        let room = WINDOW.saturating_sub(self.window.len());
        if self.is_behind && self.load.is_none() && room >= WINDOW / 2 {
            self.is_behind = false;
            self.load = Some(Load::default());
            effects.push(Effect::Load { from: self.from, limit: room });
        }
    }

    fn rest(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some((_, offset)) = self.due.first().copied().filter(|(by, _)| *by <= now.wall) {
            self.finish(offset, Some(now.wall), effects);
        }
        self.load_if_room(effects);
        self.look_again = self.due.first().map(|(by, _)| {
            let wait = u64::try_from(by.0.saturating_sub(now.wall.0)).unwrap_or(0);
            now.moment.after(Duration::from_micros(wait).min(LOOK_AGAIN))
        });
    }
}

fn pending(at: Timestamp) -> Acknowledgement {
    Acknowledgement { settled: SettledAs::Pending, at, attempts: 0, answer_sha256: None }
}

impl Machine for Settlement {
    type Fact = Fact;
    type Effect = Effect;

    fn on(&mut self, now: Now, fact: Fact, effects: &mut Vec<Effect>) {
        match fact {
            Fact::Stored(open) => self.stored(open, effects),
            Fact::Settled(lane, offset, how) => self.settled(lane, offset, how, effects),
            Fact::Loaded { open, more } => self.loaded(open, more, effects),
        }
        self.rest(now, effects);
    }

    fn on_time(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.rest(now, effects);
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.look_again
    }
}

#[cfg(test)]
mod tests;
