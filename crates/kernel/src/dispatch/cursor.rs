//! A lane's position: everything below the watermark is settled, and above it the ranges in between the
//! events that are not.
//!
//! ```text
//!   offset    10   11   12   13   14   15   16   17
//!             ok   ok  open  ok   ok  open  ok    |
//!                       ^    \----/         \--/  ^
//!                watermark    done          done  read to
//! ```
//!
//! Kept as its complement, the open events, so that it is bounded by the lane's window however long one
//! subject fails. Offsets that did not match the filter, or are no events, count as settled once read past.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use writ_model::id::Offset;
use writ_model::time::Timestamp;

/// The position of one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Each with when it was admitted.
    open: BTreeMap<Offset, Timestamp>,
    read_to: Offset,
    /// Ranges that an earlier run settled, not yet read past by this one; inclusive, ascending.
    inherited: Vec<(Offset, Offset)>,
}

impl Position {
    /// At a watermark, with the ranges above it that are settled already.
    pub fn new(watermark: Offset, done: Vec<(Offset, Offset)>) -> Self {
        Self { open: BTreeMap::new(), read_to: watermark, inherited: done }
    }

    /// The next offset to read.
    pub fn read_to(&self) -> Offset {
        self.read_to
    }

    /// All offsets below this are settled.
    pub fn watermark(&self) -> Offset {
        self.open.first_key_value().map_or(self.read_to, |(offset, _)| *offset)
    }

    /// When the first event that is not settled was admitted.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.open.first_key_value().map(|(_, admitted)| *admitted)
    }

    /// How many events are read and not settled.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Whether an event below what was read has settled, or was settled by an earlier run.
    pub fn is_done(&self, offset: Offset) -> bool {
        let inherited = || self.inherited.iter().any(|(first, last)| *first <= offset && offset <= *last);
        (offset < self.read_to && !self.open.contains_key(&offset)) || inherited()
    }

    /// An event was read, admitted at this time. False when it needs no delivery: settled earlier, or read before.
    pub fn open(&mut self, offset: Offset, admitted: Timestamp) -> bool {
        if offset < self.read_to || self.is_done(offset) {
            return false;
        }
        match self.open.entry(offset) {
            Entry::Vacant(place) => {
                place.insert(admitted);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Everything below `next` has been offered. Never moves back.
    pub fn read_past(&mut self, next: Offset) {
        self.read_to = self.read_to.max(next);
        let read_to = self.read_to;
        self.inherited.retain(|(_, last)| *last >= read_to);
    }

    /// What is before an offset is not waited for any more.
    pub fn give_up_below(&mut self, offset: Offset) {
        self.open = self.open.split_off(&offset);
        self.read_past(offset);
    }

    /// An event settled. False when it was not open.
    pub fn settle(&mut self, offset: Offset) -> bool {
        self.open.remove(&offset).is_some()
    }

    /// The settled ranges above the watermark, inclusive, ascending and apart: at most one more than there
    /// are open events, and what is still inherited.
    pub fn done(&self) -> Vec<(Offset, Offset)> {
        let ends = self.open.keys().skip(1).copied().chain([self.read_to]);
        let between = self.open.keys().zip(ends).filter_map(|(open, end)| {
            let (first, last) = (open.next(), Offset(end.0.saturating_sub(1)));
            (first <= last).then_some((first, last))
        });
        let ahead = self.inherited.iter().map(|(first, last)| ((*first).max(self.read_to), *last));
        let mut ranges: Vec<(Offset, Offset)> = Vec::new();
        for (first, last) in between.chain(ahead) {
            match ranges.last_mut() {
                Some(before) if before.1.next() >= first => before.1 = last,
                Some(_) | None => ranges.push((first, last)),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(pairs: &[(u64, u64)]) -> Vec<(Offset, Offset)> {
        pairs.iter().map(|(a, b)| (Offset(*a), Offset(*b))).collect()
    }

    #[test]
    fn what_is_given_up_holds_the_watermark_no_longer() {
        let mut position = Position::new(Offset(10), Vec::new());
        assert!([11, 14, 17].into_iter().all(|offset| position.open(Offset(offset), Timestamp(0))));
        position.read_past(Offset(20));
        position.give_up_below(Offset(14));
        assert_eq!((position.watermark(), position.done()), (Offset(14), ranges(&[(15, 16), (18, 19)])));
        position.give_up_below(Offset(30));
        assert_eq!((position.watermark(), position.read_to()), (Offset(30), Offset(30)));
        assert!(!position.open(Offset(29), Timestamp(0)));
    }

    #[test]
    fn the_watermark_stands_at_the_first_open_event() {
        let mut position = Position::new(Offset(10), Vec::new());
        for offset in [12, 15] {
            assert!(position.open(Offset(offset), Timestamp(0)));
        }
        position.read_past(Offset(18));
        assert_eq!(position.watermark(), Offset(12));
        assert_eq!(position.done(), ranges(&[(13, 14), (16, 17)]));
        position.settle(Offset(12));
        assert_eq!((position.watermark(), position.done()), (Offset(15), ranges(&[(16, 17)])));
        position.settle(Offset(15));
        assert_eq!((position.watermark(), position.done()), (Offset(18), Vec::new()));
    }

    #[test]
    fn what_an_earlier_run_settled_is_not_opened_again_and_not_forgotten() {
        let mut position = Position::new(Offset(5), ranges(&[(6, 7), (9, 9)]));
        let opened: Vec<u64> = (5..8).filter(|n| position.open(Offset(*n), Timestamp(0))).collect();
        position.read_past(Offset(8));
        assert_eq!(opened, [5]);
        assert_eq!(position.done(), ranges(&[(6, 7), (9, 9)]));
    }

    proptest! {
        #[test]
        fn a_cursor_that_is_stored_and_taken_up_again_covers_the_same(
            events in proptest::collection::btree_set(0_u64..60, 0..40),
            settled in proptest::collection::btree_set(0_u64..60, 0..40),
            read_to in 0_u64..60,
        ) {
            let mut position = Position::new(Offset::ZERO, Vec::new());
            events.iter().filter(|e| **e < read_to).for_each(|e| { position.open(Offset(*e), Timestamp(0)); });
            position.read_past(Offset(read_to));
            let mut watermark = position.watermark();
            for offset in &settled {
                position.settle(Offset(*offset));
                prop_assert!(position.watermark() >= watermark, "moved back");
                watermark = position.watermark();
            }
            let mut again = Position::new(position.watermark(), position.done());
            let expected: Vec<u64> =
                events.iter().copied().filter(|e| *e >= read_to || !settled.contains(e)).collect();
            let reopened: Vec<u64> = events
                .iter()
                .copied()
                .filter(|e| *e >= again.watermark().0 && again.open(Offset(*e), Timestamp(0)))
                .collect();
            prop_assert_eq!(reopened, expected);
            prop_assert!(position.done().len() <= position.open_count() + 1);
        }
    }
}
