//! One subscriber's machine, or one replay's: composed of backlog, position, breaker, pace, ledger and
//! parked subjects. This file owns the parts and the facts that are not answers.
//!
//! What is sent when is in `send.rs`, what an answer does in `answer.rs`, dead letters in `parking.rs`.

use std::collections::BTreeMap;

use writ_model::control::{ControlFact, Cursor, LaneChange, SettledBatch};
use writ_model::delivery::{Acknowledgement, AttemptId, SettledAs};
use writ_model::guarantee::Guarantee;
use writ_model::id::{AnswerDigest, Epoch, Offset};
use writ_model::time::Moment;

use super::ahead::Ahead;
use super::attempt::DeliveryKey;
use super::backlog::{Backlog, Queued};
use super::breaker::Breaker;
use super::cursor::Position;
use super::dead_letter::Parked;
use super::lateness::Lateness;
use super::ledger::Ledger;
use super::line::Line;
use super::pace::Pace;
use super::parent::Turn;
use super::replay;
use super::retry::Jitter;
use super::send::Flight;
use super::two_phase::Coordinator;
use super::{Effect, Item, LaneId, Note, catch_up, void};
use crate::gate::permit::PermitVerdict;

pub use super::config::{Batching, Config, Recovered, State};

/// What the parent gives every lane.
#[derive(Debug, Clone)]
pub(super) struct Endowment {
    pub(super) id: LaneId,
    /// The live lane whose subscriber it is: its own id, unless it is a replay.
    pub(super) base: LaneId,
    pub(super) epoch: Epoch,
    pub(super) key: DeliveryKey,
    pub(super) seed: u64,
    pub(super) bytes_share: usize,
}

/// One lane.
#[derive(Debug, Clone)]
pub struct Lane {
    pub(super) given: Endowment,
    pub(super) config: Config,
    pub(super) replay: Option<replay::Order>,
    pub(super) state: State,
    pub(super) backlog: Backlog,
    pub(super) position: Position,
    pub(super) breaker: Breaker,
    pub(super) jitter: Jitter,
    pub(super) parked: Parked,
    pub(super) ledger: Ledger,
    pub(super) pace: Pace,
    /// Of its reading.
    pub(super) catch_up: Pace,
    pub(super) flights: BTreeMap<AttemptId, Flight>,
    /// Events in those.
    pub(super) flying: usize,
    pub(super) lateness: Lateness,
    pub(super) coordinator: Option<Coordinator>,
    pub(super) linger_until: Option<Moment>,
    pub(super) is_reading: bool,
    pub(super) ahead: Ahead,
    /// Lines of a lane without order that wait for attempts whose events they make void, each with its event.
    pub(super) held: Vec<(Line, Item)>,
    /// The log may have lost what is below.
    pub(super) floor: Offset,
    /// Events below this may have been attempted by an earlier run.
    attempted_below: Offset,
}

impl Lane {
    pub(super) fn live(given: Endowment, config: Config, recovered: Recovered) -> Self {
        let (watermark, done) = match recovered.cursor {
            Some(cursor) => (cursor.watermark, cursor.done),
            None => (recovered.begin, Vec::new()),
        };
        let mut lane = Self::at(given, config, Position::new(watermark, done));
        lane.state = State::recovered(recovered.state.as_deref());
        lane.parked = Parked::new(recovered.parked, &recovered.scattered);
        for subject in recovered.stuck {
            lane.parked.want(subject, void::ACTOR.to_owned());
        }
        lane.attempted_below = recovered.end;
        lane.coordinator = lane.config.is_two_phase.then(|| Coordinator::new(recovered.decided));
        lane
    }

    pub(super) fn replay(given: Endowment, base: Config, order: replay::Order) -> Self {
        let given = Endowment { key: given.key.reissuing(order.reissue()), ..given };
        let position = Position::new(order.progress.next, order.progress.done.clone());
        let mut lane = Self::at(given, base, position);
        lane.pace = Pace::new(order.progress.rate_per_second);
        lane.lateness = Lateness::new(None);
        lane.state = if order.is_paused() { State::Paused } else { State::Running };
        lane.replay = Some(order);
        lane
    }

    fn at(given: Endowment, config: Config, position: Position) -> Self {
        Self {
            breaker: Breaker::new(config.breaker.clone()),
            lateness: Lateness::new(config.settled_within),
            jitter: Jitter::new(given.seed),
            ledger: Ledger::new(config.cursor.clone(), position.watermark()),
            given,
            config,
            replay: None,
            state: State::Running,
            backlog: Backlog::default(),
            position,
            parked: Parked::default(),
            pace: Pace::default(),
            catch_up: Pace::default(),
            flights: BTreeMap::new(),
            flying: 0,
            coordinator: None,
            linger_until: None,
            is_reading: false,
            ahead: Ahead::default(),
            held: Vec::new(),
            floor: Offset::ZERO,
            attempted_below: Offset::ZERO,
        }
    }

    /// Events held in memory.
    pub fn items(&self) -> usize {
        self.backlog.items()
    }

    /// Their stored bytes.
    pub fn bytes(&self) -> usize {
        self.backlog.bytes()
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Events in them.
    pub fn events_in_flight(&self) -> usize {
        self.flying
    }

    pub(super) fn flies(&self, attempt: AttemptId) -> bool {
        self.flights.contains_key(&attempt)
    }

    /// Whether it runs.
    pub fn state(&self) -> State {
        self.state
    }

    /// The breaker's word.
    pub fn breaker(&self) -> &'static str {
        self.breaker.state()
    }

    /// Everything below this is settled.
    pub fn watermark(&self) -> Offset {
        self.position.watermark()
    }

    /// Subjects in the dead letters.
    pub fn parked_subjects(&self) -> usize {
        self.parked.count()
    }

    pub(super) fn note(&self, turn: &mut Turn<'_>, note: Note) {
        turn.effects.push(Effect::Note(self.given.id, note));
    }

    pub(super) fn offered(&mut self, turn: &mut Turn<'_>, items: Vec<Item>, next: Offset) {
        self.is_reading = false;
        if self.is_in_order(turn, &items) {
            self.take_stretch(turn, items, next);
        }
    }

    /// A replay has a rate of its own.
    pub(super) fn offered_cold(&mut self, turn: &mut Turn<'_>, items: Vec<Item>, next: Offset) {
        if self.replay.is_none() {
            self.catch_up.hold(turn.now.moment.after(catch_up::wait(&items)));
        }
        self.offered(turn, items, next);
    }

    /// Of what is not, nothing that follows may be told to anybody: the lane stops.
    pub(super) fn is_in_order(&mut self, turn: &mut Turn<'_>, items: &[Item]) -> bool {
        let is_sorted = items.is_sorted_by(|one, other| one.offset < other.offset);
        if !is_sorted {
            self.note(turn, Note::Disorder);
            self.change(turn, State::Paused);
        }
        is_sorted
    }

    /// Stored bytes that it may hold.
    pub(super) fn bytes_max(&self) -> usize {
        self.config.window_bytes.min(self.given.bytes_share)
    }

    fn take_stretch(&mut self, turn: &mut Turn<'_>, items: Vec<Item>, next: Offset) {
        let end = self.replay.as_ref().map_or(Offset(u64::MAX), |order| order.given.to);
        for item in items {
            if item.offset < end && self.position.open(item.offset, item.recorded_at) {
                self.take_in(turn, item);
            }
        }
        self.position.read_past(next.min(end));
        self.ledger.advanced(turn.now.moment, self.position.watermark());
    }

    pub(super) fn take_in(&mut self, turn: &mut Turn<'_>, item: Item) {
        if let PermitVerdict::Denied(denial) = item.permit {
            self.note_denied(item.offset, denial);
            return self.settle(turn, item.offset, SettledAs::Withheld, 0, None);
        }
        let order = self.config.order;
        let line = order.line(&item);
        let queued = self.queued(item, false);
        if queued.is_once && self.replay.is_some() {
            // A replay would be a second attempt.
            return self.settle(turn, queued.item.offset, SettledAs::Withheld, 0, None);
        }
        let item = void::is_voider(&queued.item).then(|| queued.item.clone());
        match self.parked.last(queued.item.subject_id).filter(|_| order.parks_later()) {
            Some(last) => self.join_dead_letters(turn, &queued, last),
            None => self.backlog.push(line, queued),
        }
        if let Some(item) = item {
            self.parked.passed_by(&item);
            self.make_void(turn, line, &item);
        }
    }

    /// An earlier run may have sent the event.
    pub(super) fn may_have_been_attempted(&self, offset: Offset) -> bool {
        offset < self.attempted_below
    }

    pub(super) fn queued(&self, item: Item, is_redriven: bool) -> Queued {
        let subscriber = &self.config.subscriber;
        let delivery_id =
            self.given.key.delivery_id(subscriber, &item.source, item.event_id, item.generation);
        let is_once = self.config.promises.of(item.change_type).is_once(item.operation);
        // Under new ids a replay repeats on purpose; under the same ones it must not, where one effect is promised.
        let is_exact = self.config.promises.of(item.change_type).guarantee == Guarantee::ExactlyOnce;
        let is_repeated = is_exact && self.replay.as_ref().is_some_and(|order| order.reissue() == 0);
        let may_have_arrived = is_redriven || is_repeated || self.may_have_been_attempted(item.offset);
        let is_suspect = self.config.probes && may_have_arrived && !is_once;
        let due = self.config.due.due(item.change_type, item.recorded_at);
        Queued {
            item,
            delivery_id,
            due,
            attempts: 0,
            charged: 0,
            first_attempt: None,
            not_before: None,
            is_redriven,
            is_suspect,
            is_once,
        }
    }

    /// One event is done at this lane; told with the next [`Lane::tell`].
    pub(super) fn settle(
        &mut self,
        turn: &mut Turn<'_>,
        offset: Offset,
        settled: SettledAs,
        attempts: u32,
        answer_sha256: Option<AnswerDigest>,
    ) {
        self.position.settle(offset);
        let acknowledgement = Acknowledgement { settled, at: turn.now.wall, attempts, answer_sha256 };
        if let Some(order) = &mut self.replay {
            match acknowledgement.settled {
                SettledAs::Acknowledged => order.progress.delivered += 1,
                SettledAs::Withheld => order.progress.withheld += 1,
                SettledAs::DeadLettered | SettledAs::Pending | SettledAs::Attempted => {
                    order.progress.failed += 1;
                }
            }
            self.ledger.touch(turn.now.moment);
        } else {
            self.ledger.push(turn.now.moment, offset, acknowledgement);
        }
    }

    /// Writes what was gathered: settlements first, so that the cursor never passes an untold one.
    pub(super) fn tell(&mut self, turn: &mut Turn<'_>) {
        let watermark = self.position.watermark();
        let items = self.ledger.take(watermark);
        let subscriber = self.config.subscriber.clone();
        if let Some(progress) = self.progress() {
            return self.tell_replay(turn, progress);
        }
        if !items.is_empty() {
            let batch = SettledBatch { subscriber: subscriber.clone(), items };
            turn.effects.push(Effect::Settled(self.given.id, batch));
        }
        let (epoch, done) = (self.given.epoch, self.position.done());
        turn.journal(ControlFact::Cursor(Cursor { subscriber, epoch, watermark, done }));
    }

    /// Changes whether the lane runs, and journals it.
    pub(super) fn change(&mut self, turn: &mut Turn<'_>, state: State) {
        if self.state == state {
            return;
        }
        if state == State::Running {
            self.note(turn, Note::Resumed);
        }
        self.state = state;
        if self.replay.is_some() {
            return self.tell(turn);
        }
        let subscriber = self.config.subscriber.clone();
        let state = state.as_str().to_owned();
        turn.journal(ControlFact::Lane(LaneChange { subscriber, state, at: turn.now.wall }));
    }
}
