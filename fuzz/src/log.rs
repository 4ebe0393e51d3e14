//! Recovery of the log: whatever happened to the bytes of a segment, opening answers, and what it then
//! shows is a prefix of what was appended.

use std::path::Path;
use std::sync::Arc;

use writ_model::id::Offset;
use writ_store::disk::SimDisk;
use writ_store::log::{Commit, Log, LogReader, Options, Record, Salts, SegmentLog};

const FOLDER: &str = "log";
const COMMITS: u8 = 6;

/// An input is a list of bits to flip, four bytes each: which segment, and where in it.
pub(crate) fn run(bytes: &[u8]) {
    let disk = SimDisk::new();
    let written = write(&disk);
    for flip in bytes.chunks_exact(4).take(16) {
        let [segment, high, middle, low] = [flip[0], flip[1], flip[2], flip[3]];
        let path = Path::new(FOLDER).join(name(segment));
        disk.flip(&path, u64::from(u32::from_be_bytes([0, high, middle, low])));
    }
    let Ok(opened) = SegmentLog::open(Arc::new(disk), Path::new(FOLDER), options()) else { return };
    let mut reader = opened.log.reader();
    let read = records(reader.as_mut());
    assert!(written.starts_with(&read), "recovery shows what was never appended");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![vec![], vec![0, 0, 0, 9], vec![0, 0, 4, 0, 1, 0, 4, 0], vec![1, 0, 0x10, 0x80]]
}

fn options() -> Options {
    Options { segment_bytes: 4096, index_bytes: 512, salts: Salts::Seeded(7) }
}

/// Segments are numbered from 1; six commits make two or three.
fn name(segment: u8) -> String {
    format!("{:012}.seg", segment % 3 + 1)
}

fn write(disk: &SimDisk) -> Vec<Record> {
    let opened = SegmentLog::open(Arc::new(disk.clone()), Path::new(FOLDER), options());
    let mut opened = opened.expect("a new log opens");
    for number in 0..COMMITS {
        let commit = Commit { leaves: vec![vec![number; 700]], ..Commit::default() };
        let epoch = opened.log.epoch();
        opened.log.append(epoch, commit).expect("nothing fails yet");
    }
    records(opened.log.reader().as_mut())
}

fn records(reader: &mut dyn LogReader) -> Vec<Record> {
    let mut all = Vec::new();
    let mut from = Offset::ZERO;
    while let Ok(batch) = reader.read(from, 1 << 20) {
        let Some(last) = batch.last() else { break };
        from = last.offset().next();
        all.extend(batch);
    }
    all
}
