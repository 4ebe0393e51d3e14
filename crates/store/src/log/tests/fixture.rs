//! A log of format 1 as it was once written, opened for as long as this version reads it.

use std::fs;
use std::path::PathBuf;

use super::*;
use writ_model::id::Epoch;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/log-v1")
}

/// Two segments with events, facts and leaves. Written by this function on the day format 1 was fixed.
fn write(dir: &Path) {
    let opening = SegmentLog::open(Arc::new(RealDisk), dir, options());
    let mut log = opening.expect("opens").log;
    (1..=6).for_each(|number| drop(append(&mut log, number, 400).expect("appends")));
    drop(log);
    fs::remove_file(dir.join("lock")).expect("removes");
}

#[test]
fn a_log_of_format_1_opens_and_reads() {
    if std::env::var_os("WRIT_WRITE_FIXTURES").is_some() {
        fs::create_dir_all(fixture()).expect("makes");
        write(&fixture());
    }
    let copy = tempfile::tempdir().expect("a directory");
    for entry in fs::read_dir(fixture()).expect("the fixture is there") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copies");
    }
    let Opened { log, recovery } =
        SegmentLog::open(Arc::new(RealDisk), copy.path(), options()).expect("opens");
    assert_eq!((recovery.segments, recovery.torn, recovery.epoch), (2, None, Epoch(2)));
    let records = read_all(&log);
    assert_eq!(numbers(&records), (1..=6).collect::<Vec<_>>());
    assert_eq!((records.len(), log.leaf_count(), log.tail(Slot::new(3)).0), (18, 6, 6));
    let Record::Event(event) = &records[0] else { panic!("the first record is an event") };
    assert_eq!((&event.header.event_id, &event.decision), (&sample::event_id(1), &sample::decision()));
    assert_eq!(event.parts[0].ciphertext.len(), 400);
}

#[test]
fn this_version_writes_format_1_to_the_byte() {
    let written = tempfile::tempdir().expect("a directory");
    write(written.path());
    for name in ["000000000001.seg", "000000000002.seg"] {
        let (ours, theirs) = (fs::read(written.path().join(name)), fs::read(fixture().join(name)));
        assert!(ours.expect("written") == theirs.expect("the fixture is there"), "{name} differs");
    }
}
