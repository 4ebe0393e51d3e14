//! Swarm testing: each seed draws its own world, with some faults and operations turned off altogether, so
//! that rare combinations get long runs of their own (Groce et al. 2012).

use std::time::Duration;

use writ_kernel::dispatch::line::Order;
use writ_kernel::guarantee::Promises;
use writ_kernel::retention::Class;
use writ_model::guarantee::{Guarantee, Promise};
use writ_model::taxonomy::ChangeType;

use crate::chance::Chance;
use crate::inbox::Kind;
use crate::workload::{LATER_WEIGHTS, Operation, WEIGHTS};

/// Order per subject is what most subscribers have.
const ORDERS: [Order; 4] = [Order::Subject, Order::Subject, Order::Partition, Order::Unordered];

/// What a subscriber is to the engine, in worlds where they differ.
const KINDS: [Kind; 6] =
    [Kind::Plain, Kind::Keyed, Kind::Transactional, Kind::TwoPhase, Kind::TwoPhase, Kind::Probed];

/// How long a receiver that drops known ids remembers them: for longer than an event is sent again (6 s) and the last
/// request may be on its way (30 s), as `docs/reference/delivery.md` asks for.
pub(crate) const KEYS_KEEP: Duration = Duration::from_secs(40);

/// How long an inbox keeps a row whatever the lane has settled: longer than a cursor may lag.
pub(crate) const INBOX_KEEPS: Duration = Duration::from_secs(5);

/// The world that one seed draws.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many subscribers.
    pub subscribers: u64,
    /// How many subjects.
    pub subjects: u64,
    /// How many operations before the faults end.
    pub operations: u64,
    /// What waits for what at every subscriber.
    pub order: Order,
    /// Requests in flight per lane.
    pub in_flight_max: u64,
    /// Events in a lane.
    pub window_items: u64,
    /// Bytes in all lanes.
    pub bytes_max: u64,
    /// Events per request.
    pub batch_items: u64,
    /// How long a batch waits for company.
    pub linger_ms: u64,
    /// Whether a request may hold several events of one subject.
    pub subject_repeats: bool,
    /// Attempts before an event is given up.
    pub attempts_max: u64,
    /// Failures that open the breaker.
    pub failures_in_a_row: u64,
    /// Settlements between two cursors.
    pub settlements_max: u64,
    /// One event in so many is refused by a subscriber; 0 for none.
    pub poison: u64,
    /// Milliseconds until an event is final whatever happens.
    pub settle_ms: u64,
    /// Percent of attempts that a subscriber answers badly although its mood is good.
    pub noise: u64,
    /// Whether the source shows rows as they were before a change.
    pub has_before: bool,
    /// Percent of unchanged columns that the source does not show.
    pub unseen: u64,
    /// Percent of values that fit no schema or are card numbers.
    pub bad: u64,
    /// Percent of events that policy holds; as many are refused.
    pub held: u64,
    /// Percent of events on which the policy engine does not answer in time.
    pub silence: u64,
    /// Whether additions of e-mail addresses and phone numbers are sent at most once.
    pub once: bool,
    /// Milliseconds after which such an event is not sent any more.
    pub expires_ms: u64,
    /// Requests that a subscriber is sent within any 100 ms; 0 for no limit.
    pub rate: u64,
    /// Milliseconds that events are kept in the log; 0 for ever.
    pub keep_ms: u64,
    /// Whether subscribers answer in words of their own, which their rules translate.
    pub rules: bool,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) weights: Vec<(Operation, u64)>,
}

impl Options {
    /// The seed's choice.
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let weights = weights(&WEIGHTS, &mut chance);
        let mut options = Self {
            subscribers: chance.between(1, 4),
            subjects: chance.between(1, 10),
            operations: chance.between(50, 190),
            in_flight_max: chance.between(1, 4),
            window_items: chance.between(2, 40),
            bytes_max: chance.between(4_000, 60_000),
            batch_items: chance.between(1, 8),
            linger_ms: chance.between(0, 1) * chance.between(0, 50),
            subject_repeats: chance.percent(50),
            attempts_max: chance.between(1, 6),
            failures_in_a_row: chance.between(1, 6),
            settlements_max: chance.between(1, 20),
            poison: chance.between(0, 1) * chance.between(3, 30),
            settle_ms: chance.between(100, 100_000),
            noise: chance.between(0, 1) * chance.between(0, 40),
            has_before: chance.percent(50),
            unseen: chance.between(0, 1) * chance.between(1, 60),
            bad: chance.between(0, 1) * chance.between(1, 10),
            held: chance.between(0, 1) * chance.between(1, 10),
            silence: chance.between(0, 1) * chance.between(1, 10),
            once: chance.percent(40),
            expires_ms: chance.between(200, 100_000),
            // Drawn last, so that committed seeds draw the rest as they did.
            order: *chance.pick(&ORDERS).unwrap_or(&Order::Subject),
            rate: chance.between(0, 1) * chance.between(1, 5),
            keep_ms: chance.between(0, 1) * chance.between(50, 2_000),
            rules: chance.percent(30),
            kinds: Vec::new(),
            weights,
        };
        if chance.percent(50) {
            options.kinds = (0..options.subscribers).map(|_| kind(&mut chance)).collect();
        }
        options.weights.extend(self::weights(&LATER_WEIGHTS, &mut chance));
        options
    }

    pub(crate) fn kind(&self, subscriber: usize) -> Kind {
        self.kinds.get(subscriber).copied().unwrap_or(Kind::Plain)
    }

    /// How long an event is kept: e-mail addresses twice as long as the rest.
    pub(crate) fn keeps(&self, change_type: ChangeType) -> Duration {
        let times = if change_type == ChangeType::Email { 2 } else { 1 };
        Duration::from_millis(self.keep_ms * times)
    }

    pub(crate) fn classes(&self) -> Vec<Class> {
        let class = |name: &str, keep, change_types: &[ChangeType]| {
            let change_types = change_types.iter().copied().collect();
            Class { name: name.to_owned(), keep, change_types, priority: None }
        };
        let mail = class("mail", self.keeps(ChangeType::Email), &[ChangeType::Email]);
        vec![class("all", self.keeps(ChangeType::Address), &[]), mail]
    }

    /// Whether an event is sent at most once.
    pub(crate) fn is_once(
        &self,
        subscriber: usize,
        change_type: ChangeType,
        operation: writ_model::taxonomy::Operation,
    ) -> bool {
        self.promises(subscriber).of(change_type).is_once(operation)
    }

    pub(crate) fn promises(&self, subscriber: usize) -> Promises {
        let mechanism = self.kind(subscriber).mechanism();
        let (guarantee, promised) = match mechanism {
            Some(_) => (Guarantee::ExactlyOnce, ChangeType::ALL),
            None if self.once => (Guarantee::AtMostOnce, &[ChangeType::Email, ChangeType::Phone][..]),
            None => return Promises::default(),
        };
        let promise = Promise { guarantee, mechanism };
        promised.iter().fold(Promises::default(), |promises, each| promises.with(*each, promise))
    }
}

fn kind(chance: &mut Chance) -> Kind {
    chance.pick(&KINDS).copied().unwrap_or(Kind::Plain)
}

/// Each operation with its weight, none where the swarm goes without it.
fn weights(all: &[(Operation, u64, bool)], chance: &mut Chance) -> Vec<(Operation, u64)> {
    let weight = |(operation, weight, is_optional): &(Operation, u64, bool)| {
        let is_off = *is_optional && chance.percent(30);
        (*operation, if is_off { 0 } else { *weight })
    };
    all.iter().map(weight).collect()
}
