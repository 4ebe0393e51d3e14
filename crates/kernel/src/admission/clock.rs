//! The hybrid logical clock of one node (Kulkarni, Demirbas, Madappa, Avva, Leone 2014): never goes back,
//! stays near the wall clock, and orders what one node saw after another.

use std::time::Duration;

use writ_model::id::Region;
use writ_model::lineage::Lamport;
use writ_model::time::{Hlc, Timestamp};

/// How far another node's reading may be ahead of this node's wall clock before it is refused.
pub const DRIFT_MAX: Duration = Duration::from_secs(60);

/// Draws [`Hlc`] values. Each is greater than all that were drawn or received before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    last: Hlc,
    drift_max: Duration,
}

/// A value could not be drawn. The clock is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The next value is above the persisted ceiling: persist one of at least this and ask again.
    #[error("the clock reached its persisted ceiling; persist one of at least {needed} ms")]
    Ceiling {
        /// Milliseconds since the Unix epoch.
        needed: u64,
    },
    /// A received value is too far ahead of this node's wall clock.
    #[error("node {node:04x} is {ahead_ms} ms ahead of this node's clock; check both clocks")]
    Drift {
        /// Who drew it.
        node: u16,
        /// How far.
        ahead_ms: u64,
    },
}

/// The number under which a region's clock is told from others': of its name (FNV-1a, folded to 16 bits), so that
/// nobody has to give numbers out. Zero is a store without a region. Two regions of one number would still order
/// what each saw of the other; only a tie between them would be one.
pub fn node(region: Option<&Region>) -> u16 {
    let Some(region) = region else { return 0 };
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = region.as_str().bytes().fold(0x811c_9dc5, step);
    let folded = (hash >> 16 ^ hash & 0xffff) as u16;
    folded.max(1)
}

/// The next logical clock value (Lamport 1978): greater than the last one and than what a producer claims.
pub fn count(last: Lamport, claimed: Option<Lamport>) -> Lamport {
    Lamport(last.max(claimed.unwrap_or_default()).0.saturating_add(1))
}

impl Clock {
    /// A clock that starts above `floor`, milliseconds since the Unix epoch: the ceiling that an earlier run
    /// persisted, or the largest value in its log. Zero for a first run.
    pub fn new(node: u16, floor: u64, drift_max: Duration) -> Self {
        Self { last: Hlc { millis: floor, counter: u32::MAX, node }, drift_max }
    }

    /// The next value, for an event of this node. `ceiling` is in milliseconds and durable: no value above it
    /// is drawn, so that a restart above the ceiling cannot repeat one. A wall clock that went back only
    /// raises the counter; a full counter carries into the milliseconds.
    pub fn tick(&mut self, wall: Timestamp, ceiling: u64) -> Result<Hlc, ClockError> {
        self.advance(millis(wall).max(self.last.millis), None, ceiling)
    }

    /// The next value after one from another node was received: greater than it and than all before.
    pub fn receive(&mut self, remote: Hlc, wall: Timestamp, ceiling: u64) -> Result<Hlc, ClockError> {
        let ahead_ms = remote.millis.saturating_sub(millis(wall));
        if u128::from(ahead_ms) > self.drift_max.as_millis() {
            return Err(ClockError::Drift { node: remote.node, ahead_ms });
        }
        let physical = millis(wall).max(self.last.millis).max(remote.millis);
        self.advance(physical, Some(remote), ceiling)
    }

    /// The largest value so far: a clock that starts above it repeats none. Milliseconds since the Unix epoch.
    pub fn floor(&self) -> u64 {
        self.last.millis
    }

    /// How far the clock is ahead of the wall clock: what a wall clock that was once wrong costs.
    pub fn ahead_of(&self, wall: Timestamp) -> Duration {
        Duration::from_millis(self.last.millis.saturating_sub(millis(wall)))
    }

    fn advance(&mut self, physical: u64, remote: Option<Hlc>, ceiling: u64) -> Result<Hlc, ClockError> {
        let of = |reading: Hlc| (reading.millis == physical).then_some(reading.counter);
        let highest = of(self.last).max(remote.and_then(of));
        let (millis, counter) = match highest.map(|counter| counter.checked_add(1)) {
            None => (physical, 0),
            Some(Some(counter)) => (physical, counter),
            Some(None) => (physical.saturating_add(1), 0),
        };
        if millis > ceiling {
            return Err(ClockError::Ceiling { needed: millis });
        }
        self.last = Hlc { millis, counter, node: self.last.node };
        Ok(self.last)
    }
}

fn millis(wall: Timestamp) -> u64 {
    u64::try_from(wall.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPEN: u64 = u64::MAX;

    fn wall(millis: i64) -> Timestamp {
        Timestamp(millis * 1000)
    }

    #[test]
    fn a_wall_clock_that_goes_back_only_raises_the_counter() {
        let mut clock = Clock::new(3, 0, DRIFT_MAX);
        assert_eq!(clock.tick(wall(500), OPEN), Ok(Hlc { millis: 500, counter: 0, node: 3 }));
        assert_eq!(clock.tick(wall(400), OPEN), Ok(Hlc { millis: 500, counter: 1, node: 3 }));
        assert_eq!(clock.ahead_of(wall(400)), Duration::from_millis(100));
    }

    #[test]
    fn a_restart_begins_above_everything_the_floor_allowed() {
        let mut clock = Clock::new(1, 1000, DRIFT_MAX);
        assert_eq!(clock.tick(wall(900), OPEN), Ok(Hlc { millis: 1001, counter: 0, node: 1 }));
    }

    #[test]
    fn a_full_counter_carries_into_the_milliseconds() {
        let mut clock = Clock::new(1, 0, DRIFT_MAX);
        let full = Hlc { millis: 700, counter: u32::MAX, node: 2 };
        assert_eq!(clock.receive(full, wall(700), OPEN), Ok(Hlc { millis: 701, counter: 0, node: 1 }));
    }

    #[test]
    fn nothing_is_drawn_above_the_ceiling() {
        let mut clock = Clock::new(1, 0, DRIFT_MAX);
        assert_eq!(clock.tick(wall(101), 100), Err(ClockError::Ceiling { needed: 101 }));
        assert_eq!(clock.tick(wall(101), 101), Ok(Hlc { millis: 101, counter: 0, node: 1 }));
    }

    #[test]
    fn a_node_that_is_far_ahead_is_refused_and_changes_nothing() {
        let mut clock = Clock::new(1, 0, Duration::from_millis(10));
        let far = Hlc { millis: 111, counter: 0, node: 9 };
        assert_eq!(clock.receive(far, wall(100), OPEN), Err(ClockError::Drift { node: 9, ahead_ms: 11 }));
        assert_eq!(clock.tick(wall(100), OPEN), Ok(Hlc { millis: 100, counter: 0, node: 1 }));
    }

    #[test]
    fn regions_have_numbers_of_their_own_and_none_is_that_of_a_store_without_one() {
        let of = |name| node(Some(&Region::new(name).expect("a name")));
        let mut all: Vec<u16> = ["eu", "us", "us-east", "us-west", "ap", "local"].map(of).into();
        all.push(node(None));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), all[0]), (count, 0));
    }

    #[test]
    fn the_logical_clock_passes_what_a_producer_claims() {
        assert_eq!(count(Lamport(4), None), Lamport(5));
        assert_eq!(count(Lamport(4), Some(Lamport(9))), Lamport(10));
        assert_eq!(count(Lamport(9), Some(Lamport(4))), Lamport(10));
    }

    proptest! {
        // The paper's theorems 1 to 3: order respects what was known, and the clock stays within the drift
        // bound of the largest wall clock seen.
        #[test]
        fn values_grow_and_stay_near_the_wall_clocks(steps in prop::collection::vec((0_usize..3, 0_i64..5000, 0_usize..3), 1..80)) {
            let drift = Duration::from_millis(1000);
            let mut clocks: Vec<Clock> = (0_u16..3).map(|node| Clock::new(node, 0, drift)).collect();
            let mut sent: Vec<Hlc> = Vec::new();
            let mut largest_wall = 0;
            for (node, at, from) in steps {
                let before = clocks[node].last;
                let drawn = match sent.len() {
                    0 => clocks[node].tick(wall(at), OPEN),
                    len if from == 0 => clocks[node].receive(sent[len - 1], wall(at), OPEN),
                    _ => clocks[node].tick(wall(at), OPEN),
                };
                match drawn {
                    Ok(value) => {
                        largest_wall = largest_wall.max(at.unsigned_abs());
                        prop_assert!((value.millis, value.counter) > (before.millis, before.counter) || before.counter == u32::MAX);
                        prop_assert!(value.millis >= at.unsigned_abs());
                        prop_assert!(value.millis <= largest_wall.max(1));
                        if from == 0 && let Some(last) = sent.last() {
                            prop_assert!((value.millis, value.counter) > (last.millis, last.counter));
                        }
                        sent.push(value);
                    }
                    Err(ClockError::Drift { ahead_ms, .. }) => prop_assert!(ahead_ms > 1000),
                    Err(ClockError::Ceiling { .. }) => prop_assert!(false, "there is no ceiling here"),
                }
            }
        }
    }
}
