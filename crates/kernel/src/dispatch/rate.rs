//! How much may a subscriber be sent, whatever lane sends it: an operator's buckets, windows and budgets.
//!
//! A limit is a *meter* (how much, how fast it comes back) and a *tariff* (what a request and an event cost),
//! so that a limit on requests, on events and on cost are one machine. All limits hold at once. A spent cost
//! is spent, whatever the answer. How many requests are in flight is the lane's own count; a wait that the
//! subscriber asks for is [`super::pace`]'s.

use std::time::Duration;

use writ_model::taxonomy::ChangeType;
use writ_model::time::Moment;

mod meter;

#[cfg(test)]
mod tests;

use meter::Gauge;
pub use meter::Meter;

/// At most so many limits per subscriber: each is looked at before every request.
pub const LIMITS_MAX: usize = 8;

/// How many change types there are.
const CHANGE_TYPES: usize = ChangeType::ALL.len();

/// What a request costs: its own price and that of each event in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    request: u32,
    events: [u32; CHANGE_TYPES],
}

impl Tariff {
    /// Counts requests: one each, whatever is in them.
    pub fn requests() -> Self {
        Self::of(1, 0)
    }

    /// Counts events.
    pub fn events() -> Self {
        Self::of(0, 1)
    }

    /// A price for the request and one for each event.
    pub fn of(request: u32, event: u32) -> Self {
        Self { request, events: [event; CHANGE_TYPES] }
    }

    /// Another price for events of this type.
    #[must_use]
    pub fn but(mut self, change_type: ChangeType, price: u32) -> Self {
        self.events[change_type as usize] = price;
        self
    }

    fn event(&self, change_type: ChangeType) -> u64 {
        u64::from(self.events[change_type as usize])
    }

    fn alone(&self, change_type: ChangeType) -> u64 {
        u64::from(self.request) + self.event(change_type)
    }

    fn dearest(&self) -> u64 {
        u64::from(self.request) + u64::from(self.events.iter().copied().max().unwrap_or_default())
    }
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// How much, and how fast it comes back.
    pub meter: Meter,
    /// What is counted.
    pub tariff: Tariff,
}

/// All limits of one subscriber; none means as fast as the lane can.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// All of them hold; at most [`LIMITS_MAX`] are looked at.
    pub limits: Vec<Limit>,
}

/// Why a limit cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// It allows nothing, or nothing comes back.
    #[error("it allows nothing")]
    Nothing,
    /// A single event costs more than there ever is.
    #[error("one request costs {cost}, and there are never more than {most}")]
    TooDear {
        /// What the dearest request with one event costs.
        cost: u64,
        /// What the meter holds when it is full.
        most: u64,
    },
}

impl Limit {
    /// Whether every event can be sent under this limit at some time.
    pub fn check(&self) -> Result<(), Unkept> {
        if !self.meter.gives() {
            return Err(Unkept::Nothing);
        }
        let (cost, most) = (self.tariff.dearest(), self.meter.most());
        if cost > most { Err(Unkept::TooDear { cost, most }) } else { Ok(()) }
    }
}

#[derive(Debug, Clone)]
struct Metered {
    tariff: Tariff,
    most: u64,
    gauge: Gauge,
    /// What requests cost that are sure to start, and have not.
    reserved: u64,
}

impl Metered {
    /// A request that costs more than there ever is waits for all there is, rather than for ever.
    fn alone(&self, change_type: ChangeType) -> u64 {
        self.tariff.alone(change_type).min(self.most)
    }
}

/// What one subscriber was sent, against its limits. Shared by its live lane and its replays.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    limits: Vec<Metered>,
}

/// What the limits leave for one request at one moment.
#[derive(Debug)]
pub struct Purse<'a> {
    rate: &'a Rate,
    left: [u64; LIMITS_MAX],
    spent: Spent,
    is_fresh: bool,
}

/// What one request costs, by limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent([u64; LIMITS_MAX]);

impl Rate {
    /// Nothing was sent yet. Buckets begin empty: a restart grants no second burst.
    pub fn new(policy: &Policy, now: Moment) -> Self {
        let metered = |limit: &Limit| Metered {
            tariff: limit.tariff.clone(),
            most: limit.meter.most(),
            gauge: Gauge::new(&limit.meter, now),
            reserved: 0,
        };
        Self { limits: policy.limits.iter().take(LIMITS_MAX).map(metered).collect() }
    }

    /// Whether nothing limits the subscriber.
    pub fn is_unlimited(&self) -> bool {
        self.limits.is_empty()
    }

    /// When a request whose first event is of this type may start; `None`: now.
    pub fn deadline(&self, now: Moment, first: ChangeType) -> Option<Moment> {
        let waits = self
            .limits
            .iter()
            .filter_map(|limit| limit.gauge.deadline(now, limit.alone(first) + limit.reserved));
        waits.max()
    }

    /// What may go into a request now.
    pub fn purse(&self, now: Moment) -> Purse<'_> {
        let mut left = [0; LIMITS_MAX];
        for (left, limit) in left.iter_mut().zip(&self.limits) {
            *left = limit.gauge.left(now).saturating_sub(limit.reserved);
        }
        Purse { rate: self, left, spent: Spent([0; LIMITS_MAX]), is_fresh: true }
    }

    /// A request will start later; until it does, or is released, nobody else may spend what it costs.
    pub fn reserve(&mut self, spent: Spent) {
        for (limit, amount) in self.limits.iter_mut().zip(spent.0) {
            limit.reserved += amount;
        }
    }

    /// It starts now, or will not.
    pub fn release(&mut self, spent: Spent) {
        for (limit, amount) in self.limits.iter_mut().zip(spent.0) {
            limit.reserved = limit.reserved.saturating_sub(amount);
        }
    }

    /// A request started.
    pub fn spend(&mut self, now: Moment, spent: Spent) {
        for (limit, amount) in self.limits.iter_mut().zip(spent.0) {
            limit.gauge.spend(now, amount);
        }
    }
}

impl Purse<'_> {
    /// Puts one more event into the request, if every limit leaves room for it.
    pub fn take(&mut self, change_type: ChangeType) -> bool {
        let price = |limit: &Metered| {
            if self.is_fresh { limit.alone(change_type) } else { limit.tariff.event(change_type) }
        };
        let limits = &self.rate.limits;
        if limits.iter().zip(self.left).any(|(limit, left)| price(limit) > left) {
            return false;
        }
        for (at, limit) in limits.iter().enumerate() {
            let price = price(limit);
            self.left[at] -= price;
            self.spent.0[at] += price;
        }
        self.is_fresh = false;
        true
    }

    /// What the request costs.
    pub fn spent(self) -> Spent {
        self.spent
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX).max(1)
}
