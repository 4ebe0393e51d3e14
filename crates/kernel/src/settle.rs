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

/// Acknowledgements kept while a load is under way: those of the oldest events, which the load will bring. Of
/// newer events the store has them by the time they are loaded.
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
    /// One lane settled events. Late, repeated and unknown ones change nothing.
    Settled(LaneId, Vec<(Offset, Acknowledgement)>),
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

/// An open event in the window.
#[derive(Debug, Clone)]
struct Held {
    event_id: EventId,
    intent_index: u64,
    settle_by: Timestamp,
    /// In ascending order.
    lanes: Vec<LaneId>,
    /// How it ended at each of them, in their order.
    ends: Vec<Option<Acknowledgement>>,
    /// Lanes that have not settled it.
    missing: usize,
}

impl Held {
    /// Also takes in what is settled already.
    fn new(open: Open) -> (Offset, Self) {
        let Open { offset, event_id, intent_index, settle_by, mut lanes, settled } = open;
        lanes.sort_unstable();
        lanes.dedup();
        let (ends, missing) = (vec![None; lanes.len()], lanes.len());
        let mut held = Self { event_id, intent_index, settle_by, lanes, ends, missing };
        settled.into_iter().for_each(|(lane, how)| held.settle(lane, how));
        (offset, held)
    }

    /// The first word of a lane counts; a lane that it was not routed to has none.
    fn settle(&mut self, lane: LaneId, how: Acknowledgement) {
        let Ok(at) = self.lanes.binary_search(&lane) else { return };
        if self.ends[at].is_none() {
            self.ends[at] = Some(how);
            self.missing -= 1;
        }
    }
}

/// Holds the open events, oldest first, and says when each is final.
#[derive(Debug, Clone)]
pub struct Settlement {
    window: BTreeMap<Offset, Held>,
    due: BTreeSet<(Timestamp, Offset)>,
    /// Every open event below this is in the window.
    from: Offset,
    /// There may be open events at or beyond `from` in the store.
    is_behind: bool,
    load: Option<Load>,
    look_again: Option<Moment>,
}

/// What happened while a load is under way.
#[derive(Debug, Clone)]
struct Load {
    fresh: Vec<Open>,
    early: Vec<(Offset, LaneId, Acknowledgement)>,
    /// Every acknowledgement of an event below this is kept.
    kept_below: Offset,
}

impl Load {
    fn begin() -> Self {
        Self { fresh: Vec::new(), early: Vec::new(), kept_below: Offset(u64::MAX) }
    }

    fn keep(&mut self, offset: Offset, lane: LaneId, how: Acknowledgement) {
        if offset >= self.kept_below {
            return;
        }
        self.early.push((offset, lane, how));
        if self.early.len() > 2 * EARLY_MAX {
            self.early.sort_unstable_by_key(|(offset, lane, _)| (*offset, *lane));
            self.kept_below = self.early[EARLY_MAX].0;
            self.early.retain(|(offset, ..)| *offset < self.kept_below);
        }
    }
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

    fn admit(&mut self, event: Open, effects: &mut Vec<Effect>) {
        if event.offset < self.from {
            return;
        }
        let (offset, held) = Held::new(event);
        self.from = offset.next();
        if held.missing == 0 {
            return effects.push(finished(offset, held, None));
        }
        self.due.insert((held.settle_by, offset));
        self.window.insert(offset, held);
    }

    fn settled(&mut self, lane: LaneId, offset: Offset, how: Acknowledgement, effects: &mut Vec<Effect>) {
        if let Some(held) = self.window.get_mut(&offset) {
            held.settle(lane, how);
            if held.missing == 0 {
                self.finish(offset, None, effects);
            }
            return;
        }
        if let Some(load) = self.load.as_mut().filter(|_| offset >= self.from) {
            load.keep(offset, lane, how);
        }
    }

    /// Takes what fits and whose acknowledgements are all known; the rest is loaded next.
    fn loaded(&mut self, open: Vec<Open>, more: bool, effects: &mut Vec<Effect>) {
        let Some(load) = self.load.take() else { return };
        let room = WINDOW.saturating_sub(self.window.len());
        let known = open.iter().take_while(|event| event.offset < load.kept_below).count().min(room);
        self.is_behind |= more || known < open.len();
        open.into_iter().take(known).for_each(|event| self.admit(event, effects));
        self.stored(load.fresh, effects);
        for (offset, lane, how) in load.early {
            self.settled(lane, offset, how, effects);
        }
    }

    /// Writes the final of an event; lanes that have not settled it are pending as of `at`.
    fn finish(&mut self, offset: Offset, at: Option<Timestamp>, effects: &mut Vec<Effect>) {
        let Some(held) = self.window.remove(&offset) else { return };
        self.due.remove(&(held.settle_by, offset));
        effects.push(finished(offset, held, at));
    }

    fn load_if_room(&mut self, effects: &mut Vec<Effect>) {
        let room = WINDOW.saturating_sub(self.window.len());
        if self.is_behind && self.load.is_none() && room >= WINDOW / 2 {
            self.is_behind = false;
            self.load = Some(Load::begin());
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

fn finished(offset: Offset, held: Held, at: Option<Timestamp>) -> Effect {
    let Held { event_id, intent_index, lanes, ends, .. } = held;
    let ends = lanes.into_iter().zip(ends);
    let end = |(lane, how): (LaneId, Option<Acknowledgement>)| Some((lane, how.or(at.map(pending))?));
    Effect::Final(Finished {
        offset,
        event_id,
        intent_index,
        acknowledgements: ends.filter_map(end).collect(),
    })
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
            Fact::Settled(lane, items) => {
                items.into_iter().for_each(|(offset, how)| self.settled(lane, offset, how, effects));
            }
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
