//! What must hold at every step, checked against what the world knows and the engine cannot.

use writ_kernel::dispatch::ahead::AHEAD_ITEMS_MAX;
use writ_kernel::dispatch::dead_letter::{REDRIVE_ITEMS_MAX, REDRIVES_MAX};
use writ_kernel::dispatch::line::{Line, Order};
use writ_kernel::dispatch::overtake::may_overtake;
use writ_kernel::dispatch::{Attempt, Effect};
use writ_kernel::settle;
use writ_model::control::{ControlFact, Cursor};
use writ_model::id::{Offset, SubjectId};
use writ_model::time::Moment;
use writ_store::log::Record;

use crate::lane::RATE_WINDOW;
use crate::world::World;

/// The largest event that the source makes, as it is stored.
const EVENT_BYTES_MAX: usize = 4_000;

impl World {
    /// Attempts: stored, matching, allowed, under one stable id, one per subject at a time.
    pub(crate) fn check_effect(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Send(attempt) | Effect::Prepare(attempt) | Effect::Probe(attempt) => {
                self.check_attempt(attempt)
            }
            _ => Ok(()),
        }
    }

    fn check_attempt(&mut self, attempt: &Attempt) -> Result<(), String> {
        let subscriber = self.subscriber_of(attempt.lane);
        let name = self.names[subscriber].clone();
        let mut last: std::collections::BTreeMap<SubjectId, Offset> = std::collections::BTreeMap::new();
        for delivery in &attempt.deliveries {
            let offset = delivery.offset();
            let Some(event) = self.reference.events.get(&offset).filter(|_| offset < self.tape.end()) else {
                return Err(format!("attempt for {offset}, which is not stored"));
            };
            if !event.matches(subscriber) || event.is_denied(name.as_str()) {
                return Err(format!("attempt for {offset}, which s{subscriber} must not get"));
            }
            let (event_id, subject) = (event.id(), event.subject());
            let header = &event.stored.header;
            let is_once = self.options.is_once(subscriber, header.change_type, header.operation);
            if is_once && !self.reference.spent.contains(&(name.to_string(), offset)) {
                return Err(format!(
                    "attempt for {offset}, which s{subscriber} gets once, before that is durable"
                ));
            }
            if is_once && !self.truth.once.insert((subscriber, offset)) {
                return Err(format!("attempt for {offset}, which s{subscriber} was sent once already"));
            }
            let repeats = last.insert(subject, offset);
            let is_backwards = |before| before >= offset && !self.overtakes(subscriber, before, offset);
            let is_wrong = match self.options.order {
                Order::Subject => {
                    repeats.is_some_and(|one| is_backwards(one) || !self.options.subject_repeats)
                }
                Order::Partition => repeats.is_some_and(is_backwards),
                Order::Unordered => repeats == Some(offset),
            };
            if is_wrong {
                return Err(format!("attempt {:?}: subject {subject} twice or backwards", attempt.id));
            }
            self.check_replayed(attempt.lane, offset)?;
            let id = delivery.delivery_id();
            let issue = (subscriber, event_id, self.reissue(attempt.lane));
            let known = *self.truth.id_of.entry(issue).or_insert(id);
            let owner = *self.truth.event_of.entry(id).or_insert(issue);
            if known != id || owner != issue {
                return Err(format!(
                    "delivery id of event {event_id} at s{subscriber} is not stable and unique"
                ));
            }
        }
        self.check_alone(attempt)
    }

    /// No event that another attempt in flight has to wait for, or that has to wait for one of its own.
    fn check_alone(&self, attempt: &Attempt) -> Result<(), String> {
        let subscriber = self.subscriber_of(attempt.lane);
        let lines = attempt.deliveries.iter().filter_map(|d| self.line(subscriber, d.offset()));
        let mine: Vec<Line> = lines.collect();
        for other in self.flying.values().filter(|other| other.lane == attempt.lane) {
            for delivery in &other.deliveries {
                if let Some(line) =
                    self.line(subscriber, delivery.offset()).filter(|line| mine.contains(line))
                {
                    return Err(format!("two attempts in flight for {line:?}"));
                }
            }
        }
        Ok(())
    }

    /// What an event waits in, by the order that the subscribers asked for. Redriven events do not wait for
    /// the others of their slot.
    fn line(&self, subscriber: usize, offset: Offset) -> Option<Line> {
        let event = self.reference.events.get(&offset)?;
        let key = (self.names[subscriber].to_string(), event.subject());
        let is_dead = self.reference.dead.get(&key).is_some_and(|sequence| sequence.contains(&offset));
        Some(match self.options.order {
            Order::Partition if !is_dead => Line::Slot(event.stored.header.slot),
            Order::Subject | Order::Partition => Line::Subject(event.subject()),
            Order::Unordered => Line::Event(offset),
        })
    }

    /// A subscriber processes what an attempt holds.
    pub(crate) fn process(&mut self, attempt: &Attempt, processed: &[bool]) -> Result<(), String> {
        let subscriber = self.subscriber_of(attempt.lane);
        let is_ordered = !self.replay_of.contains_key(&attempt.lane) && !self.is_former();
        let done = attempt.deliveries.iter().zip(processed).filter(|(_, done)| **done);
        self.processed(subscriber, done.map(|(delivery, _)| delivery.offset()).collect(), is_ordered)
    }

    /// First deliveries of a subject come in order, from the live lane of whoever owns it.
    pub(crate) fn processed(
        &mut self,
        subscriber: usize,
        done: Vec<Offset>,
        is_ordered: bool,
    ) -> Result<(), String> {
        for offset in done {
            let Some(event) = self.reference.events.get(&offset) else { continue };
            self.truth.seen.insert((subscriber, offset));
            if is_ordered && self.truth.live.insert((subscriber, offset)) {
                let subject = event.subject();
                self.check_order(subscriber, subject, offset)?;
                self.truth.order.entry((subscriber, subject)).or_default().push(offset);
            }
        }
        Ok(())
    }

    /// Whether the event at `later` may have gone before the one at `earlier`, of its subject.
    fn overtakes(&self, subscriber: usize, later: Offset, earlier: Offset) -> bool {
        let item = |offset| Some(self.item(self.reference.events.get(&offset)?, subscriber));
        let may = |(later, earlier)| may_overtake(&later, &earlier);
        later > earlier
            && match self.options.order {
                Order::Subject => item(later).zip(item(earlier)).is_some_and(may),
                Order::Partition => false,
                Order::Unordered => true,
            }
    }

    fn check_order(&self, subscriber: usize, subject: SubjectId, offset: Offset) -> Result<(), String> {
        let before = self.truth.order.get(&(subscriber, subject)).into_iter().flatten();
        for later in before.filter(|before| **before > offset) {
            if !self.overtakes(subscriber, *later, offset) {
                return Err(format!("s{subscriber} got the event at {offset} after {later}"));
            }
        }
        Ok(())
    }

    /// Records that became durable: a cursor never moves back, nor past what is not settled.
    pub(crate) fn check_record(&self, record: &Record) -> Result<(), String> {
        match record {
            Record::Fact(_, ControlFact::Cursor(cursor)) => self.check_cursor(cursor),
            Record::Fact(_, ControlFact::Truncated(truncated)) => self.check_truncated(truncated),
            Record::Fact(..) | Record::Event(_) | Record::Leaf(..) => Ok(()),
        }
    }

    fn check_cursor(&self, cursor: &Cursor) -> Result<(), String> {
        let name = cursor.subscriber.as_str();
        let before = self.reference.cursors.get(name).map_or(Offset::ZERO, |cursor| cursor.watermark);
        if cursor.epoch > self.tape.epoch() || cursor.epoch < self.reference.epoch {
            let (epoch, later) = (cursor.epoch.0, self.reference.epoch.0);
            return Err(format!("cursor of {name} was written by owner {epoch}, after one of {later}"));
        }
        if cursor.watermark < before {
            return Err(format!("cursor of {name} moved back from {before} to {}", cursor.watermark));
        }
        let passed = |offset: Offset| {
            offset < cursor.watermark || cursor.done.iter().any(|(a, b)| *a <= offset && offset <= *b)
        };
        let subscriber = self.names.iter().position(|n| n.as_str() == name).unwrap_or_default();
        // What was passed before was checked before.
        for (offset, _) in self.reference.events.range(before..).filter(|(offset, _)| passed(**offset)) {
            if !self.is_accounted(subscriber, *offset) {
                return Err(format!("cursor of {name} passed {offset}, which is not settled"));
            }
        }
        Ok(())
    }

    /// Processed, in the dead letters, discarded from them, or none of this subscriber's business.
    pub(crate) fn is_accounted(&self, subscriber: usize, offset: Offset) -> bool {
        let event = &self.reference.events[&offset];
        let name = self.names[subscriber].as_str();
        let key = (name.to_owned(), event.subject());
        let is_dead = self.reference.dead.get(&key).is_some_and(|sequence| sequence.contains(&offset));
        !event.matches(subscriber)
            || event.is_denied(name)
            || is_dead
            || self.truth.seen.contains(&(subscriber, offset))
            || self.reference.spent.contains(&(name.to_owned(), offset))
            || self.reference.discarded.contains(&(key.0, offset))
    }

    /// Nothing that was acknowledged to the source may be missing after a crash.
    pub(crate) fn check_source(&self) -> Result<(), String> {
        let (acknowledged, stored) = (self.upstream.acknowledged(), self.reference.progress);
        if acknowledged > stored {
            return Err(format!("the source was told {acknowledged}, the log holds {stored}"));
        }
        Ok(())
    }

    /// No subscriber is sent more than its limit allows, by its lane and its replays together.
    fn check_rates(&self) -> Result<(), String> {
        let most = self.options.rate as usize;
        for (subscriber, starts) in self.truth.starts.iter().filter(|_| most > 0) {
            // What started before was checked before; one step starts no more than a few.
            let recent = &starts[starts.len().saturating_sub(64)..];
            let is_kept = |window: &[Moment]| window[most].since(window[0]) >= RATE_WINDOW;
            if !recent.windows(most + 1).all(is_kept) {
                return Err(format!("s{subscriber} was sent more than {most} requests in {RATE_WINDOW:?}"));
            }
        }
        Ok(())
    }

    /// Memory is bounded whatever fails.
    pub(crate) fn check_bounds(&self) -> Result<(), String> {
        self.check_rates()?;
        let redriven = REDRIVE_ITEMS_MAX * REDRIVES_MAX;
        let (mut bytes, mut lanes) = (0, 0);
        for (id, lane) in self.dispatch.lanes() {
            if lane.items() > self.options.window_items as usize + AHEAD_ITEMS_MAX + redriven {
                return Err(format!("lane {} holds {} events", id.0, lane.items()));
            }
            if lane.in_flight() > self.options.in_flight_max as usize {
                return Err(format!("lane {} has {} attempts in flight", id.0, lane.in_flight()));
            }
            bytes += lane.bytes();
            lanes += 1;
        }
        let redriven_bytes = self.reference.dead.len() * 4 * EVENT_BYTES_MAX;
        if bytes > self.options.bytes_max as usize + lanes * EVENT_BYTES_MAX + redriven_bytes {
            return Err(format!("all lanes together hold {bytes} bytes"));
        }
        if self.settlement.open_count() > settle::WINDOW {
            return Err("the settlement window is too large".to_owned());
        }
        Ok(())
    }
}
