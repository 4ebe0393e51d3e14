//! What every log must do. A place is opened again after each handle on it was dropped, as after a restart.
//!
//! Faults and damage are not here: they need a disk to break (see the tests of `crate::log`).

use std::thread;

use writ_model::id::{Epoch, Offset, Sequence, Slot};

use super::sample;
use crate::error::{AppendError, ReadError};
use crate::log::{Appended, Commit, Log, NewEvent, Record};

/// Where a log is kept. The suite drops a handle before it opens another.
pub trait Place {
    /// Opens the log that is kept here; an empty one the first time. Its epoch is above every earlier one.
    fn open(&mut self) -> Box<dyn Log>;
}

/// Runs every check, each on a place of its own. Segments of a few KiB show the most.
pub fn all(new_place: &mut dyn FnMut() -> Box<dyn Place>) {
    let checks: [fn(&mut dyn Place); 19] = [
        records_come_back_in_commit_order,
        a_log_opened_again_holds_what_it_held,
        a_sequence_that_does_not_follow_refuses_the_whole_commit,
        sequences_of_one_commit_follow_each_other,
        an_older_epoch_is_fenced,
        a_newer_epoch_takes_over_for_good,
        an_empty_commit_stores_nothing,
        a_reader_at_the_end_sees_what_is_appended_later,
        a_read_gives_at_least_one_record_and_no_more_than_fit,
        a_read_may_begin_at_any_record,
        events_alone_are_those_of_the_records_and_pass_the_rest,
        leaf_indices_have_no_gaps,
        truncation_drops_only_what_is_below,
        segments_cover_the_log_and_are_what_truncation_drops,
        a_read_before_the_start_says_where_the_log_begins,
        truncation_survives_an_opening,
        a_commit_far_larger_than_the_others_is_kept_whole,
        many_readers_read_the_same,
        a_reader_beside_the_writer_sees_every_record_once,
    ];
    for check in checks {
        check(new_place().as_mut());
    }
}

const SLOT: u16 = 7;

fn next_event(log: &dyn Log, number: u64, bytes: usize) -> NewEvent {
    let slot = Slot::new(SLOT);
    sample::event(slot, log.tail(slot).next().0, number, bytes)
}

/// Appends one event, one fact and one leaf beside its intent.
fn append(log: &mut dyn Log, number: u64, bytes: usize) -> Appended {
    let commit = Commit {
        events: vec![next_event(log, number, bytes)],
        facts: vec![sample::fact(number)],
        leaves: vec![format!("leaf {number}").into_bytes()],
    };
    let epoch = log.epoch();
    log.append(epoch, commit).expect("the append is in order")
}

fn append_many(log: &mut dyn Log, count: u64) {
    for number in 1..=count {
        append(log, number, 300);
    }
}

/// Every record from an offset on, read in pieces of so many bytes.
fn read_from(log: &dyn Log, from: Offset, bytes_max: usize) -> Vec<Record> {
    let mut reader = log.reader();
    let (mut records, mut next) = (Vec::<Record>::new(), from);
    loop {
        let piece = reader.read(next, bytes_max).expect("committed records can be read");
        let Some(last) = piece.last() else { return records };
        next = last.offset().next();
        records.extend(piece);
    }
}

fn read_all(log: &dyn Log) -> Vec<Record> {
    read_from(log, log.start(), 1 << 20)
}

fn leaves(records: &[Record]) -> Vec<(u64, Vec<u8>)> {
    let leaf = |record: &Record| match record {
        Record::Leaf(_, index, bytes) => Some((*index, bytes.clone())),
        Record::Event(_) | Record::Fact(..) => None,
    };
    records.iter().filter_map(leaf).collect()
}

fn event_ids(records: &[Record]) -> Vec<writ_model::id::EventId> {
    let id = |record: &Record| match record {
        Record::Event(event) => Some(event.header.event_id),
        Record::Leaf(..) | Record::Fact(..) => None,
    };
    records.iter().filter_map(id).collect()
}

fn records_come_back_in_commit_order(place: &mut dyn Place) {
    let mut log = place.open();
    let slot = Slot::new(SLOT);
    let commit = Commit {
        events: vec![sample::event(slot, 1, 1, 50), sample::event(slot, 2, 2, 60)],
        facts: vec![sample::fact(1), sample::fact(2)],
        leaves: vec![b"other".to_vec()],
    };
    let epoch = log.epoch();
    let appended = log.append(epoch, commit).expect("the append is in order");
    let records = read_all(log.as_ref());
    let [Record::Event(first), Record::Event(second), rest @ ..] = records.as_slice() else {
        panic!("events come first");
    };
    assert_eq!(appended.offsets, [first.offset, second.offset]);
    assert_eq!((first.sequence, second.sequence), (Sequence(1), Sequence(2)));
    assert_eq!((first.intent_index, second.intent_index), (appended.first_leaf, appended.first_leaf + 1));
    assert_eq!(second.header.event_id, sample::event_id(2));
    assert_eq!(second.decision, sample::decision());
    assert_eq!(second.parts[0].ciphertext.len(), 60);
    let indexed = [(0, "intent 1"), (1, "intent 2"), (2, "other")];
    let indexed = indexed.map(|(index, bytes)| (index, bytes.as_bytes().to_vec()));
    assert_eq!(leaves(&rest[..3]), indexed);
    assert!(matches!(&rest[3], Record::Fact(_, fact) if *fact == sample::fact(1)));
    assert!(matches!(&rest[4], Record::Fact(_, fact) if *fact == sample::fact(2)));
    assert_eq!(rest.len(), 5);
    assert!(records.windows(2).all(|pair| pair[0].offset() < pair[1].offset()), "offsets ascend");
    assert_eq!(appended.end, log.end());
    assert!(records.iter().all(|record| record.offset() < appended.end));
}

fn a_log_opened_again_holds_what_it_held(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 40);
    let before = (read_all(log.as_ref()), log.end(), log.tail(Slot::new(SLOT)), log.leaf_count());
    let epoch = log.epoch();
    drop(log);
    let mut log = place.open();
    assert!(log.epoch() > epoch, "an opening has a newer epoch");
    let after = (read_all(log.as_ref()), log.end(), log.tail(Slot::new(SLOT)), log.leaf_count());
    assert_eq!(after, before);
    assert_eq!(log.tail(Slot::new(SLOT + 1)), Sequence(0));
    append(log.as_mut(), 41, 10);
    assert_eq!(event_ids(&read_all(log.as_ref())).len(), 41);
}

fn a_sequence_that_does_not_follow_refuses_the_whole_commit(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 2);
    let before = (read_all(log.as_ref()), log.end(), log.leaf_count());
    let (slot, other, epoch) = (Slot::new(SLOT), Slot::new(1), log.epoch());
    for wrong in [0, 1, 2, 4, u64::MAX] {
        let events = vec![sample::event(other, 1, 8, 10), sample::event(slot, wrong, 9, 10)];
        let error = log.append(epoch, Commit { events, ..Commit::default() });
        let Err(AppendError::SequenceConflict { slot: named, tail, given }) = error else {
            panic!("sequence {wrong} was accepted");
        };
        assert_eq!((named, tail, given), (slot, Sequence(2), Sequence(wrong)));
    }
    assert_eq!((read_all(log.as_ref()), log.end(), log.leaf_count()), before);
    assert_eq!(log.tail(other), Sequence(0), "nothing of the commit was stored");
    append(log.as_mut(), 3, 10);
}

fn sequences_of_one_commit_follow_each_other(place: &mut dyn Place) {
    let mut log = place.open();
    let (a, b, epoch) = (Slot::new(1), Slot::new(4095), log.epoch());
    let events = vec![
        sample::event(a, 1, 1, 5),
        sample::event(b, 1, 2, 5),
        sample::event(a, 2, 3, 5),
        sample::event(a, 3, 4, 5),
    ];
    log.append(epoch, Commit { events, ..Commit::default() }).expect("each follows its slot's tail");
    assert_eq!((log.tail(a), log.tail(b)), (Sequence(3), Sequence(1)));
    let twice = vec![sample::event(a, 4, 5, 5), sample::event(a, 4, 6, 5)];
    let error = log.append(epoch, Commit { events: twice, ..Commit::default() });
    assert!(matches!(error, Err(AppendError::SequenceConflict { .. })));
}

fn an_older_epoch_is_fenced(place: &mut dyn Place) {
    let log = place.open();
    let old = log.epoch();
    drop(log);
    let mut log = place.open();
    let end = log.end();
    let error = log.append(old, Commit { facts: vec![sample::fact(1)], ..Commit::default() });
    assert!(matches!(error, Err(AppendError::Fenced { given, current })
        if given == old && current == log.epoch()));
    assert_eq!(log.end(), end);
}

fn a_newer_epoch_takes_over_for_good(place: &mut dyn Place) {
    let mut log = place.open();
    let (old, new) = (log.epoch(), Epoch(log.epoch().0 + 5));
    let fact = |number| Commit { facts: vec![sample::fact(number)], ..Commit::default() };
    log.append(new, fact(1)).expect("a newer epoch is accepted");
    assert!(matches!(log.append(old, fact(2)), Err(AppendError::Fenced { .. })));
    drop(log);
    let log = place.open();
    assert!(log.epoch() > new, "the epoch that took over is durable");
}

fn an_empty_commit_stores_nothing(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 1);
    let (end, leaf_count, epoch) = (log.end(), log.leaf_count(), log.epoch());
    let appended = log.append(epoch, Commit::default()).expect("nothing to refuse");
    assert_eq!(appended, Appended { offsets: Vec::new(), end, first_leaf: leaf_count });
    assert_eq!((log.end(), log.leaf_count()), (end, leaf_count));
}

fn a_reader_at_the_end_sees_what_is_appended_later(place: &mut dyn Place) {
    let mut log = place.open();
    let mut reader = log.reader();
    let mut next = log.end();
    assert_eq!(reader.read(next, 100).expect("an empty read"), []);
    for number in 1..=30 {
        let appended = append(log.as_mut(), number, 300);
        let records = reader.read(next, 1 << 20).expect("the new records");
        assert_eq!(records.len(), 4, "one event, two leaves, one fact");
        assert_eq!(records[0].offset(), appended.offsets[0]);
        next = appended.end;
        assert_eq!(reader.read(next, 100).expect("an empty read"), []);
    }
    assert_eq!(reader.read(Offset(next.0 + 100), 100).expect("beyond the end is empty"), []);
}

fn a_read_gives_at_least_one_record_and_no_more_than_fit(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 10);
    let all = read_all(log.as_ref());
    assert_eq!(read_from(log.as_ref(), log.start(), 0), all, "one at a time");
    assert_eq!(read_from(log.as_ref(), log.start(), 700), all, "a few at a time");
    assert_eq!(log.reader().read(log.start(), 0).expect("one").len(), 1);
    let some = log.reader().read(log.start(), 2000).expect("some").len();
    assert!(some > 1 && some < all.len(), "{some} of {}", all.len());
}

fn a_read_may_begin_at_any_record(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 30);
    let all = read_all(log.as_ref());
    let mut reader = log.reader();
    // Backwards, so that no read goes on where the one before it stopped.
    for (index, record) in all.iter().enumerate().rev() {
        let read = reader.read(record.offset(), 0).expect("a record at its offset");
        assert_eq!(read, all[index..=index]);
    }
}

fn events_alone_are_those_of_the_records_and_pass_the_rest(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 30);
    let (mut whole, mut alone) = (log.reader(), log.reader());
    for bytes_max in [0, 700, 1 << 20] {
        let mut from = log.start();
        while from < log.end() {
            let records = whole.read(from, bytes_max).expect("committed records can be read");
            let next = records.last().expect("one at least").offset().next();
            let events = records.into_iter().filter_map(|record| match record {
                Record::Event(event) => Some(*event),
                Record::Fact(..) | Record::Leaf(..) => None,
            });
            let expected = (events.collect(), next);
            assert_eq!(alone.events(from, bytes_max).expect("committed events can be read"), expected);
            from = next;
        }
        assert_eq!(alone.events(from, bytes_max).expect("an empty read"), (Vec::new(), from));
    }
}

fn leaf_indices_have_no_gaps(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 20);
    drop(log);
    let mut log = place.open();
    append_many(log.as_mut(), 20);
    let indices: Vec<u64> = leaves(&read_all(log.as_ref())).into_iter().map(|(index, _)| index).collect();
    assert_eq!(indices, (0..80).collect::<Vec<_>>());
    assert_eq!(log.leaf_count(), 80);
}

fn truncation_drops_only_what_is_below(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 60);
    let all = read_all(log.as_ref());
    let keep_from = all[all.len() / 2].offset();
    let start = log.truncate_before(keep_from).expect("truncates");
    assert!(start > Offset::ZERO && start <= keep_from, "start {start}, kept from {keep_from}");
    assert_eq!(log.start(), start);
    let kept: Vec<Record> = all.into_iter().filter(|record| record.offset() >= start).collect();
    assert_eq!(read_all(log.as_ref()), kept);
    assert_eq!(log.truncate_before(Offset::ZERO).expect("nothing to do"), start);
    append(log.as_mut(), 61, 10);
}

fn segments_cover_the_log_and_are_what_truncation_drops(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 60);
    let reader = log.reader();
    let segments = reader.segments();
    assert!(segments.len() > 2 && segments.windows(2).all(|pair| pair[0].to == pair[1].from));
    assert_eq!((segments[0].from, segments.last().map(|last| last.to)), (log.start(), Some(log.end())));
    assert!(segments.iter().rev().skip(1).all(|one| !one.is_open && one.bytes > 0));
    assert!(segments.last().is_some_and(|last| last.is_open), "the last is written to");
    let second = segments[1];
    assert_eq!(log.truncate_before(Offset(second.to.0 - 1)).expect("truncates"), second.from);
    assert_eq!(log.truncate_before(second.to).expect("truncates"), second.to);
    assert_eq!((reader.segments()[0].from, reader.start()), (second.to, second.to));
}

fn a_read_before_the_start_says_where_the_log_begins(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 60);
    let mut early = log.reader();
    early.read(Offset::ZERO, 1).expect("not truncated yet");
    let keep_from = log.end();
    let begins = log.truncate_before(keep_from).expect("truncates");
    for reader in [&mut early, &mut log.reader()] {
        let error = reader.read(Offset::ZERO, 1 << 20);
        assert!(matches!(error, Err(ReadError::BehindRetention { from, start })
            if from == Offset::ZERO && start == begins));
    }
}

fn truncation_survives_an_opening(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 60);
    let keep_from = log.end();
    let start = log.truncate_before(keep_from).expect("truncates");
    let before = (read_all(log.as_ref()), log.tail(Slot::new(SLOT)), log.leaf_count(), log.end());
    drop(log);
    let log = place.open();
    assert_eq!(log.start(), start);
    let after = (read_all(log.as_ref()), log.tail(Slot::new(SLOT)), log.leaf_count(), log.end());
    assert_eq!(after, before);
}

fn a_commit_far_larger_than_the_others_is_kept_whole(place: &mut dyn Place) {
    let mut log = place.open();
    append_many(log.as_mut(), 3);
    append(log.as_mut(), 4, 300_000);
    append(log.as_mut(), 5, 10);
    let before = read_all(log.as_ref());
    let is_whole = |record: &Record| matches!(record, Record::Event(event) if event.parts[0].ciphertext.len() == 300_000);
    assert_eq!(before.iter().filter(|record| is_whole(record)).count(), 1);
    assert_eq!(event_ids(&before), (1..=5).map(sample::event_id).collect::<Vec<_>>());
    drop(log);
    let log = place.open();
    assert_eq!(read_all(log.as_ref()), before);
}

fn many_readers_read_the_same(place: &mut dyn Place) {
    const READERS: usize = 30;
    let mut log = place.open();
    append_many(log.as_mut(), 50);
    let all = read_all(log.as_ref());
    thread::scope(|scope| {
        for number in 0..READERS {
            let (mut reader, all) = (log.reader(), &all);
            scope.spawn(move || {
                let from = number * all.len() / READERS;
                let mut seen = Vec::new();
                let mut next = all[from].offset();
                while seen.len() < all.len() - from {
                    let piece = reader.read(next, 500).expect("committed records can be read");
                    next = piece.last().expect("not at the end").offset().next();
                    seen.extend(piece);
                }
                assert_eq!(seen, all[from..]);
            });
        }
    });
}

fn a_reader_beside_the_writer_sees_every_record_once(place: &mut dyn Place) {
    const COMMITS: u64 = 100;
    let mut log = place.open();
    let mut reader = log.reader();
    thread::scope(|scope| {
        let seen = scope.spawn(move || {
            let (mut ids, mut next) = (Vec::new(), Offset::ZERO);
            while ids.len() < COMMITS as usize {
                let piece = reader.read(next, 4096).expect("committed records can be read");
                next = piece.last().map_or(next, |record| record.offset().next());
                ids.extend(event_ids(&piece));
                thread::yield_now();
            }
            ids
        });
        append_many(log.as_mut(), COMMITS);
        let seen = seen.join().expect("the reader does not panic");
        assert_eq!(seen, (1..=COMMITS).map(sample::event_id).collect::<Vec<_>>());
    });
}
