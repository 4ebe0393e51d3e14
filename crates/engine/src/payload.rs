//! Committed events in memory: decoded once, shared by all lanes. Two bounded stores: the *recent* ring,
//! which holds every event from its start to the log's end, and the *cold* shelf for events that a lagging
//! lane had read from disk. What is in neither is read again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use writ_attest::leaf::EventFacts;
use writ_kernel::dispatch::{Item, LaneId};
use writ_kernel::gate::permit;
use writ_model::cloudevent::{CloudEvent, Placement};
use writ_model::envelope::{ClearHeader, PrivatePart};
use writ_model::id::{Generation, Offset, SubjectId};
use writ_model::taxonomy::PriorityClass;
use writ_model::time::Timestamp;
use writ_model::verdict::Decision;
use writ_schema::cloudevents::View;

use crate::hub::express::{Sighted, sights};

/// A committed event, its payload open until it is encoded for subscribers: thousands are in memory, and the
/// encoding is the smaller form.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) offset: Offset,
    pub(crate) header: ClearHeader,
    pub(crate) decision: Decision,
    pub(crate) placement: Placement,
    pub(crate) intent_index: u64,
    /// What the intent says; `None` for events read from disk.
    pub(crate) intent: Option<Arc<EventFacts>>,
    pub(crate) settle_by: Timestamp,
    pub(crate) bytes: u32,
    /// The lanes whose filters match, in lane order.
    pub(crate) lanes: Vec<LaneId>,
    /// Until the view is made of it; `None` when its key was destroyed.
    pub(crate) private: Mutex<Option<PrivatePart>>,
    pub(crate) view: OnceLock<Option<Arc<View>>>,
}

impl Event {
    /// The event as subscribers see it, encoded once; `None` when its key was destroyed.
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        let render =
            || lock(&self.private).take().map(|private| self.render(private, &self.decision.withhold));
        self.view.get_or_init(render).clone()
    }

    /// The event without these attributes, from one that nobody shares; `None` when its key was destroyed.
    pub(crate) fn into_view_without(self, withhold: &[String]) -> Option<Arc<View>> {
        let private = lock(&self.private).take()?;
        Some(self.render(private, withhold))
    }

    /// The event as it is read when its key was destroyed.
    fn shredded(&self) -> Arc<Self> {
        Arc::new(Self {
            offset: self.offset,
            header: self.header.clone(),
            decision: self.decision.clone(),
            placement: self.placement,
            intent_index: self.intent_index,
            intent: self.intent.clone(),
            settle_by: self.settle_by,
            bytes: self.bytes,
            lanes: self.lanes.clone(),
            private: Mutex::new(None),
            view: OnceLock::new(),
        })
    }

    /// What is left of the event when its key was destroyed.
    pub(crate) fn tombstone(&self) -> Arc<View> {
        Arc::new(View::new(&CloudEvent::tombstone(&self.header, self.placement)))
    }

    fn render(&self, mut private: PrivatePart, withhold: &[String]) -> Arc<View> {
        for attribute in withhold {
            private.data.before.iter_mut().for_each(|side| drop(side.remove(attribute)));
            private.data.after.iter_mut().for_each(|side| drop(side.remove(attribute)));
        }
        Arc::new(View::new(&CloudEvent::from_event(&self.header, &private, self.placement)))
    }

    /// What the event takes in memory, in bytes, the same at any time: its fixed parts, its names, and its payload.
    /// Encoded for subscribers the payload is a little more than twice what is stored of it, and open it is no more.
    pub(crate) fn cost(&self) -> usize {
        let Self { decision, lanes, bytes, .. } = self;
        let parts = size_of::<Self>() + size_of::<EventFacts>() + size_of::<View>();
        let listed = decision.deny_subscribers.iter().chain(&decision.withhold);
        let listed: usize = listed.map(|name| size_of::<String>() + name.len()).sum();
        parts + NAMES + listed + size_of_val(lanes.as_slice()) + 2 * *bytes as usize
    }

    /// The event as the lane of `subscriber` sees it.
    pub(crate) fn item(&self, subscriber: &str) -> Item {
        self.outline().item(subscriber)
    }

    fn outline(&self) -> Outline<'_> {
        let Self { header, decision, offset, bytes, .. } = self;
        Outline { header, decision, offset: *offset, bytes: *bytes }
    }

    fn goes_to(&self, base: LaneId) -> bool {
        self.lanes.binary_search(&base).is_ok()
    }
}

/// What lanes see of an event: nothing of its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline<'a> {
    pub(crate) header: &'a ClearHeader,
    pub(crate) decision: &'a Decision,
    pub(crate) offset: Offset,
    pub(crate) bytes: u32,
}

impl Outline<'_> {
    /// The event as the lane of `subscriber` sees it.
    pub(crate) fn item(self, subscriber: &str) -> Item {
        let Self { header, decision, offset, bytes } = self;
        Item {
            offset,
            event_id: header.event_id,
            source: header.source.clone(),
            subject_id: header.subject_id,
            slot: header.slot,
            generation: header.generation,
            change_type: header.change_type,
            operation: header.operation,
            class: decision.class,
            recorded_at: header.recorded_at,
            bytes,
            permit: permit::ask(offset, decision, subscriber),
        }
    }
}

/// What a lane asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) from: Offset,
    pub(crate) items_max: usize,
    pub(crate) bytes_max: usize,
}

impl Stretch {
    /// Items of the events for a lane, as many as it asks for, and where to read on: at the first that is too many, or
    /// at `end`. One that alone has too many bytes is given.
    pub(crate) fn fill<'a>(
        self,
        events: impl Iterator<Item = Outline<'a>>,
        subscriber: &str,
        end: Offset,
    ) -> (Vec<Item>, Offset) {
        let mut items = Vec::new();
        let mut bytes = 0;
        for event in events {
            bytes += event.bytes as usize;
            if items.len() == self.items_max || (bytes > self.bytes_max && !items.is_empty()) {
                return (items, event.offset);
            }
            items.push(event.item(subscriber));
        }
        (items, end)
    }
}

/// What memory can say to it.
#[derive(Debug)]
pub(crate) enum Offering {
    /// Nothing past `from` may be shown yet.
    AtHead,
    /// `from` is before what memory holds: read the disk.
    Cold,
    /// Matching events and where to read on.
    Found(Vec<Item>, Offset),
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Every committed event from here on is in the ring.
    start: Offset,
    /// Up to here the hub knows what was committed: nothing behind it is shown to a lane, so that settlement
    /// hears of an event before any lane can settle it.
    end: Offset,
}

impl Ring {
    fn get(&self, offset: Offset) -> Option<Arc<Event>> {
        let found = self.events.binary_search_by_key(&offset, |event| event.offset);
        found.ok().map(|at| Arc::clone(&self.events[at]))
    }

    fn from(&self, offset: Offset) -> impl Iterator<Item = &Event> {
        let first = self.events.partition_point(|event| event.offset < offset);
        self.events.range(first..).map(Arc::as_ref)
    }
}

#[derive(Debug, Default)]
struct Shelf {
    events: BTreeMap<Offset, Arc<Event>>,
    order: VecDeque<Offset>,
    bytes: usize,
}

/// Both stores.
#[derive(Debug)]
pub(crate) struct Payloads {
    ring: Mutex<Ring>,
    shelf: Mutex<Shelf>,
    ring_bytes_max: usize,
    /// The log's committed end, which the hub may be some commits behind.
    committed: AtomicU64,
}

/// The shelf's share of the ring's bound.
const SHELF_SHARE: usize = 3;

/// The names that an event spells out: its source's, and the versions of policy and schema in its decision and its
/// intent's facts.
const NAMES: usize = 512;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Payloads {
    /// Empty, with the log's end as it was at the start.
    pub(crate) fn new(end: Offset, ring_bytes_max: usize) -> Self {
        let ring = Ring { events: VecDeque::new(), bytes: 0, start: end, end };
        Self {
            ring: Mutex::new(ring),
            shelf: Mutex::new(Shelf::default()),
            ring_bytes_max,
            committed: AtomicU64::new(end.0),
        }
    }

    /// The hub's word: it knows of one commit's events. Drops the oldest beyond the bound.
    pub(crate) fn push(&self, events: &[Arc<Event>], end: Offset) {
        let mut ring = lock(&self.ring);
        for event in events {
            ring.bytes += event.cost();
            ring.events.push_back(Arc::clone(event));
        }
        ring.end = end;
        while ring.bytes > self.ring_bytes_max {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= oldest.cost();
            ring.start = oldest.offset.next();
        }
    }

    /// Keeps an event that was read from disk for the attempt that follows.
    pub(crate) fn shelve(&self, event: Arc<Event>) {
        let mut shelf = lock(&self.shelf);
        shelf.bytes += event.cost();
        shelf.order.push_back(event.offset);
        if let Some(replaced) = shelf.events.insert(event.offset, event) {
            shelf.bytes -= replaced.cost();
        }
        while shelf.bytes > self.ring_bytes_max / SHELF_SHARE {
            let Some(oldest) = shelf.order.pop_front() else { break };
            if let Some(dropped) = shelf.events.remove(&oldest) {
                shelf.bytes -= dropped.cost();
            }
        }
    }

    /// The content key of a subject's life was destroyed: what memory holds open of it goes too.
    pub(crate) fn shred(&self, subject: SubjectId, generation: Generation) {
        let is_of = |header: &ClearHeader| header.subject_id == subject && header.generation == generation;
        let mut ring = lock(&self.ring);
        ring.events
            .iter_mut()
            .filter(|event| is_of(&event.header))
            .for_each(|event| *event = event.shredded());
        drop(ring);
        let mut shelf = lock(&self.shelf);
        let shelved = shelf.events.values_mut().filter(|event| is_of(&event.header));
        shelved.for_each(|event| *event = event.shredded());
    }

    /// An event, if memory has it.
    pub(crate) fn get(&self, offset: Offset) -> Option<Arc<Event>> {
        self.all(&[offset]).pop().flatten()
    }

    /// Events in the order asked for, where memory has them.
    pub(crate) fn all(&self, offsets: &[Offset]) -> Vec<Option<Arc<Event>>> {
        let ring = lock(&self.ring);
        let mut events: Vec<_> = offsets.iter().map(|offset| ring.get(*offset)).collect();
        drop(ring);
        if events.iter().any(Option::is_none) {
            let shelf = lock(&self.shelf);
            for (event, offset) in events.iter_mut().zip(offsets).filter(|(event, _)| event.is_none()) {
                *event = shelf.events.get(offset).map(Arc::clone);
            }
        }
        events
    }

    /// The writer's word: the log is durable up to here.
    pub(crate) fn committed(&self, end: Offset) {
        self.committed.store(end.0, Ordering::Release);
    }

    /// The log's committed end.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.committed.load(Ordering::Acquire))
    }

    /// Up to here lanes may be shown events.
    pub(crate) fn shown(&self) -> Offset {
        lock(&self.ring).end
    }

    /// Express events for a lane, from an offset on, as far as memory knows.
    pub(crate) fn express(&self, base: LaneId, from: Offset, limit: usize) -> Sighted {
        let ring = lock(&self.ring);
        if from >= ring.end {
            return Sighted::AtHead;
        }
        if from < ring.start {
            return Sighted::Cold;
        }
        let is_wanted =
            |event: &&Event| event.decision.class == PriorityClass::Express && event.goes_to(base);
        let express = ring.from(from).filter(is_wanted);
        let (sights, next) = sights(express.map(|event| (event.offset, &event.header)), limit, ring.end);
        Sighted::Found(sights, next)
    }

    /// What memory can offer to a lane that reads for `base`, the lane whose filter counts.
    pub(crate) fn offer(&self, base: LaneId, subscriber: &str, stretch: Stretch) -> Offering {
        let ring = lock(&self.ring);
        if stretch.from >= ring.end {
            return Offering::AtHead;
        }
        if stretch.from < ring.start {
            return Offering::Cold;
        }
        let events = ring.from(stretch.from).filter(|event| event.goes_to(base)).map(Event::outline);
        let (items, next) = stretch.fill(events, subscriber, ring.end);
        Offering::Found(items, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_committed_is_not_shown_to_a_lane_before_the_hub_knows_of_it() {
        let payloads = Payloads::new(Offset(10), 1 << 20);
        let stretch = Stretch { from: Offset(10), items_max: 8, bytes_max: 1 << 20 };
        payloads.committed(Offset(14));
        assert_eq!((payloads.end(), payloads.shown()), (Offset(14), Offset(10)));
        assert!(matches!(payloads.offer(LaneId(0), "crm", stretch), Offering::AtHead));
        payloads.push(&[], Offset(14));
        assert!(matches!(payloads.offer(LaneId(0), "crm", stretch), Offering::Found(_, Offset(14))));
    }
}
