//! Numbers events in their slots, without gaps.

use std::collections::BTreeMap;

use writ_model::id::{Sequence, Slot};

/// The last number given in each slot. A number is given when the event goes into a commit. Numbers of a commit
/// that was refused were never seen by anybody: another sequencer begins from the log's tails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequencer {
    tails: BTreeMap<Slot, Sequence>,
}

impl Sequencer {
    /// Goes on from the log's tails; zero means that the slot has none.
    pub fn new(tail: impl Fn(Slot) -> Sequence) -> Self {
        let tails = (0..Slot::COUNT).map(|n| (Slot::new(n), tail(Slot::new(n))));
        Self { tails: tails.filter(|(_, tail)| *tail > Sequence::default()).collect() }
    }

    /// The next number of a slot, given.
    pub fn give(&mut self, slot: Slot) -> Sequence {
        let tail = self.tails.entry(slot).or_default();
        *tail = tail.next();
        *tail
    }

    /// The last number given; zero when none was.
    pub fn tail(&self, slot: Slot) -> Sequence {
        self.tails.get(&slot).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_from_the_tail_without_gaps_and_slots_do_not_share_them() {
        let mut sequencer = Sequencer::new(|slot| Sequence(if slot.number() == 7 { 41 } else { 0 }));
        let seven = Slot::new(7);
        assert_eq!((sequencer.give(seven), sequencer.give(seven)), (Sequence(42), Sequence(43)));
        assert_eq!(sequencer.give(Slot::new(8)), Sequence(1));
        assert_eq!(sequencer.tail(seven), Sequence(43));
    }
}
