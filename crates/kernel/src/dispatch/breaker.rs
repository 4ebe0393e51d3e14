//! Stops a lane from hammering a subscriber that is down, and from spending events' attempts on it.
//!
//! ```text
//!            failures in a row, or share of recent answers
//!   closed ------------------------------------------------> open
//!     ^                                                       | after `open_for`
//!     | `close_after` probes succeed                          v
//!     +---------------------------------------------------- half-open (at most `probes_max` in flight)
//!                                                             | one probe fails: open again
//! ```
//!
//! A lane starts half-open: after a restart it probes before it bursts, so that no state need be stored.

use std::time::Duration;

use writ_model::time::Moment;

/// A subscriber's breaker rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Opens after so many failed attempts without a success between them.
    pub failures_in_a_row: u32,
    /// Opens when this share of the last [`Policy::share_of`] attempts failed, in percent.
    pub failure_share: u32,
    /// How many attempts the share is taken of: at most 64; 0 turns the share off.
    pub share_of: u32,
    /// Stays open so long.
    pub open_for: Duration,
    /// At most so many probes in flight while half-open.
    pub probes_max: u32,
    /// Closes after so many successful probes.
    pub close_after: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            failure_share: 50,
            share_of: 32,
            open_for: Duration::from_secs(30),
            probes_max: 1,
            close_after: 1,
        }
    }
}

/// How an attempt was let through; handed back with its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The breaker was closed.
    Normal,
    /// The breaker was half-open; the number tells its probes from those of earlier times.
    Probe(u64),
}

/// What an attempt says about the subscriber, which is not what it says about the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It works (it may still have rejected the event).
    Works,
    /// It does not.
    Fails,
    /// Nothing (it asked for a wait).
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Moment },
    HalfOpen { in_flight: u32, succeeded: u32 },
}

/// The last answers, newest in the lowest bit; 1 is a failure.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    bits: u64,
    len: u32,
}

impl Recent {
    fn push(&mut self, failed: bool, of: u32) {
        let mask = if of >= 64 { u64::MAX } else { (1 << of) - 1 };
        self.bits = (self.bits << 1 | u64::from(failed)) & mask;
        self.len = (self.len + 1).min(of.min(64));
    }

    fn reaches(self, share: u32, of: u32) -> bool {
        of > 0 && self.len == of.min(64) && self.bits.count_ones() * 100 >= share * self.len
    }
}

/// One subscriber's breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    policy: Policy,
    state: State,
    in_a_row: u32,
    recent: Recent,
    round: u64,
}

const PROBING: State = State::HalfOpen { in_flight: 0, succeeded: 0 };

impl Breaker {
    /// Half-open. A policy without probes or closing would never close, so both are at least one.
    pub fn new(policy: Policy) -> Self {
        let policy =
            Policy { probes_max: policy.probes_max.max(1), close_after: policy.close_after.max(1), ..policy };
        Self { policy, state: PROBING, in_a_row: 0, recent: Recent::default(), round: 0 }
    }

    /// The state's word: `closed`, `open`, `half_open`.
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }

    /// When an open breaker turns half-open.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Takes the passing of time.
    pub fn on_time(&mut self, now: Moment) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.round += 1;
            self.state = PROBING;
        }
    }

    /// Whether [`Breaker::admit`] would let an attempt through.
    pub fn admits(&self) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { .. } => false,
            State::HalfOpen { in_flight, .. } => in_flight < self.policy.probes_max,
        }
    }

    /// Lets one attempt through, or not.
    pub fn admit(&mut self) -> Option<Pass> {
        if !self.admits() {
            return None;
        }
        let State::HalfOpen { in_flight, .. } = &mut self.state else { return Some(Pass::Normal) };
        *in_flight += 1;
        Some(Pass::Probe(self.round))
    }

    /// Whether a failure of an attempt under this pass is the event's to bear. A failed probe is not, nor
    /// any failure that comes in while the breaker is not closed.
    pub fn charges(&self, pass: Pass) -> bool {
        match pass {
            Pass::Normal => self.state == State::Closed,
            Pass::Probe(_) => false,
        }
    }

    /// Takes what one attempt showed.
    pub fn record(&mut self, now: Moment, pass: Pass, health: Health) {
        match (self.state, pass) {
            (State::Closed, Pass::Normal | Pass::Probe(_)) => self.record_closed(now, health),
            (State::HalfOpen { in_flight, succeeded }, Pass::Probe(round)) if round == self.round => {
                self.record_probe(now, health, in_flight.saturating_sub(1), succeeded);
            }
            // An answer from before the breaker opened says nothing about the subscriber now.
            (State::HalfOpen { .. } | State::Open { .. }, Pass::Normal | Pass::Probe(_)) => {}
        }
    }

    fn record_closed(&mut self, now: Moment, health: Health) {
        let failed = match health {
            Health::Works => false,
            Health::Fails => true,
            Health::Unknown => return,
        };
        self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
        self.recent.push(failed, self.policy.share_of);
        let row = self.in_a_row >= self.policy.failures_in_a_row.max(1);
        if failed && (row || self.recent.reaches(self.policy.failure_share, self.policy.share_of)) {
            self.open(now);
        }
    }

    fn record_probe(&mut self, now: Moment, health: Health, in_flight: u32, succeeded: u32) {
        match health {
            Health::Fails => self.open(now),
            Health::Unknown => self.state = State::HalfOpen { in_flight, succeeded },
            Health::Works if succeeded + 1 >= self.policy.close_after => self.close(),
            Health::Works => self.state = State::HalfOpen { in_flight, succeeded: succeeded + 1 },
        }
    }

    fn open(&mut self, now: Moment) {
        self.state = State::Open { until: now.after(self.policy.open_for) };
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.in_a_row = 0;
        self.recent = Recent::default();
    }
}

#[cfg(test)]
mod tests;
