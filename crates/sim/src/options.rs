//! Swarm testing: each seed draws its own world, with some faults and operations turned off altogether, so
//! that rare combinations get long runs of their own (Groce et al. 2012).

use std::time::Duration;

use writ_kernel::dispatch::lane::{Batching, Config};
use writ_kernel::dispatch::line::Order;
use writ_kernel::dispatch::{breaker, ledger, rate, retry};
use writ_kernel::guarantee::Promises;
use writ_model::guarantee::{Guarantee, Promise};
use writ_model::id::SubscriberName;
use writ_model::taxonomy::ChangeType;

use crate::chance::Chance;
use crate::workload::{Operation, WEIGHTS};

/// Order per subject is what most subscribers have.
const ORDERS: [Order; 4] = [Order::Subject, Order::Subject, Order::Partition, Order::Unordered];

/// The length of the window that limits requests.
pub(crate) const RATE_WINDOW: Duration = Duration::from_millis(100);

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
    pub(crate) weights: Vec<(Operation, u64)>,
}

impl Options {
    /// The seed's choice.
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5eed);
        let weights = WEIGHTS.iter().map(|(operation, weight, is_optional)| {
            let off = *is_optional && chance.percent(30);
            (*operation, if off { 0 } else { *weight })
        });
        let weights = weights.collect();
        Self {
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
            weights,
        }
    }

    fn limit(&self) -> Option<rate::Limit> {
        let most = u32::try_from(self.rate).ok().filter(|most| *most > 0)?;
        let meter = rate::Meter::Window { most, per: RATE_WINDOW };
        Some(rate::Limit { meter, tariff: rate::Tariff::requests() })
    }

    /// Whether an event is sent at most once.
    pub(crate) fn is_once(
        &self,
        change_type: ChangeType,
        operation: writ_model::taxonomy::Operation,
    ) -> bool {
        self.promises().of(change_type).is_once(operation)
    }

    fn promises(&self) -> Promises {
        let once = Promise { guarantee: Guarantee::AtMostOnce, mechanism: None };
        let promised = [ChangeType::Email, ChangeType::Phone].into_iter().filter(|_| self.once);
        promised.fold(Promises::default(), |promises, each| promises.with(each, once))
    }

    pub(crate) fn config(&self, subscriber: &SubscriberName) -> Config {
        Config {
            order: self.order,
            in_flight_max: self.in_flight_max as usize,
            window_items: self.window_items as usize,
            window_bytes: self.bytes_max as usize,
            batching: Batching {
                items_max: self.batch_items as usize,
                bytes_max: 2_000,
                linger: Duration::from_millis(self.linger_ms),
                subject_repeats: self.subject_repeats,
            },
            rate: rate::Policy { limits: self.limit().into_iter().collect() },
            retry: retry::Policy {
                base: Duration::from_millis(20),
                cap: Duration::from_secs(5),
                attempts_max: self.attempts_max as u32,
                age_max: Duration::from_secs(60),
                retry_after_max: Duration::from_secs(10),
            },
            breaker: breaker::Policy {
                failures_in_a_row: self.failures_in_a_row as u32,
                open_for: Duration::from_secs(2),
                ..breaker::Policy::default()
            },
            cursor: ledger::Policy {
                settlements_max: self.settlements_max as usize,
                delay_max: Duration::from_millis(20),
            },
            promises: self.promises(),
            expires_after: self.once.then(|| Duration::from_millis(self.expires_ms)),
            ..Config::new(subscriber.clone())
        }
    }
}
