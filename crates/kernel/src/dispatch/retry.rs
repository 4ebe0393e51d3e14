//! When is an event tried again, and when has it been tried enough? The only retry in Writ.
//!
//! Exponential with full jitter: the wait is drawn evenly between zero and the exponential ceiling, so that
//! events which failed together do not come back together. Whether an answer retries at all is
//! [`super::classify`]'s word.

use std::time::Duration;

use writ_model::time::Moment;

/// A subscriber's retry rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The ceiling of the first wait; it doubles with every charged attempt.
    pub base: Duration,
    /// The highest ceiling.
    pub cap: Duration,
    /// An event is exhausted after so many charged attempts.
    pub attempts_max: u32,
    /// An event is exhausted when a failure comes so long after its first attempt in this run.
    pub age_max: Duration,
    /// A subscriber's `Retry-After` is obeyed up to this.
    pub retry_after_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(15 * 60),
            attempts_max: 16,
            age_max: Duration::from_secs(3 * 24 * 3600),
            retry_after_max: Duration::from_secs(6 * 3600),
        }
    }
}

impl Policy {
    /// The longest wait after so many charged attempts.
    pub fn ceiling(&self, charged: u32) -> Duration {
        let doublings = charged.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The longest time between an event's first attempt and its last one, where that is held to.
    pub fn repeats_within(&self) -> Duration {
        self.age_max.saturating_add(self.cap)
    }

    /// Whether an event with so many charged attempts, first tried at `first`, is not to be tried again.
    pub fn is_exhausted(&self, charged: u32, first: Moment, now: Moment) -> bool {
        charged >= self.attempts_max || now.since(first) >= self.age_max
    }
}

/// A seeded source of jitter (SplitMix64, Steele et al. 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same waits.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A wait drawn evenly between zero and `ceiling`, both included.
    pub fn below(&mut self, ceiling: Duration) -> Duration {
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.draw() % micros.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts_max: 5,
            age_max: Duration::from_secs(3600),
            retry_after_max: Duration::from_secs(60),
        }
    }

    #[test]
    fn ceilings_double_up_to_the_cap_and_never_overflow() {
        let seconds: Vec<u64> = (0..10).map(|n| policy().ceiling(n).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(policy().ceiling(u32::MAX), policy().cap);
        let endless = Policy { base: Duration::MAX, cap: Duration::MAX, ..policy() };
        assert_eq!(endless.ceiling(u32::MAX), Duration::MAX);
    }

    #[test]
    fn every_backoff_is_jittered_over_its_whole_range() {
        for charged in 1..=8 {
            let ceiling = policy().ceiling(charged);
            let mut jitter = Jitter::new(u64::from(charged));
            let waits: Vec<Duration> = (0..1000).map(|_| jitter.below(ceiling)).collect();
            assert!(waits.iter().all(|w| *w <= ceiling));
            assert!(waits.iter().any(|w| *w < ceiling / 10));
            assert!(waits.iter().any(|w| *w > ceiling / 10 * 9));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..10).map(|_| jitter.below(Duration::from_secs(9))).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn in_a_small_space_exhaustion_is_exactly_attempts_or_age() {
        for attempts_max in 0..6 {
            for charged in 0..8 {
                for age_secs in 0..6 {
                    let policy = Policy { attempts_max, age_max: Duration::from_secs(3), ..policy() };
                    let now = Moment::default().after(Duration::from_secs(age_secs));
                    let expected = charged >= attempts_max || age_secs >= 3;
                    assert_eq!(policy.is_exhausted(charged, Moment::default(), now), expected);
                }
            }
        }
    }
}
