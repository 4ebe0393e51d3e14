//! The parent of all lanes: it routes facts to them, keeps their deadlines, numbers attempts and divides
//! the byte bound. It takes no decision about deliveries.
//!
//! Work per fact touches one lane. The byte bound is divided in fixed shares, so that lanes whose
//! subscribers are dead cannot take the memory of those that live. A subscriber's rate is shared by its live
//! lane and its replays: the subscriber counts what it gets, not who sent it.

use std::collections::{BTreeMap, BTreeSet};

use writ_model::control::ControlFact;
use writ_model::delivery::AttemptId;
use writ_model::id::Epoch;
use writ_model::time::Moment;

use super::attempt::DeliveryKey;
use super::lane::{Config, Endowment, Lane, Recovered, State};
use super::rate::Rate;
use super::replay::{Order, REPLAYS_MAX, Refused};
use super::{Effect, Fact, LaneId, Note};
use crate::machine::{Machine, Now};

/// What all lanes share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seeds the jitter.
    pub seed: u64,
    /// Makes delivery ids.
    pub key: DeliveryKey,
    /// Stored bytes that all lanes may hold together. Each lane may exceed its share by one event, because
    /// a read gives at least one.
    pub bytes_max: usize,
    /// The owner's epoch, on every cursor.
    pub epoch: Epoch,
}

/// Attempts under way, over all lanes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts {
    last: u64,
    lane_of: BTreeMap<AttemptId, LaneId>,
}

impl Attempts {
    pub(super) fn open(&mut self, lane: LaneId) -> AttemptId {
        self.last += 1;
        self.lane_of.insert(AttemptId(self.last), lane);
        AttemptId(self.last)
    }
}

/// What a lane may touch while it takes one fact.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) attempts: &'a mut Attempts,
    pub(super) effects: &'a mut Vec<Effect>,
    /// What the lane's subscriber may be sent.
    pub(super) rate: &'a mut Rate,
    pub(super) is_draining: bool,
}

impl Turn<'_> {
    pub(super) fn journal(&mut self, fact: ControlFact) {
        self.effects.push(Effect::Journal(fact));
    }
}

/// All lanes.
#[derive(Debug, Clone)]
pub struct Dispatch {
    settings: Settings,
    configs: Vec<Config>,
    lanes: BTreeMap<LaneId, Lane>,
    /// By live lane.
    rates: Vec<Rate>,
    attempts: Attempts,
    deadlines: BTreeSet<(Moment, LaneId)>,
    deadline_of: BTreeMap<LaneId, Moment>,
    next_lane: u16,
    is_draining: bool,
}

impl Dispatch {
    /// Lanes get their numbers in the order given. Nothing happens before [`Dispatch::start`].
    pub fn new(lanes: Vec<Config>, settings: Settings) -> Self {
        let next_lane = u16::try_from(lanes.len()).expect("fewer than 65,536 subscribers are configured");
        Self {
            settings,
            configs: lanes,
            lanes: BTreeMap::new(),
            rates: Vec::new(),
            attempts: Attempts::default(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            next_lane,
            is_draining: false,
        }
    }

    /// Takes up what the journal holds, each lane's under its number, and lets the lanes read. A lane that
    /// is not named begins at the log's beginning.
    pub fn start(&mut self, now: Now, mut recovered: BTreeMap<LaneId, Recovered>, effects: &mut Vec<Effect>) {
        self.rates = self.configs.iter().map(|config| Rate::new(&config.rate, now.moment)).collect();
        for (id, config) in (0..).map(LaneId).zip(self.configs.clone()) {
            let recovered = recovered.remove(&id).unwrap_or_default();
            let lane = Lane::live(self.endowment(id, id), config, recovered);
            self.lanes.insert(id, lane);
            self.route(now, id, effects, |_, _| {});
        }
    }

    /// Starts or takes up a replay beside the live lane `base`; its lane's number is returned.
    pub fn replay(
        &mut self,
        now: Now,
        base: LaneId,
        order: Order,
        effects: &mut Vec<Effect>,
    ) -> Result<LaneId, Refused> {
        let config = self.configs.get(usize::from(base.0)).ok_or(Refused::UnknownLane)?.clone();
        let mut running = self.lanes.values().filter_map(|lane| lane.replay.as_ref());
        if order.progress.next >= order.given.to {
            return Err(Refused::EmptyRange);
        }
        if running.clone().count() >= REPLAYS_MAX {
            return Err(Refused::TooMany);
        }
        if running.any(|other| other.given.id == order.given.id) {
            return Err(Refused::SameName);
        }
        let id = LaneId(self.next_lane);
        self.next_lane = self.next_lane.checked_add(1).ok_or(Refused::TooMany)?;
        self.lanes.insert(id, Lane::replay(self.endowment(id, base), config, order));
        self.route(now, id, effects, |lane, turn| lane.tell(turn));
        Ok(id)
    }

    /// A lane, to be looked at.
    pub fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(&id)
    }

    /// All lanes, to be looked at.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.lanes.iter().map(|(id, lane)| (*id, lane))
    }

    /// Whether some attempt waits for a commit before it is sent.
    pub fn awaits_commit(&self) -> bool {
        self.lanes.values().any(Lane::awaits_commit)
    }

    /// From now on nothing is sent or read: attempts in flight end and are journaled. The drain itself is not
    /// journaled, for it must not outlive the process.
    pub fn drain(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.is_draining = true;
        let ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        ids.into_iter().for_each(|id| self.route(now, id, effects, |_, _| {}));
    }

    /// Tells at once what lanes have gathered: cursors and settlements. For an orderly stop.
    pub fn flush(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        for id in ids {
            self.route(now, id, effects, |lane, turn| {
                if !lane.ledger.is_empty() {
                    lane.tell(turn);
                }
            });
        }
    }

    fn endowment(&self, id: LaneId, base: LaneId) -> Endowment {
        let shares = self.configs.len() + REPLAYS_MAX;
        Endowment {
            id,
            base,
            epoch: self.settings.epoch,
            key: self.settings.key.clone(),
            seed: self.settings.seed ^ (u64::from(id.0) << 48),
            bytes_share: (self.settings.bytes_max / shares).max(1),
        }
    }

    fn route(
        &mut self,
        now: Now,
        id: LaneId,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Lane, &mut Turn<'_>),
    ) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(rate) = self.rates.get_mut(usize::from(lane.given.base.0)) else { return };
        let is_draining = self.is_draining;
        let mut turn = Turn { now, attempts: &mut self.attempts, effects, rate, is_draining };
        act(lane, &mut turn);
        lane.proceed(&mut turn);
        let deadline = lane.deadline(&turn);
        if lane.state() == State::Over {
            self.lanes.remove(&id);
            self.attempts.lane_of.retain(|_, lane| *lane != id);
            self.schedule(id, None);
        } else {
            self.schedule(id, deadline);
        }
    }

    /// An attempt that its lane is through with is not known any more.
    fn forget_ended(&mut self, attempt: AttemptId) {
        let Some(id) = self.attempts.lane_of.get(&attempt) else { return };
        if !self.lanes.get(id).is_some_and(|lane| lane.flies(attempt)) {
            self.attempts.lane_of.remove(&attempt);
        }
    }

    fn schedule(&mut self, id: LaneId, deadline: Option<Moment>) {
        if let Some(before) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(deadline) = deadline {
            self.deadline_of.insert(id, deadline);
            self.deadlines.insert((deadline, id));
        }
    }

    fn change(&mut self, now: Now, id: LaneId, state: State, effects: &mut Vec<Effect>) {
        self.route(now, id, effects, |lane, turn| lane.change(turn, state));
    }
}

impl Machine for Dispatch {
    type Fact = Fact;
    type Effect = Effect;

    fn on(&mut self, now: Now, fact: Fact, effects: &mut Vec<Effect>) {
        match fact {
            Fact::Offered(id, items, next) => {
                self.route(now, id, effects, |lane, turn| lane.offered(turn, items, next));
            }
            Fact::OfferedCold(id, items, next) => {
                self.route(now, id, effects, |lane, turn| lane.offered_cold(turn, items, next));
            }
            Fact::OfferedExpress(id, items, next) => {
                self.route(now, id, effects, |lane, turn| lane.offered_ahead(turn, items, next));
            }
            Fact::Answered(attempt, answer) => {
                let Some(id) = self.attempts.lane_of.get(&attempt).copied() else { return };
                self.route(now, id, effects, |lane, turn| lane.answered(turn, attempt, &answer));
                self.forget_ended(attempt);
            }
            Fact::Durable(attempt) => {
                let Some(id) = self.attempts.lane_of.get(&attempt).copied() else { return };
                self.route(now, id, effects, |lane, turn| lane.durable(turn, attempt));
            }
            Fact::Probed(attempt, presence) => {
                let Some(id) = self.attempts.lane_of.get(&attempt).copied() else { return };
                self.route(now, id, effects, |lane, turn| lane.probed(turn, attempt, presence));
                self.forget_ended(attempt);
            }
            Fact::Branches(id, found) => {
                self.route(now, id, effects, |lane, turn| lane.branches(turn, found));
            }
            Fact::Resolved(id, branch, resolution) => {
                self.route(now, id, effects, |lane, turn| lane.resolved(turn, branch, resolution));
                self.forget_ended(branch.attempt);
            }
            Fact::Pause(id) => self.change(now, id, State::Paused, effects),
            Fact::Resume(id) => {
                self.route(now, id, effects, |lane, turn| lane.note(turn, Note::Noticed));
                self.change(now, id, State::Running, effects);
            }
            Fact::Behind(id, to) => self.route(now, id, effects, |lane, turn| lane.fall_behind(turn, to)),
            Fact::Redrive(id, subject, actor) => {
                self.route(now, id, effects, |lane, _| lane.redrive(subject, actor));
            }
            Fact::DeadLettersRead(id, subject, items) => {
                self.route(now, id, effects, |lane, turn| lane.dead_letters_read(turn, subject, items));
            }
            Fact::Discard(id, subject, actor) => {
                self.route(now, id, effects, |lane, turn| lane.discard(turn, subject, actor));
            }
            Fact::Act(id, act, actor) => {
                self.route(now, id, effects, |lane, turn| lane.act(turn, act, actor))
            }
        }
    }

    fn on_time(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let past = (now.moment, LaneId(u16::MAX));
        let due: Vec<LaneId> = self.deadlines.range(..=past).map(|(_, id)| *id).collect();
        for id in due {
            self.route(now, id, effects, |_, _| {});
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
