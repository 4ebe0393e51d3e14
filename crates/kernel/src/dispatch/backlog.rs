//! The events that a lane has read and not settled, one queue per line: who is next, and in what order.
//!
//! Express goes before standard, earliest due date first. Within a line it goes past earlier standard events
//! of its subject with which it commutes (`overtake.rs`), and past nothing else: as long as a queue holds an
//! express event, the whole queue ranks as express, which promotes what stands before it. At most one attempt
//! per line is in flight. Holds no decision about answers; see `answer.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use writ_model::id::{DeliveryId, Offset, SubjectId};
use writ_model::taxonomy::{ChangeType, PriorityClass};
use writ_model::time::{Moment, Timestamp};

use super::Item;
use super::line::Line;
use super::overtake;
use super::rate::Purse;
use super::void;

/// One event in a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The event.
    pub item: Item,
    /// The same on every attempt.
    pub delivery_id: DeliveryId,
    /// By when it should be delivered.
    pub due: Timestamp,
    /// Attempts made in this run.
    pub attempts: u32,
    /// Those of them that count against the budget.
    pub charged: u32,
    /// When the first was made.
    pub first_attempt: Option<Moment>,
    /// It was overtaken while it waited, and is not tried again before.
    pub not_before: Option<Moment>,
    /// It comes from the dead letters: settling it does not touch the cursor.
    pub is_redriven: bool,
    /// An attempt of it may have arrived: the receiver is looked at before the next one.
    pub is_suspect: bool,
    /// It is sent at most once; shares no request with what may be repeated.
    pub is_once: bool,
}

/// Who goes first: express before standard, and of express what is due earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    class: PriorityClass,
    due: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready(Rank, Offset),
    Waiting(Moment),
    Flying(usize),
}

#[derive(Debug, Clone)]
struct Queue {
    items: VecDeque<Queued>,
    place: Place,
    express: usize,
    /// The earliest due date of those; meaningless without any.
    due: Timestamp,
    /// No batch with this line in it may hold more: lowered to find the event that a batch is refused for.
    batch_limit: usize,
}

impl Queue {
    fn rank(&self) -> Rank {
        if self.express > 0 {
            Rank { class: PriorityClass::Express, due: self.due }
        } else {
            Rank { class: PriorityClass::Standard, due: Timestamp::default() }
        }
    }

    /// Looks at the express events again after some have left.
    fn rerank(&mut self) {
        let express = self.items.iter().filter(|queued| queued.item.class == PriorityClass::Express);
        let dates = express.map(|queued| queued.due);
        (self.express, self.due) =
            dates.fold((0, Timestamp(i64::MAX)), |(count, due), date| (count + 1, due.min(date)));
    }

    /// Before which of the queue's events a new one goes.
    fn place_for(&self, queued: &Queued) -> usize {
        let flying = match self.place {
            Place::Flying(count) => count,
            Place::Ready(..) | Place::Waiting(_) => 0,
        };
        let overtakes = |at: &usize| {
            let earlier = &self.items[*at];
            !queued.is_redriven && !earlier.is_redriven && overtake::may_overtake(&queued.item, &earlier.item)
        };
        let behind = (flying..self.items.len()).rev().take_while(overtakes).count();
        self.items.len() - behind
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.items.pop_front()?;
        if queued.item.class == PriorityClass::Express {
            self.rerank();
        }
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
    /// Several events of one line may share the batch.
    pub repeats: bool,
}

/// Offsets from a batch's first event on within which it takes what a line has: about a hundred events with their
/// leaves.
const NEAR: u64 = 512;

/// A batch that is being filled.
struct Filling<'a, 'b> {
    room: Room,
    /// Events at most, by what its lines allow.
    limit: usize,
    bytes: usize,
    count: usize,
    is_once: Option<bool>,
    purse: &'a mut Purse<'b>,
}

impl Filling<'_, '_> {
    /// Whether the event is in it now.
    fn takes(&mut self, queued: &Queued) -> bool {
        let size = queued.item.bytes as usize;
        let is_of_a_kind = *self.is_once.get_or_insert(queued.is_once) == queued.is_once;
        let is_full = self.count > 0 && (self.bytes + size > self.room.bytes || !is_of_a_kind);
        if self.count >= self.limit || is_full || !self.purse.take(queued.item.change_type) {
            return false;
        }
        self.bytes += size;
        self.count += 1;
        true
    }
}

/// All queues of a lane.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    queues: BTreeMap<Line, Queue>,
    ready: BTreeSet<(Rank, Offset, Line)>,
    waiting: BTreeSet<(Moment, Line)>,
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
        let Some((rank, _, line)) = self.ready.first() else { return false };
        let count = if room.repeats { self.ready_items } else { self.ready.len() };
        let limit = self.queues.get(line).map_or(room.items, |queue| queue.batch_limit);
        rank.class == PriorityClass::Express
            || count >= room.items.min(limit)
            || self.ready_bytes >= room.bytes
    }

    /// Adds an event behind the others of its line, but for those that it may overtake.
    pub fn push(&mut self, line: Line, queued: Queued) {
        self.items += 1;
        self.bytes += queued.item.bytes as usize;
        self.unready(line);
        // Most subjects have one event here; the default would keep room for four.
        let fresh = || Queue {
            items: VecDeque::with_capacity(1),
            place: Place::Flying(0),
            express: 0,
            due: Timestamp(i64::MAX),
            batch_limit: usize::MAX,
        };
        let queue = self.queues.entry(line).or_insert_with(fresh);
        if queued.item.class == PriorityClass::Express {
            queue.express += 1;
            queue.due = queue.due.min(queued.due);
        }
        let at = match line {
            Line::Subject(_) => queue.place_for(&queued),
            Line::Slot(_) | Line::Event(_) => queue.items.len(),
        };
        if let (0, Place::Waiting(until), Some(first)) = (at, queue.place, queue.items.front_mut()) {
            first.not_before = Some(until);
            self.waiting.remove(&(until, line));
            queue.place = Place::Flying(0);
        }
        queue.items.insert(at, queued);
        if queue.place == Place::Flying(0) {
            self.make_ready(line);
        }
    }

    /// What the next request begins with.
    pub fn next_type(&self) -> Option<ChangeType> {
        let (_, _, line) = self.ready.first()?;
        Some(self.queues.get(line)?.items.front()?.item.change_type)
    }

    /// Takes a batch off the ready lines, best first, as far as the purse reaches, and marks it as in flight. Gives
    /// each line in it with how many of its first events, in the order of sending.
    ///
    /// A line gives what is near, so that a batch is a short stretch of the log: a lane that is behind reads it in one
    /// go, and its watermark follows. What is further along is taken when no other line has anything.
    pub fn pick(&mut self, room: Room, purse: &mut Purse<'_>) -> Vec<(Line, usize)> {
        let mut batch = Filling { room, limit: room.items, bytes: 0, count: 0, is_once: None, purse };
        let mut members: Vec<(Line, usize)> = Vec::new();
        let mut near = None;
        while let Some((rank, head, line)) = self.ready.first().copied() {
            let queue = self.queues.get(&line).expect("a ready line has a queue");
            batch.limit = batch.limit.min(queue.batch_limit);
            let end = match rank.class {
                PriorityClass::Express => Offset(u64::MAX),
                PriorityClass::Standard => *near.get_or_insert(Offset(head.0.saturating_add(NEAR))),
            };
            let most = if room.repeats { usize::MAX } else { 1 };
            let near = queue.items.iter().take(most).enumerate();
            let near = near.take_while(|(at, queued)| *at == 0 || queued.item.offset < end);
            let taken = near.take_while(|(_, queued)| batch.takes(queued)).count();
            if taken == 0 {
                break;
            }
            self.unready(line);
            members.push((line, taken));
        }
        if self.ready.is_empty() && room.repeats {
            for (line, taken) in &mut members {
                let further =
                    self.queues.get(line).into_iter().flat_map(|queue| queue.items.iter().skip(*taken));
                *taken += further.take_while(|queued| batch.takes(queued)).count();
            }
        }
        for (line, taken) in &members {
            self.queues.get_mut(line).expect("a member has a queue").place = Place::Flying(*taken);
        }
        members
    }

    /// The first events of a line, to be read or marked by the caller.
    pub fn front_mut(&mut self, line: Line, count: usize) -> impl Iterator<Item = &mut Queued> {
        self.queues.get_mut(&line).into_iter().flat_map(move |queue| queue.items.iter_mut().take(count))
    }

    /// Takes the first event of a line that is in flight: it has settled.
    pub fn pop(&mut self, line: Line) -> Option<Queued> {
        let queue = self.queues.get_mut(&line)?;
        let Place::Flying(count @ 1..) = queue.place else { return None };
        let queued = queue.pop()?;
        queue.place = Place::Flying(count - 1);
        queue.batch_limit = usize::MAX;
        self.items -= 1;
        self.bytes -= queued.item.bytes as usize;
        Some(queued)
    }

    /// The attempt with this line ended: what is left goes on at once, or not before `until`.
    pub fn land(&mut self, line: Line, until: Option<Moment>) {
        let Some(queue) = self.queues.get_mut(&line) else { return };
        if queue.items.is_empty() {
            self.queues.remove(&line);
            return;
        }
        let overtaken = queue.items.front_mut().and_then(|first| first.not_before.take());
        match until.or(overtaken) {
            None => self.make_ready(line),
            Some(until) => {
                queue.place = Place::Waiting(until);
                self.waiting.insert((until, line));
            }
        }
    }

    /// No batch with this line in it may hold more than so many events, until one of it settles.
    pub fn limit_batches(&mut self, line: Line, limit: usize) {
        if let Some(queue) = self.queues.get_mut(&line) {
            queue.batch_limit = limit.max(1);
        }
    }

    /// Takes a line's whole queue, wherever it is.
    pub fn take(&mut self, line: Line) -> Vec<Queued> {
        self.unready(line);
        let Some(queue) = self.queues.remove(&line) else { return Vec::new() };
        if let Place::Waiting(until) = queue.place {
            self.waiting.remove(&(until, line));
        }
        self.items -= queue.items.len();
        self.bytes -= queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        queue.items.into()
    }

    /// Takes one subject's events off a line whose attempt has ended; the others stay.
    pub fn take_subject(&mut self, line: Line, subject: SubjectId) -> Vec<Queued> {
        if line == Line::Subject(subject) {
            return self.take(line);
        }
        let Some(queue) = self.queues.get_mut(&line) else { return Vec::new() };
        debug_assert!(matches!(queue.place, Place::Flying(_)), "the line is neither ready nor waiting");
        let (taken, left): (Vec<Queued>, Vec<Queued>) =
            queue.items.drain(..).partition(|queued| queued.item.subject_id == subject);
        queue.items = left.into();
        queue.rerank();
        self.items -= taken.len();
        self.bytes -= taken.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        taken
    }

    /// How many of a line's first events are in flight.
    pub fn in_flight(&self, line: Line) -> usize {
        match self.queues.get(&line).map(|queue| queue.place) {
            Some(Place::Flying(count)) => count,
            Some(Place::Ready(..) | Place::Waiting(_)) | None => 0,
        }
    }

    /// Whether a later event of the line makes this one void.
    pub fn has_voider(&self, line: Line, item: &Item) -> bool {
        let queue = self.queues.get(&line).filter(|queue| queue.express > 0);
        queue.is_some_and(|queue| queue.items.iter().any(|later| void::voids(&later.item, item)))
    }

    /// Takes out what a later event of its line makes void, each with the offset of that one. The first
    /// `in_flight` events stay. A line that waited for one of them is ready.
    pub fn take_void(&mut self, line: Line, in_flight: usize) -> Vec<(Queued, Offset)> {
        let Some(queue) = self.queues.get(&line).filter(|queue| queue.express > 0) else { return Vec::new() };
        let voider = |item: &Item| {
            let later = queue.items.iter().find(|later| void::voids(&later.item, item));
            later.map(|later| later.item.offset)
        };
        let of = |(at, queued): (usize, &Queued)| {
            voider(&queued.item).filter(|_| at >= in_flight && !queued.is_redriven)
        };
        let by: Vec<Option<Offset>> = queue.items.iter().enumerate().map(of).collect();
        if by.iter().all(Option::is_none) {
            return Vec::new();
        }
        let out: Vec<bool> = by.iter().map(Option::is_some).collect();
        self.take_out(line, &out).into_iter().zip(by.into_iter().flatten()).collect()
    }

    /// Takes out every event before an offset that neither is in flight nor comes from the dead letters.
    pub fn take_below(&mut self, offset: Offset) -> Vec<Queued> {
        let is_old = |queue: &Queue| queue.items.front().is_some_and(|first| first.item.offset < offset);
        let lines: Vec<Line> =
            self.queues.iter().filter(|(_, queue)| is_old(queue)).map(|(line, _)| *line).collect();
        lines.into_iter().flat_map(|line| self.take_first(line, self.in_flight(line), offset)).collect()
    }

    /// The same for a line whose attempt has ended.
    pub fn take_line_below(&mut self, line: Line, offset: Offset) -> Vec<Queued> {
        self.take_first(line, 0, offset)
    }

    fn take_first(&mut self, line: Line, in_flight: usize, below: Offset) -> Vec<Queued> {
        let Some(queue) = self.queues.get(&line) else { return Vec::new() };
        let is_out = |(at, queued): (usize, &Queued)| {
            at >= in_flight && !queued.is_redriven && queued.item.offset < below
        };
        let out: Vec<bool> = queue.items.iter().enumerate().map(is_out).collect();
        self.take_out(line, &out)
    }

    /// Takes the marked events off a line. A line that waited for the first of them is ready.
    fn take_out(&mut self, line: Line, out: &[bool]) -> Vec<Queued> {
        if !out.contains(&true) {
            return Vec::new();
        }
        self.unready(line);
        let queue = self.queues.get_mut(&line).expect("the caller looked it up");
        let waited = match queue.place {
            Place::Waiting(until) => Some(until),
            Place::Ready(..) | Place::Flying(_) => None,
        };
        let mut taken = Vec::new();
        for (queued, is_out) in std::mem::take(&mut queue.items).into_iter().zip(out) {
            if *is_out {
                taken.push(queued);
            } else {
                queue.items.push_back(queued);
            }
        }
        queue.rerank();
        let is_empty = queue.items.is_empty();
        self.items -= taken.len();
        self.bytes -= taken.iter().map(|queued| queued.item.bytes as usize).sum::<usize>();
        if let Some(until) = waited.filter(|_| out[0]) {
            self.waiting.remove(&(until, line));
        }
        match waited {
            Some(_) if !out[0] => {}
            None if self.in_flight(line) > 0 => {}
            Some(_) | None if is_empty => drop(self.queues.remove(&line)),
            Some(_) | None => self.make_ready(line),
        }
        taken
    }

    /// The lines of single events that this one makes void.
    pub fn lines_of(&self, voider: &Item) -> Vec<Line> {
        let is_void =
            |queue: &Queue| queue.items.front().is_some_and(|first| void::voids(voider, &first.item));
        let lines =
            self.queues.iter().filter(|(line, queue)| matches!(line, Line::Event(_)) && is_void(queue));
        lines.map(|(line, _)| *line).collect()
    }

    /// Keeps a line from being sent until it lands.
    pub fn hold(&mut self, line: Line) {
        self.unready(line);
    }

    /// Whether a line has events here.
    pub fn has_events(&self, line: Line) -> bool {
        self.queues.get(&line).is_some_and(|queue| !queue.items.is_empty())
    }

    /// Whether events of a line are in an attempt.
    pub fn is_flying(&self, line: Line) -> bool {
        self.queues.get(&line).is_some_and(|queue| matches!(queue.place, Place::Flying(1..)))
    }

    /// When the next waiting line is due.
    pub fn deadline(&self) -> Option<Moment> {
        self.waiting.first().map(|(until, _)| *until)
    }

    /// Makes the subjects ready whose wait is over.
    pub fn on_time(&mut self, now: Moment) {
        while let Some((until, line)) = self.waiting.first().copied().filter(|(until, _)| *until <= now) {
            self.waiting.remove(&(until, line));
            self.make_ready(line);
        }
    }

    fn make_ready(&mut self, line: Line) {
        let Some(queue) = self.queues.get_mut(&line) else { return };
        let Some(first) = queue.items.front() else { return };
        let (rank, offset) = (queue.rank(), first.item.offset);
        queue.place = Place::Ready(rank, offset);
        self.ready_items += queue.items.len();
        self.ready_bytes += queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        self.ready.insert((rank, offset, line));
    }

    fn unready(&mut self, line: Line) {
        let Some(queue) = self.queues.get_mut(&line) else { return };
        let Place::Ready(rank, offset) = queue.place else { return };
        queue.place = Place::Flying(0);
        self.ready_items -= queue.items.len();
        self.ready_bytes -= queue.items.iter().map(|q| q.item.bytes as usize).sum::<usize>();
        self.ready.remove(&(rank, offset, line));
    }
}
