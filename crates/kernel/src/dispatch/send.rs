//! What a lane does whenever something changed: wake what is due, send what may be sent, read on.

use writ_model::delivery::Answer;
use writ_model::id::Offset;
use writ_model::time::Moment;

use super::ahead::BYTES_SHARE;
use super::attempt::Delivery;
use super::backlog::Room;
use super::breaker::{Health, Pass};
use super::lane::{Lane, State};
use super::line::Line;
use super::parent::Turn;
use super::rate::Spent;
use super::{Attempt, Effect, Note};
use crate::gate::permit::PermitVerdict;

/// No single read asks for more events.
pub const READ_ITEMS_MAX: usize = 1024;

/// How a lane reads on.
struct Reading {
    /// So many events at most are read and not settled.
    window_items: usize,
    /// It reads when this share of the window is free.
    share: usize,
    /// One read asks for no more.
    items_max: usize,
}

/// Few, large reads.
const LIVE: Reading = Reading { window_items: usize::MAX, share: 8, items_max: READ_ITEMS_MAX };

/// What a replay reads is opened at once, for today's gate is asked about it. Memory keeps some thousand opened events:
/// of what is read further ahead, nothing would be left when it is sent. And opening many in one go would hold a core
/// for longer than live lanes may wait.
const REPLAY: Reading = Reading { window_items: 1024, share: 32, items_max: 64 };

/// One attempt under way: its lines, each with how many of its first events.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) members: Vec<(Line, usize)>,
    pub(super) pass: Pass,
    pub(super) sent_at: Moment,
    /// Its events are sent at most once.
    pub(super) is_once: bool,
    pub(super) stage: Stage,
}

/// How far a flight is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// The request is made; its answer ends it.
    Sent,
    /// The request waits until the cursor behind its events is durable.
    Staged(Attempt, Spent),
    /// The receiver is looked at; nothing is sent.
    Probing,
    /// The receiver prepares.
    Preparing,
    /// It has, and the decision is not durable yet.
    Deciding(Answer),
    /// It is told to commit.
    Committing(Answer),
}

impl Flight {
    pub(super) fn events(&self) -> usize {
        self.members.iter().map(|(_, count)| count).sum()
    }
}

impl Lane {
    /// Brings the lane to rest after a fact or the passing of time.
    pub(super) fn proceed(&mut self, turn: &mut Turn<'_>) {
        if !turn.is_draining {
            self.sweep(turn);
        }
        if self.state == State::Running && !turn.is_draining {
            self.wake(turn);
            self.start_redrives(turn);
            self.send(turn);
            self.read(turn);
            self.look_ahead(turn);
            self.end_if_done(turn);
        }
        match self.lateness.look(turn.now, self.position.oldest()) {
            Some(true) => self.note(turn, Note::Late),
            Some(false) => self.note(turn, Note::InTime),
            None => {}
        }
        if self.ledger.is_due(turn.now.moment) {
            self.tell(turn);
        }
    }

    /// When the lane has something to do although nothing happens.
    pub(super) fn deadline(&self, turn: &Turn<'_>) -> Option<Moment> {
        let waits = if self.state == State::Running && !turn.is_draining {
            let reads_on = self.catch_up.deadline(turn.now.moment).filter(|_| !self.is_reading);
            [self.breaker.deadline(), self.backlog.deadline(), self.send_deadline(turn), reads_on]
        } else {
            [None; 4]
        };
        let sweeps = self.sweep_deadline().filter(|_| !turn.is_draining);
        let late = self.lateness.deadline(turn.now, self.position.oldest());
        waits.into_iter().flatten().chain(late).chain(self.ledger.deadline()).chain(sweeps).min()
    }

    /// When a ready event may be sent, if nothing but time is in its way.
    fn send_deadline(&self, turn: &Turn<'_>) -> Option<Moment> {
        if !self.is_swept() || !self.has_place() || !self.breaker.admits() || !self.backlog.is_ready() {
            return None;
        }
        self.held_until(turn).or(self.linger_until)
    }

    /// Until when a wait or a rate holds back what is ready; `None`: it may go.
    fn held_until(&self, turn: &Turn<'_>) -> Option<Moment> {
        let now = turn.now.moment;
        let held = self.pace.deadline(now);
        if turn.rate.is_unlimited() {
            return held;
        }
        held.max(turn.rate.deadline(now, self.backlog.next_type()?))
    }

    fn wake(&mut self, turn: &mut Turn<'_>) {
        self.with_breaker(turn, |breaker, now| breaker.on_time(now));
        self.backlog.on_time(turn.now.moment);
    }

    /// Changes the breaker and notes it when its state is another one then.
    pub(super) fn with_breaker(
        &mut self,
        turn: &mut Turn<'_>,
        change: impl FnOnce(&mut super::breaker::Breaker, Moment),
    ) {
        let before = self.breaker.state();
        change(&mut self.breaker, turn.now.moment);
        let after = self.breaker.state();
        if before != after {
            self.note(turn, Note::Breaker(after));
        }
    }

    fn has_place(&self) -> bool {
        self.flights.len() < self.config.in_flight_max && self.flying < self.config.events_in_flight_max
    }

    fn room(&self) -> Room {
        let batching = &self.config.batching;
        Room {
            items: batching.items_max.max(1).min(self.config.events_in_flight_max - self.flying),
            bytes: batching.bytes_max,
            repeats: batching.subject_repeats,
        }
    }

    fn send(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.moment;
        while self.is_swept()
            && self.has_place()
            && self.backlog.is_ready()
            && self.held_until(turn).is_none()
            && !self.lingers(now)
        {
            let Some(pass) = self.breaker.admit() else { break };
            self.send_one(turn, pass);
        }
        if !self.backlog.is_ready() {
            self.linger_until = None;
        }
    }

    /// Whether it is better to wait for company.
    fn lingers(&mut self, now: Moment) -> bool {
        let linger = self.config.batching.linger;
        if linger.is_zero() || self.backlog.fills(self.room()) {
            return false;
        }
        *self.linger_until.get_or_insert(now.after(linger)) > now
    }

    fn send_one(&mut self, turn: &mut Turn<'_>, pass: Pass) {
        let mut purse = turn.rate.purse(turn.now.moment);
        let picked = self.backlog.pick(self.room(), &mut purse);
        let spent = purse.spent();
        let picked = self.without_expired(turn, picked);
        let members = self.without_outlived(turn, picked);
        if members.is_empty() {
            return self.with_breaker(turn, |breaker, now| breaker.record(now, pass, Health::Unknown));
        }
        if self.is_suspect(&members) {
            turn.rate.spend(turn.now.moment, spent);
            return self.probe(turn, members, pass);
        }
        let is_once = self.are_once(&members);
        if is_once {
            // It starts when it is confirmed; until then nobody else may use what it costs.
            turn.rate.reserve(spent);
        } else {
            turn.rate.spend(turn.now.moment, spent);
        }
        let deliveries: Vec<Delivery> =
            members.iter().flat_map(|(line, count)| self.deliveries(turn, *line, *count)).collect();
        debug_assert!(!deliveries.is_empty(), "a ready backlog gives at least one event");
        self.linger_until = None;
        self.pace.sent(turn.now.moment, deliveries.len());
        self.flying += deliveries.len();
        let (id, lane) = (turn.attempts.open(self.given.id), self.given.id);
        let settled_below = if self.replay.is_some() { Offset::ZERO } else { self.position.watermark() };
        let attempt = Attempt { id, lane, deliveries, settled_below };
        let (stage, effect) = if is_once {
            self.spend(turn, &members);
            (Stage::Staged(attempt, spent), Effect::Confirm(id))
        } else if self.coordinator.is_some() {
            (Stage::Preparing, Effect::Prepare(attempt))
        } else {
            (Stage::Sent, Effect::Send(attempt))
        };
        self.flights.insert(id, Flight { members, pass, sent_at: turn.now.moment, is_once, stage });
        turn.effects.push(effect);
    }

    fn deliveries(&mut self, turn: &Turn<'_>, line: Line, count: usize) -> Vec<Delivery> {
        let front = self.backlog.front_mut(line, count);
        front
            .filter_map(|queued| {
                let PermitVerdict::Granted(permit) = &queued.item.permit else { return None };
                queued.attempts += 1;
                queued.first_attempt.get_or_insert(turn.now.moment);
                Some(Delivery::new(permit.clone(), queued.delivery_id, queued.attempts))
            })
            .collect()
    }

    fn read(&mut self, turn: &mut Turn<'_>) {
        let window_bytes = self.bytes_max() - self.bytes_max() / BYTES_SHARE;
        let reading = if self.replay.is_some() { REPLAY } else { LIVE };
        let window_items = self.config.window_items.min(reading.window_items);
        let room_items = window_items.saturating_sub(self.backlog.items());
        let room_bytes = window_bytes.saturating_sub(self.backlog.bytes());
        let enough = room_items > 0
            && room_items >= window_items / reading.share
            && room_bytes > 0
            && room_bytes >= window_bytes / reading.share;
        let from = self.position.read_to();
        let ended = self.replay.as_ref().is_some_and(|order| from >= order.given.to);
        if self.is_reading || !enough || ended || !self.catch_up.permits(turn.now.moment) {
            return;
        }
        self.is_reading = true;
        turn.effects.push(Effect::Read {
            lane: self.given.id,
            from,
            items_max: room_items.min(reading.items_max),
            bytes_max: room_bytes,
        });
    }
}
