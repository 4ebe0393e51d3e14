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
//!
//! Beyond `read to` only single events are known: those that an earlier run settled, and express events that were
//! taken before their turn (`ahead.rs`), with what had to go before them.

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
    /// Open events beyond `read_to`, taken before their turn; each with when it was admitted.
    ahead: BTreeMap<Offset, Timestamp>,
    /// What is settled and not yet read past; inclusive, ascending, apart.
    beyond: Vec<(Offset, Offset)>,
}

impl Position {
    /// At a watermark, with the ranges above it that are settled already.
    pub fn new(watermark: Offset, done: Vec<(Offset, Offset)>) -> Self {
        Self { open: BTreeMap::new(), read_to: watermark, ahead: BTreeMap::new(), beyond: done }
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
        self.open.first_key_value().or(self.ahead.first_key_value()).map(|(_, admitted)| *admitted)
    }

    /// How many events are read and not settled.
    pub fn open_count(&self) -> usize {
        self.open.len() + self.ahead.len()
    }

    /// How many of them were taken before their turn.
    pub fn ahead_count(&self) -> usize {
        self.ahead.len()
    }

    /// How many ranges are settled and not read past: a cursor holds them all.
    pub fn beyond_count(&self) -> usize {
        self.beyond.len()
    }

    /// Whether an event has settled: below what was read, or before its turn, or in an earlier run.
    pub fn is_done(&self, offset: Offset) -> bool {
        let is_beyond = || {
            let after = self.beyond.partition_point(|(first, _)| *first <= offset);
            after.checked_sub(1).is_some_and(|at| offset <= self.beyond[at].1)
        };
        (offset < self.read_to && !self.open.contains_key(&offset)) || is_beyond()
    }

    /// An event was read, admitted at this time. False when it needs no delivery: settled earlier, or read before.
    pub fn open(&mut self, offset: Offset, admitted: Timestamp) -> bool {
        if offset < self.read_to || self.ahead.contains_key(&offset) || self.is_done(offset) {
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

    /// An event is taken before its turn. False when it needs no delivery, or was read or taken before.
    pub fn open_ahead(&mut self, offset: Offset, admitted: Timestamp) -> bool {
        // An offer that is being taken in opens events that it has not read past yet.
        if offset < self.read_to || self.open.contains_key(&offset) || self.is_done(offset) {
            return false;
        }
        self.ahead.insert(offset, admitted).is_none()
    }

    /// Everything below `next` has been offered. Never moves back.
    pub fn read_past(&mut self, next: Offset) {
        self.read_to = self.read_to.max(next);
        let later = self.ahead.split_off(&self.read_to);
        self.open.append(&mut self.ahead);
        self.ahead = later;
        let passed = self.beyond.partition_point(|(_, last)| *last < self.read_to);
        self.beyond.drain(..passed);
    }

    /// What is before an offset is not waited for any more.
    pub fn give_up_below(&mut self, offset: Offset) {
        self.open = self.open.split_off(&offset);
        self.ahead = self.ahead.split_off(&offset);
        self.read_past(offset);
    }

    /// An event settled. False when it was not open.
    pub fn settle(&mut self, offset: Offset) -> bool {
        if self.ahead.remove(&offset).is_some() {
            self.settle_beyond(offset);
            return true;
        }
        self.open.remove(&offset).is_some()
    }

    /// It is in none of the ranges, for it was open.
    fn settle_beyond(&mut self, offset: Offset) {
        let at = self.beyond.partition_point(|(first, _)| *first < offset);
        let joins_next = self.beyond.get(at).is_some_and(|(first, _)| *first == offset.next());
        let before = at.checked_sub(1).filter(|before| self.beyond[*before].1.next() == offset);
        match (before, joins_next) {
            (Some(before), true) => self.beyond[before].1 = self.beyond.remove(at).1,
            (Some(before), false) => self.beyond[before].1 = offset,
            (None, true) => self.beyond[at].0 = offset,
            (None, false) => self.beyond.insert(at, (offset, offset)),
        }
    }

    /// The settled ranges above the watermark, inclusive, ascending and apart: at most one more than there
    /// are open events, and what is settled beyond.
    pub fn done(&self) -> Vec<(Offset, Offset)> {
        let ends = self.open.keys().skip(1).copied().chain([self.read_to]);
        let between = self.open.keys().zip(ends).filter_map(|(open, end)| {
            let (first, last) = (open.next(), Offset(end.0.saturating_sub(1)));
            (first <= last).then_some((first, last))
        });
        let beyond = self.beyond.iter().map(|(first, last)| ((*first).max(self.read_to), *last));
        let mut ranges: Vec<(Offset, Offset)> = Vec::new();
        for (first, last) in between.chain(beyond) {
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

    #[test]
    fn an_event_before_its_turn_moves_no_watermark_and_is_not_taken_again() {
        let mut position = Position::new(Offset(10), ranges(&[(30, 30)]));
        assert!(position.open(Offset(10), Timestamp(0)));
        position.read_past(Offset(12));
        let taken: Vec<u64> = [9, 11, 20, 20, 21, 30]
            .into_iter()
            .filter(|n| position.open_ahead(Offset(*n), Timestamp(1)))
            .collect();
        assert_eq!(taken, [20, 21]);
        assert!(position.settle(Offset(21)) && position.settle(Offset(20)));
        assert_eq!(
            (position.watermark(), position.done()),
            (Offset(10), ranges(&[(11, 11), (20, 21), (30, 30)]))
        );
        position.settle(Offset(10));
        assert_eq!((position.watermark(), position.done()), (Offset(12), ranges(&[(20, 21), (30, 30)])));
        let opened: Vec<u64> = (12..32).filter(|n| position.open(Offset(*n), Timestamp(0))).collect();
        assert_eq!(opened, (12..20).chain(22..30).chain([31]).collect::<Vec<_>>());
        position.read_past(Offset(32));
        assert_eq!(position.beyond_count(), 0);
    }

    #[test]
    fn an_event_before_its_turn_holds_the_watermark_when_it_is_read_past() {
        let mut position = Position::new(Offset(10), Vec::new());
        assert!(position.open_ahead(Offset(15), Timestamp(0)));
        assert_eq!((position.watermark(), position.done()), (Offset(10), Vec::new()));
        assert!(!position.open(Offset(15), Timestamp(0)), "taken twice");
        position.read_past(Offset(20));
        assert_eq!((position.watermark(), position.done()), (Offset(15), ranges(&[(16, 19)])));
        assert!(position.settle(Offset(15)));
        assert_eq!(position.watermark(), Offset(20));
    }

    proptest! {
        #[test]
        fn a_cursor_that_is_stored_and_taken_up_again_covers_the_same(
            events in proptest::collection::btree_set(0_u64..60, 0..40),
            settled in proptest::collection::btree_set(0_u64..60, 0..40),
            read_to in 0_u64..60,
            taken in proptest::collection::btree_set(0_u64..60, 0..20),
        ) {
            let ahead: Vec<u64> = taken.intersection(&events).copied().collect();
            let mut position = Position::new(Offset::ZERO, Vec::new());
            for offset in &ahead {
                position.open_ahead(Offset(*offset), Timestamp(0));
            }
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
                events.iter().copied().filter(|e| {
                    let was_open = *e < read_to || ahead.contains(e);
                    !(was_open && settled.contains(e))
                }).collect();
            let reopened: Vec<u64> = events
                .iter()
                .copied()
                .filter(|e| *e >= again.watermark().0 && again.open(Offset(*e), Timestamp(0)))
                .collect();
            prop_assert_eq!(reopened, expected);
            prop_assert!(position.done().len() <= position.open_count() + 1 + position.beyond_count());
        }
    }
}
