//! The two meters: a bucket that refills evenly, and a window that forgets what is older than its length.
//! Whole numbers throughout, so that nothing drifts and no moment is missed.

use std::collections::VecDeque;
use std::time::Duration;

use writ_model::time::Moment;

use super::micros;

/// How much there is, and how it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meter {
    /// Holds at most `capacity`; `refill` comes back over every `per`, evenly. Over any stretch of time `t`,
    /// a restart included, at most `capacity + refill * t / per` is spent.
    Bucket {
        /// The largest burst.
        capacity: u32,
        /// What comes back in each period.
        refill: u32,
        /// The period.
        per: Duration,
    },
    /// At most `most` in any stretch of time of length `per`, wherever it begins: a receiver that counts in
    /// fixed windows sees no more in any of them, whichever clock it aligns them to. What was spent before a
    /// restart is not known.
    Window {
        /// What each window allows.
        most: u32,
        /// Its length.
        per: Duration,
    },
}

impl Meter {
    pub(super) fn gives(&self) -> bool {
        match self {
            Self::Bucket { capacity, refill, per } => *capacity > 0 && *refill > 0 && !per.is_zero(),
            Self::Window { most, per } => *most > 0 && !per.is_zero(),
        }
    }

    /// What there is at most at one moment.
    pub fn most(&self) -> u64 {
        match self {
            Self::Bucket { capacity, .. } => u64::from(*capacity),
            Self::Window { most, .. } => u64::from(*most),
        }
    }
}

/// A meter and what was spent of it.
#[derive(Debug, Clone)]
pub(super) enum Gauge {
    Bucket(Bucket),
    Window(Window),
}

impl Gauge {
    /// A meter that gives nothing is taken for one that gives as little as can be: it must not divide by
    /// zero, and configuration refuses it.
    pub(super) fn new(meter: &Meter, now: Moment) -> Self {
        match meter {
            Meter::Bucket { capacity, refill, per } => Self::Bucket(Bucket {
                full: u128::from((*capacity).max(1)) * u128::from(micros(*per)),
                refill: u128::from((*refill).max(1)),
                unit: u128::from(micros(*per)),
                level: 0,
                at: now,
            }),
            Meter::Window { most, per } => {
                let (most, length) = (u64::from((*most).max(1)), Duration::from_micros(micros(*per)));
                Self::Window(Window { most, length, grain: length / GRAINS, spans: VecDeque::new() })
            }
        }
    }

    /// What may be spent now.
    pub(super) fn left(&self, now: Moment) -> u64 {
        match self {
            Self::Bucket(bucket) => u64::try_from(bucket.level(now) / bucket.unit).unwrap_or(u64::MAX),
            Self::Window(window) => window.most.saturating_sub(window.used(now)),
        }
    }

    /// When so much may be spent; `None`: now. Always after `now`.
    pub(super) fn deadline(&self, now: Moment, cost: u64) -> Option<Moment> {
        match self {
            Self::Bucket(bucket) => bucket.deadline(now, cost),
            Self::Window(window) => window.deadline(now, cost),
        }
    }

    pub(super) fn spend(&mut self, now: Moment, cost: u64) {
        match self {
            Self::Bucket(bucket) => {
                bucket.level = bucket.level(now).saturating_sub(u128::from(cost) * bucket.unit);
                bucket.at = bucket.at.max(now);
            }
            Self::Window(window) => window.spend(now, cost),
        }
    }
}

/// Counted in shares of one: `unit` of them are one whole, and `refill` come back every microsecond.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    full: u128,
    refill: u128,
    unit: u128,
    level: u128,
    at: Moment,
}

impl Bucket {
    fn level(&self, now: Moment) -> u128 {
        let since = now.0.saturating_sub(self.at.0);
        (self.level + u128::from(since) * self.refill).min(self.full)
    }

    fn deadline(&self, now: Moment, cost: u64) -> Option<Moment> {
        let missing = (u128::from(cost) * self.unit).checked_sub(self.level(now)).filter(|much| *much > 0)?;
        let wait = u64::try_from(missing.div_ceil(self.refill)).unwrap_or(u64::MAX);
        Some(Moment(now.0.saturating_add(wait)))
    }
}

/// A window keeps at most so many spans, and one more: what is spent within one grain counts as spent at the
/// last moment of it, so a window gives back at most a 64th of its length too late, never too early.
const GRAINS: u32 = 64;

/// What was spent within one grain of time.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: Moment,
    last: Moment,
    amount: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Window {
    most: u64,
    length: Duration,
    grain: Duration,
    spans: VecDeque<Span>,
}

impl Window {
    fn over_at(&self, span: &Span) -> Moment {
        span.last.after(self.length)
    }

    fn used(&self, now: Moment) -> u64 {
        self.spans.iter().filter(|span| self.over_at(span) > now).map(|span| span.amount).sum()
    }

    fn deadline(&self, now: Moment, cost: u64) -> Option<Moment> {
        let mut used = self.used(now);
        if used + cost <= self.most {
            return None;
        }
        for span in self.spans.iter().filter(|span| self.over_at(span) > now) {
            used -= span.amount;
            if used + cost <= self.most {
                return Some(self.over_at(span));
            }
        }
        // Dearer than the window ever allows; whoever asks has cut the cost to what it allows.
        Some(now.after(self.length))
    }

    fn spend(&mut self, now: Moment, amount: u64) {
        if amount == 0 {
            return;
        }
        while self.spans.front().is_some_and(|span| self.over_at(span) <= now) {
            self.spans.pop_front();
        }
        match self.spans.back_mut() {
            Some(span) if now.since(span.first) < self.grain => {
                span.last = span.last.max(now);
                span.amount += amount;
            }
            Some(_) | None => self.spans.push_back(Span { first: now, last: now, amount }),
        }
    }
}
