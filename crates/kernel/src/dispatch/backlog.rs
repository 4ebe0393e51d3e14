//! The events that a lane has read and not settled, one queue per subject: who is next, and in what order.
//!
//! Express goes before standard, but never past an earlier event of its own subject: as long as a queue
//! holds an express event, the whole queue ranks as express, which promotes what stands before it. At most
//! one attempt per subject is in flight. Holds no decision about answers; see `answer.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use writ_model::id::{DeliveryId, Offset, SubjectId};
use writ_model::taxonomy::PriorityClass;
use writ_model::time::Moment;

use super::Item;

/// One event in a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The event.
    pub item: Item,
    /// The same on every attempt.
    pub delivery_id: DeliveryId,
    /// Attempts made in this run.
    pub attempts: u32,
    /// Those of them that count against the budget.
    pub charged: u32,
    /// When the first was made.
    pub first_attempt: Option<Moment>,
    /// It comes from the dead letters: settling it does not touch the cursor.
    pub is_redriven: bool,
    /// An attempt of it may have arrived: the receiver is looked at before the next one.
    pub is_suspect: bool,
    /// It is sent at most once; shares no request with what may be repeated.
    pub is_once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready(PriorityClass, Offset),
    Waiting(Moment),
    Flying(usize),
}

#[derive(Debug, Clone)]
struct Queue {
    items: VecDeque<Queued>,
    place: Place,
    express: usize,
    /// No batch with this subject in it may hold more: lowered to find the event that a batch is refused for.
    batch_limit: usize,
}

impl Queue {
    fn rank(&self) -> PriorityClass {
        if self.express > 0 { PriorityClass::Express } else { PriorityClass::Standard }
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.items.pop_front()?;
        self.express -= usize::from(queued.item.class == PriorityClass::Express);
        Some(queued)
    }
}

/// How much one batch may hold.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Events.
    pub items: usize,
    /// Bytes; one event is always taken.
    pub bytes: usize,
    /// Several events of one subject may share the batch.
    pub repeats: bool,
}

/// All queues of a lane.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    queues: BTreeMap<SubjectId, Queue>,
    ready: BTreeSet<(PriorityClass, Offset, SubjectId)>,
    waiting: BTreeSet<(Moment, SubjectId)>,
    ready_items: usize,
    ready_bytes: usize,
    items: usize,
    bytes: usize,
}

impl Backlog {
    /// Events held, in flight ones included.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Their stored bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether some event could be sent.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether a batch would be as full as it may be, or holds something that should not wait for company.
    pub fn fills(&self, room: Room) -> bool {
        let Some((rank, _, subject)) = self.ready.first() else { return false };
        let count = if room.repeats { self.ready_items } else { self.ready.len() };
        let limit = self.queues.get(subject).map_or(room.items, |queue| queue.batch_limit);
        *rank == PriorityClass::Express || count >= room.items.min(limit) || self.ready_bytes >= room.bytes
    }

    /// Adds an event behind the others of its subject.
    pub fn push(&mut self, queued: Queued) {
        let subject = queued.item.subject_id;
        self.items += 1;
        self.bytes += queued.item.bytes as usize;
        self.unready(subject);
        // Most subjects have one event here; the default would keep room for four.
        let fresh = || Queue {
            items: VecDeque::with_capacity(1),
            place: Place::Flying(0),
            express: 0,
            batch_limit: usize::MAX,
        };
        let queue = self.queues.entry(subject).or_insert_with(fresh);
        queue.express += usize::from(queued.item.class == PriorityClass::Express);
        queue.items.push_back(queued);
        if queue.place == Place::Flying(0) {
            self.make_ready(subject);
        }
    }

    /// Takes a batch off the ready subjects, best first, and marks it as in flight. Gives each subject in it
    /// with how many of its first events, in the order of sending.
    pub fn pick(&mut self, room: Room) -> Vec<(SubjectId, usize)> {
        let (mut members, mut limit, mut bytes, mut count) = (Vec::new(), room.items, 0, 0);
        let mut is_once = None;
        while let Some((_, _, subject)) = self.ready.first().copied() {
            let queue = self.queues.get(&subject).expect("a ready subject has a queue");
            limit = limit.min(queue.batch_limit);
            let left = limit.saturating_sub(count);
            let most = if room.repeats { left } else { left.min(1) };
            let mut taken = 0;
            for queued in queue.items.iter().take(most) {
                let size = queued.item.bytes as usize;
                let is_of_a_kind = *is_once.get_or_insert(queued.is_once) == queued.is_once;
                if count + taken > 0 && (bytes + size > room.bytes || !is_of_a_kind) {
                    break;
                }
                bytes += size;
                taken += 1;
            }
            if taken == 0 {
                break;
            }
            self.unready(subject);
            self.queues.get_mut(&subject).expect("looked up above").place = Place::Flying(taken);
            members.push((subject, taken));
            count += taken;
        }
        members
    }

    /// The first events of a subject, to be read or marked by the caller.
    pub fn front_mut(&mut self, subject: SubjectId, count: usize) -> impl Iterator<Item = &mut Queued> {
        self.queues.get_mut(&subject).into_iter().flat_map(move |queue| queue.items.iter_mut().take(count))
    }

    /// Takes the first event of a subject that is in flight: it has settled.
    pub fn pop(&mut self, subject: SubjectId) -> Option<Queued> {
        let queue = self.queues.get_mut(&subject)?;
        let Place::Flying(count @ 1..) = queue.place else { return None };
        let queued = queue.pop()?;
        queue.place = Place::Flying(count - 1);
        queue.batch_limit = usize::MAX;
        self.items -= 1;
        self.bytes -= queued.item.bytes as usize;
        Some(queued)
    }

    /// The attempt with this subject ended: what is left goes on at once, or not before `until`.
    pub fn land(&mut self, subject: SubjectId, until: Option<Moment>) {
        let Some(queue) = self.queues.get_mut(&subject) else { return };
        if queue.items.is_empty() {
            self.queues.remove(&subject);
            return;
        }
        match until {
            None => self.make_ready(subject),
            Some(until) => {
                queue.place = Place::Waiting(until);
                self.waiting.insert((until, subject));
            }
        }
    }

    /// No batch with this subject in it may hold more than so many events, until one of it settles.
    pub fn limit_batches(&mut self, subject: SubjectId, limit: usize) {
        if let Some(queue) = self.queues.get_mut(&subject) {
            queue.batch_limit = limit.max(1);
        }
    }

    /// Takes a subject's whole queue, wherever it is.
    pub fn take(&mut self, subject: SubjectId) -> Vec<Queued> {
        self.unready(subject);
        let Some(queue) = self.queues.remove(&subject) else { return Vec::new() };
        if let Place::Waiting(until) = queue.place {
            self.waiting.remove(&(until, subject));
        }
        self.items -= queue.items.len();
        self.bytes -= queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        queue.items.into()
    }

    /// Whether a subject has events here.
    pub fn has_events(&self, subject: SubjectId) -> bool {
        self.queues.get(&subject).is_some_and(|queue| !queue.items.is_empty())
    }

    /// Whether events of a subject are in an attempt.
    pub fn is_flying(&self, subject: SubjectId) -> bool {
        self.queues.get(&subject).is_some_and(|queue| matches!(queue.place, Place::Flying(1..)))
    }

    /// When the next waiting subject is due.
    pub fn deadline(&self) -> Option<Moment> {
        self.waiting.first().map(|(until, _)| *until)
    }

    /// Makes the subjects ready whose wait is over.
    pub fn on_time(&mut self, now: Moment) {
        while let Some((until, subject)) = self.waiting.first().copied().filter(|(until, _)| *until <= now) {
            self.waiting.remove(&(until, subject));
            self.make_ready(subject);
        }
    }

    fn make_ready(&mut self, subject: SubjectId) {
        let Some(queue) = self.queues.get_mut(&subject) else { return };
        let Some(first) = queue.items.front() else { return };
        let (rank, offset) = (queue.rank(), first.item.offset);
        queue.place = Place::Ready(rank, offset);
        self.ready_items += queue.items.len();
        self.ready_bytes += queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        self.ready.insert((rank, offset, subject));
    }

    fn unready(&mut self, subject: SubjectId) {
        let Some(queue) = self.queues.get_mut(&subject) else { return };
        let Place::Ready(rank, offset) = queue.place else { return };
        queue.place = Place::Flying(0);
        self.ready_items -= queue.items.len();
        self.ready_bytes -= queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        self.ready.remove(&(rank, offset, subject));
    }
}
