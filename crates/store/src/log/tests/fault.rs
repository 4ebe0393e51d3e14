//! Each disk operation fails in turn: what was acknowledged is there once, what was not is there whole or
//! not at all, and a log that does not know says so.

use super::*;
use crate::disk::sim::Fault;

const COMMITS: u64 = 12;

/// Appends until the log refuses; the numbers that were acknowledged, and those with unknown outcome.
fn append_until_refused(log: &mut SegmentLog) -> (Vec<u64>, Vec<u64>) {
    let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
    for number in 1..=COMMITS {
        match append(log, number, 700) {
            Ok(_) => acknowledged.push(number),
            Err(AppendError::Indeterminate { .. }) => unknown.push(number),
            Err(AppendError::Poisoned) => break,
            Err(other) => panic!("append {number}: {other}"),
        }
    }
    (acknowledged, unknown)
}

/// Everything acknowledged once and in order, then perhaps the one whose outcome was unknown, whole.
fn assert_kept(log: &SegmentLog, acknowledged: &[u64], unknown: &[u64], context: &str) {
    let records = read_all(log);
    let found = numbers(&records);
    let with_unknown: Vec<u64> = acknowledged.iter().chain(unknown).copied().collect();
    assert!(found == acknowledged || found == with_unknown, "{context}: found {found:?} of {acknowledged:?}");
    assert_eq!(records.len(), found.len() * 3, "{context}: a commit is there in part");
    assert_eq!(log.leaf_count(), found.len() as u64, "{context}");
    assert_eq!(log.tail(Slot::new(3)).0, found.len() as u64, "{context}");
}

fn operations_of_a_run() -> u64 {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    let before = disk.operations();
    assert_eq!(append_until_refused(&mut log).0.len() as u64, COMMITS);
    disk.operations() - before
}

#[test]
fn any_failed_operation_of_an_append_loses_nothing_acknowledged() {
    let operations = operations_of_a_run();
    assert!(operations > 2 * COMMITS, "the run rolls over several segments");
    for fault in [Fault::Refused, Fault::Torn, Fault::PowerCut] {
        for nth in 0..operations {
            for crash in [None, Some(nth), Some(nth + 1000)] {
                let context = format!("{fault:?} at {nth}, crash {crash:?}");
                let disk = SimDisk::new();
                let mut log = opened(&disk);
                disk.fail_after(nth, fault);
                let (acknowledged, unknown) = append_until_refused(&mut log);
                drop(log);
                disk.heal();
                match (crash, fault) {
                    (Some(seed), _) => disk.crash(seed),
                    (None, Fault::PowerCut) => continue,
                    (None, Fault::Refused | Fault::Torn) => {}
                }
                let mut log = opened(&disk);
                assert_kept(&log, &acknowledged, &unknown, &context);
                append(&mut log, 99, 700).unwrap_or_else(|error| panic!("{context}: {error}"));
                drop(log);
                disk.crash(nth);
                assert_eq!(numbers(&read_all(&opened(&disk))).last(), Some(&99), "{context}");
            }
        }
    }
}

#[test]
fn any_failed_operation_of_an_opening_loses_nothing() {
    let before_opening = || {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        append_until_refused(&mut log);
        // A torn frame at the end, so that the opening has something to cut.
        disk.fail_after(0, Fault::Torn);
        append(&mut log, 50, 1).expect_err("torn");
        drop(log);
        disk
    };
    let disk = before_opening();
    let operations = disk.operations();
    assert!(open(&disk).expect("opens").recovery.torn.is_some());
    let operations = disk.operations() - operations;
    let expected: Vec<u64> = (1..=COMMITS).collect();
    for nth in 0..operations {
        for fault in [Fault::Refused, Fault::Torn, Fault::PowerCut] {
            let disk = before_opening();
            disk.fail_after(nth, fault);
            assert!(matches!(open(&disk).err(), Some(ReadError::Io { .. })), "{fault:?} at {nth}");
            disk.crash(nth);
            let log = opened(&disk);
            assert_eq!(numbers(&read_all(&log)), expected, "{fault:?} at {nth}");
        }
    }
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    append(&mut log, 1, 10).expect("appends");
    disk.fail_after(1, Fault::Refused);
    assert!(matches!(append(&mut log, 2, 10), Err(AppendError::Indeterminate { .. })));
    let operations = disk.operations();
    assert!(matches!(append(&mut log, 3, 10), Err(AppendError::Poisoned)));
    assert_eq!(disk.operations(), operations, "a poisoned log does not touch the disk");
    assert_eq!(numbers(&read_all(&log)), [1], "readers see what is known to be durable");
}

#[test]
fn what_an_opening_shows_after_a_failed_sync_is_durable() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    // The write is in the page cache, called clean, and not on the platter.
    disk.fail_after(1, Fault::Refused);
    assert!(matches!(append(&mut log, 1, 10), Err(AppendError::Indeterminate { .. })));
    drop(log);
    assert_eq!(numbers(&read_all(&opened(&disk))), [1]);
    disk.crash(0);
    assert_eq!(numbers(&read_all(&opened(&disk))), [1], "shown once, shown for good");
}

#[test]
fn a_power_cut_while_opening_after_a_failed_sync_is_not_taken_for_damage() {
    for (nth, seed) in (0..6).flat_map(|nth| (0..40).map(move |seed| (nth, seed))) {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        disk.fail_after(1, Fault::Refused);
        append(&mut log, 1, 1500).expect_err("the sync fails");
        drop(log);
        disk.fail_after(nth, Fault::PowerCut);
        drop(open(&disk));
        disk.crash(seed);
        let log = open(&disk).unwrap_or_else(|error| panic!("cut at {nth}, seed {seed}: {error}")).log;
        assert!(numbers(&read_all(&log)).len() <= 1);
    }
}

#[test]
fn a_full_disk_stores_nothing_and_the_log_goes_on_when_there_is_space() {
    for spare in (0..1200).step_by(7) {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        append(&mut log, 1, 700).expect("appends");
        disk.set_capacity(Some(disk.used() + spare));
        let full = append(&mut log, 2, 1200);
        assert!(matches!(full, Err(AppendError::Full { .. })), "{spare} bytes to spare: {full:?}");
        assert_eq!(numbers(&read_all(&log)), [1]);
        disk.set_capacity(None);
        append(&mut log, 3, 30).expect("there is space again");
        assert_eq!(numbers(&read_all(&log)), [1, 3]);
        drop(log);
        disk.crash(spare);
        let opened = open(&disk).expect("opens");
        assert_eq!(numbers(&read_all(&opened.log)), [1, 3], "{spare} bytes to spare");
        assert_eq!(opened.recovery.torn, None, "what did not fit was cut off");
    }
}

#[test]
fn a_disk_that_fills_up_at_a_new_segment_stores_nothing_and_the_log_goes_on() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    let mut number = 1;
    while disk.list(Path::new(DIR)).expect("lists").len() == 1 {
        // Room for the frame in this segment, not for another header.
        disk.set_capacity(Some(disk.used().max(4096)));
        match append(&mut log, number, 700) {
            Ok(_) => number += 1,
            Err(AppendError::Full { path, .. }) => {
                assert_eq!(path, "000000000002.seg");
                disk.set_capacity(None);
                append(&mut log, number, 700).expect("there is space again");
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(numbers(&read_all(&log)), (1..=number).collect::<Vec<_>>());
}

#[test]
fn a_crash_after_a_full_disk_does_not_bring_the_refused_commit_back() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        append(&mut log, 1, 700).expect("appends");
        disk.set_capacity(Some(disk.used() + seed * 6));
        assert!(matches!(append(&mut log, 2, 1200), Err(AppendError::Full { .. })));
        drop(log);
        disk.set_capacity(None);
        disk.crash(seed);
        assert_eq!(numbers(&read_all(&opened(&disk))), [1], "seed {seed}");
    }
}

#[test]
fn a_truncation_that_crashes_half_way_leaves_a_log_without_gaps() {
    for nth in 0..12 {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        append_until_refused(&mut log);
        let end = log.end();
        disk.fail_after(nth, Fault::PowerCut);
        let result = log.truncate_before(end);
        drop(log);
        disk.crash(nth);
        let log = opened(&disk);
        let found = numbers(&read_all(&log));
        assert_eq!(found.last(), Some(&COMMITS), "cut at {nth}: {result:?}");
        assert!(found.windows(2).all(|pair| pair[1] == pair[0] + 1), "cut at {nth}: {found:?}");
    }
}

#[test]
fn a_removal_that_fails_leaves_no_gap_behind_a_later_one() {
    // Two segments go, each by a removal and a sync.
    for nth in 0..4 {
        let disk = SimDisk::new();
        let mut log = opened(&disk);
        append_until_refused(&mut log);
        let end = log.end();
        disk.fail_after(nth, Fault::Refused);
        let failed = log.truncate_before(Offset(end.0 / 2));
        assert!(failed.is_err(), "removal {nth} is refused");
        let start = log.start();
        let later = log.truncate_before(end).expect("nothing is refused any more");
        assert!(start < later, "what was left is removed first");
        drop(log);
        let found = numbers(&read_all(&opened(&disk)));
        assert_eq!(found.last(), Some(&COMMITS), "refused at {nth}");
    }
}
