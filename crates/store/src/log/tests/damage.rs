//! Bits decay and files get lost: it is noticed, named, and never read as something that was not written.

use super::*;

fn segment(number: u64) -> std::path::PathBuf {
    Path::new(DIR).join(format!("{number:012}.seg"))
}

fn with_commits(count: u64, bytes: usize) -> (SimDisk, Vec<Record>) {
    let disk = SimDisk::new();
    let mut log = opened(&disk);
    (1..=count).for_each(|number| drop(append(&mut log, number, bytes).expect("appends")));
    let records = read_all(&log);
    (disk, records)
}

fn written(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).expect("opens");
    let mut bytes = vec![0; file.len().expect("has a length") as usize];
    file.read_at(&mut bytes, 0).expect("reads");
    bytes
}

/// Where the last byte that is not zero lies, plus one.
fn data_end(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
}

#[test]
fn any_flipped_bit_is_noticed_or_harmless() {
    let (disk, records) = with_commits(3, 40);
    let bytes = data_end(&written(&disk, &segment(1)));
    for bit in (0..bytes * 8).filter(|bit| bit % 3 == 0) {
        let (disk, _) = with_commits(3, 40);
        disk.flip(&segment(1), bit);
        match open(&disk) {
            Err(ReadError::Corrupt { segment, .. }) => assert_eq!(segment, "000000000001.seg"),
            Err(ReadError::Version { .. }) => assert!((64..96).contains(&bit), "bit {bit}"),
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(Opened { log, recovery }) => {
                let read = read_all(&log);
                assert!(records.starts_with(&read), "bit {bit} gave a record that was not written");
                assert!(recovery.torn.is_some(), "bit {bit} was not noticed");
            }
        }
    }
}

#[test]
fn a_bit_flipped_in_an_older_segment_is_noticed_by_whoever_reads_it() {
    let (disk, records) = with_commits(12, 700);
    let bytes = data_end(&written(&disk, &segment(1)));
    for bit in (0..bytes * 8).step_by(7) {
        disk.flip(&segment(1), bit);
        match open(&disk) {
            Err(ReadError::Corrupt { segment, .. }) => assert_eq!(segment, "000000000001.seg"),
            Err(ReadError::Version { .. }) => assert!((64..96).contains(&bit), "bit {bit}"),
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(opened) => match try_read_all(&opened.log) {
                Err(ReadError::Corrupt { segment, .. }) => assert_eq!(segment, "000000000001.seg"),
                other => panic!("bit {bit} was not noticed: {other:?}"),
            },
        }
        disk.flip(&segment(1), bit);
    }
    assert_eq!(read_all(&opened(&disk)), records);
}

#[test]
fn damage_before_the_last_frame_is_named_and_left_as_it_is() {
    let (disk, _) = with_commits(3, 40);
    let bytes = written(&disk, &segment(1));
    // The second frame is the first commit's; the first is the writer's epoch.
    let second = bytes.windows(4).enumerate().filter(|(_, w)| *w == b"WFRM").map(|(at, _)| at).nth(1);
    let at = second.expect("there is a second frame") as u64;
    disk.flip(&segment(1), (at + 100) * 8);
    let damaged = written(&disk, &segment(1));
    let error = open(&disk).err();
    assert!(
        matches!(&error, Some(ReadError::Corrupt { segment, at: named, .. })
            if segment == "000000000001.seg" && *named == at),
        "{error:?}"
    );
    assert_eq!(written(&disk, &segment(1)), damaged);
}

#[test]
fn a_missing_segment_in_the_middle_is_named() {
    let (disk, _) = with_commits(12, 700);
    disk.remove(&segment(2)).expect("removes");
    let error = open(&disk).err();
    assert!(
        matches!(&error, Some(ReadError::Corrupt { segment, .. }) if segment == "000000000002.seg"),
        "{error:?}"
    );
}

#[test]
fn a_segment_that_lost_its_end_is_named() {
    let (disk, _) = with_commits(12, 700);
    let file = disk.open(&segment(2)).expect("opens");
    file.set_len(file.len().expect("has a length") - 1).expect("cuts");
    let error = open(&disk).err();
    assert!(
        matches!(&error, Some(ReadError::Corrupt { segment, .. }) if segment == "000000000002.seg"),
        "{error:?}"
    );
}

#[test]
fn a_segment_under_another_segments_name_is_named() {
    let (disk, _) = with_commits(12, 700);
    disk.rename(&segment(2), &segment(3)).expect("renames");
    disk.rename(&segment(1), &segment(2)).expect("renames");
    assert!(matches!(open(&disk).err(), Some(ReadError::Corrupt { .. })));
}

#[test]
fn another_format_is_named_and_not_touched() {
    let (disk, _) = with_commits(1, 40);
    disk.open(&segment(1)).expect("opens").write_at(&9_u32.to_le_bytes(), 8).expect("writes");
    let error = open(&disk).err();
    assert!(matches!(error, Some(ReadError::Version { found: 9, known: 1, .. })), "{error:?}");
}

#[test]
fn a_torn_last_frame_is_cut_off_and_reported() {
    let (disk, records) = with_commits(3, 40);
    let bytes = written(&disk, &segment(1));
    let end = data_end(&bytes);
    let last = bytes.windows(4).rposition(|w| w == b"WFRM").expect("a frame") as u64;
    for cut in last + 1..end {
        let (disk, _) = with_commits(3, 40);
        let zeros = vec![0; (end - cut) as usize];
        disk.open(&segment(1)).expect("opens").write_at(&zeros, cut).expect("writes");
        let Opened { log, recovery } = open(&disk).expect("opens");
        let torn = recovery.torn.expect("the tear is reported");
        assert_eq!((torn.segment.as_str(), torn.at), ("000000000001.seg", last), "cut at {cut}");
        assert_eq!(read_all(&log), records[..6], "cut at {cut}");
        drop(log);
        assert_eq!(open(&disk).expect("opens").recovery.torn, None, "cut at {cut}");
    }
}

#[test]
fn bytes_of_an_earlier_use_never_pass_for_frames() {
    // The frames of another log, with the same numbers, right behind the end of this one.
    let other = SimDisk::new();
    let salted = Options { salts: Salts::Seeded(99), ..options() };
    let opening = SegmentLog::open(Arc::new(other.clone()), Path::new(DIR), salted);
    let mut log = opening.expect("opens").log;
    (1..=5).for_each(|number| drop(append(&mut log, number, 40).expect("appends")));
    let theirs = written(&other, &segment(1));

    let (disk, records) = with_commits(2, 40);
    let end = data_end(&written(&disk, &segment(1)));
    let file = disk.open(&segment(1)).expect("opens");
    file.write_at(&theirs[end as usize..], end).expect("writes");
    let Opened { log, recovery } = open(&disk).expect("opens");
    assert_eq!(recovery.torn.expect("rubbish is reported").at, end);
    assert_eq!(read_all(&log), records);
}

#[test]
fn a_segment_that_was_being_made_is_cleared_away() {
    let (disk, records) = with_commits(3, 40);
    let unfinished = Path::new(DIR).join("000000000002.new");
    disk.create(&unfinished).expect("creates").write_at(b"half a header", 0).expect("writes");
    assert_eq!(read_all(&opened(&disk)), records);
    assert!(disk.open(&unfinished).is_err());
}
