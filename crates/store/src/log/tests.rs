//! The log over disks that can be broken: the contract on each form, then faults, damage, crashes and the
//! stored fixture.

mod crash;
mod damage;
mod fault;
mod fixture;

use std::path::Path;
use std::sync::Arc;

use writ_model::id::Slot;

use super::*;
use crate::contract::log::{Place, all};
use crate::contract::sample;
use crate::disk::{Disk, RealDisk, SimDisk};

const DIR: &str = "/log";

/// Small segments, so that a few commits fill several.
fn options() -> Options {
    Options { segment_bytes: 4096, index_bytes: 256, salts: Salts::Seeded(17) }
}

fn open(disk: &SimDisk) -> Result<Opened, ReadError> {
    SegmentLog::open(Arc::new(disk.clone()), Path::new(DIR), options())
}

fn opened(disk: &SimDisk) -> SegmentLog {
    open(disk).expect("the log opens").log
}

/// One event, one intent, one fact.
fn commit(log: &dyn Log, number: u64, bytes: usize) -> Commit {
    let slot = Slot::new(3);
    let event = sample::event(slot, log.tail(slot).next().0, number, bytes);
    Commit { events: vec![event], facts: vec![sample::fact(number)], leaves: Vec::new() }
}

fn append(log: &mut dyn Log, number: u64, bytes: usize) -> Result<Appended, AppendError> {
    let commit = commit(log, number, bytes);
    let epoch = log.epoch();
    log.append(epoch, commit)
}

fn try_read_all(log: &dyn Log) -> Result<Vec<Record>, ReadError> {
    let mut reader = log.reader();
    let mut records: Vec<Record> = Vec::new();
    loop {
        let next = records.last().map_or(log.start(), |record| record.offset().next());
        let piece = reader.read(next, 1000)?;
        if piece.is_empty() {
            return Ok(records);
        }
        records.extend(piece);
    }
}

fn read_all(log: &dyn Log) -> Vec<Record> {
    try_read_all(log).expect("committed records can be read")
}

/// The numbers of the events, in log order.
fn numbers(records: &[Record]) -> Vec<u64> {
    let number = |record: &Record| match record {
        Record::Event(event) => Some(event.header.hlc.millis - sample::header(0).hlc.millis),
        Record::Leaf(..) | Record::Fact(..) => None,
    };
    records.iter().filter_map(number).collect()
}

struct InMemory(MemoryLog);

impl Place for InMemory {
    fn open(&mut self) -> Box<dyn Log> {
        self.0 = self.0.reopen();
        Box::new(self.0.reopen())
    }
}

struct OnDisk {
    disk: Arc<dyn Disk>,
    dir: std::path::PathBuf,
    _kept: Option<tempfile::TempDir>,
}

impl Place for OnDisk {
    fn open(&mut self) -> Box<dyn Log> {
        let opened = SegmentLog::open(self.disk.clone(), &self.dir, options()).expect("the log opens");
        assert_eq!(opened.recovery.torn, None, "nothing is torn after a clean end");
        Box::new(opened.log)
    }
}

#[test]
fn the_memory_log_keeps_the_contract() {
    all(&mut || Box::new(InMemory(MemoryLog::new())));
}

#[test]
fn the_segment_log_keeps_the_contract_on_a_file_system() {
    all(&mut || {
        let kept = tempfile::tempdir().expect("a directory");
        Box::new(OnDisk { disk: Arc::new(RealDisk), dir: kept.path().join("log"), _kept: Some(kept) })
    });
}

#[test]
fn the_segment_log_keeps_the_contract_on_a_simulated_disk() {
    all(&mut || Box::new(OnDisk { disk: Arc::new(SimDisk::new()), dir: DIR.into(), _kept: None }));
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_dropped() {
    let kept = tempfile::tempdir().expect("a directory");
    let open = || SegmentLog::open(Arc::new(RealDisk), kept.path(), options());
    let first = open().expect("opens");
    assert!(matches!(open().err(), Some(ReadError::Locked { .. })));
    drop(first);
    open().expect("opens again");
}

#[test]
fn a_commit_costs_one_sync_and_one_write() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    let before = disk.operations();
    append(&mut log, 1, 100).expect("appends");
    assert_eq!(disk.operations() - before, 2);
}

#[test]
fn a_commit_larger_than_a_segment_has_a_segment_of_its_own() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    append(&mut log, 1, 100).expect("appends");
    append(&mut log, 2, 20_000).expect("appends");
    append(&mut log, 3, 100).expect("appends");
    let segments = disk.list(Path::new(DIR)).expect("lists");
    assert_eq!(segments, ["000000000001.seg", "000000000002.seg", "000000000003.seg"]);
    assert_eq!(numbers(&read_all(&log)), [1, 2, 3]);
}

#[test]
fn opening_reads_the_frames_of_the_last_segment_only() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    (1..=50).for_each(|number| drop(append(&mut log, number, 500).expect("appends")));
    drop(log);
    let recovery = open(&disk).expect("opens").recovery;
    assert!(recovery.segments > 5, "{recovery:?}");
    assert!(recovery.scanned_bytes <= options().segment_bytes, "{recovery:?}");
}

#[test]
fn a_commit_above_the_limit_is_refused_and_the_log_goes_on() {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    let (epoch, leaf) = (log.epoch(), vec![0; COMMIT_BYTES_MAX as usize]);
    let refused = log.append(epoch, Commit { leaves: vec![leaf], ..Commit::default() });
    assert!(matches!(refused, Err(AppendError::TooLarge { bytes_max: COMMIT_BYTES_MAX, .. })));
    append(&mut log, 1, 10).expect("appends");
}
