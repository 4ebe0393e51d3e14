//! The verifier accepts what was published and gives every alteration its class, whoever made it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod sample;

use std::collections::BTreeSet;

use sample::published::{Objects, head, publish};
use sample::{log, signer, time};
use writ_attest::leaf::Leaf;
use writ_attest::note::Checkpoint;
use writ_attest::verify::{CHECKPOINT_PATH, Expectations, Report, Trust, verify};

/// One full round: every intent has its final.
const ROUND: u64 = 8;

/// An hour after the first leaf: nothing is due yet.
fn check_with(objects: &Objects, change: impl FnOnce(&mut Expectations<'_>)) -> Report {
    let key = signer().verifier();
    let mut expected = Expectations::new(&key, time(3_600_000));
    change(&mut expected);
    verify(objects, &expected, &mut |_, _| {}).unwrap()
}

fn class_of(objects: &Objects) -> u8 {
    check_with(objects, |_| ()).exit_code()
}

fn leaf_text(entry: &[u8]) -> String {
    String::from_utf8(entry.to_vec()).unwrap()
}

#[test]
fn published_logs_of_every_shape_are_sound() {
    for size in [0, 1, 2, ROUND, 255, 256, 257, 511, 512, 513, 800] {
        let report = check_with(&publish(&log(size)), |_| ());
        assert!(report.is_sound() && report.exit_code() == 0, "{size}: {:?}", report.faults);
        assert_eq!((report.size, report.leaves_checked), (Some(size), size));
    }
}

#[test]
fn the_report_counts_what_the_log_holds() {
    let report = check_with(&publish(&log(10 * ROUND + 2)), |_| ());
    let counts: Vec<(&str, u64)> = report.records.iter().map(|(name, count)| (*name, *count)).collect();
    assert_eq!(
        counts,
        [("accounting.v1", 10), ("attestation.v1", 30), ("intent.v1", 32), ("withheld.v1", 10)]
    );
    assert_eq!((report.open_intents, report.acknowledgements, report.late_finals), (2, 60, 0));
    assert_eq!(report.latest, Some(time(10 * ROUND + 1)));
}

#[test]
fn nobody_but_the_operator_vouches_yet_and_the_report_says_so() {
    let report = check_with(&publish(&log(1)), |_| ());
    assert_eq!(report.trust, Trust::SelfAttested);
    assert_eq!(report.trust.to_string(), "self-attested, not witnessed");
}

#[test]
fn progress_reaches_the_end_bundle_by_bundle() {
    let key = signer().verifier();
    let mut seen = Vec::new();
    let objects = publish(&log(600));
    verify(&objects, &Expectations::new(&key, time(3_600_000)), &mut |done, of| seen.push((done, of)))
        .unwrap();
    assert_eq!(seen, [(256, 600), (512, 600), (600, 600)]);
}

fn class_of_object(path: &str) -> u8 {
    match path.split('/').next() {
        Some("checkpoint") => 10,
        Some("tile") => 11,
        _ => 15,
    }
}

fn check_flips(objects: &Objects, step: usize) {
    for (path, bytes) in &objects.0 {
        for at in (0..bytes.len()).step_by(step) {
            let mut mutant = objects.clone();
            mutant.0.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let report = check_with(&mutant, |_| ());
            assert_eq!(report.exit_code(), class_of_object(path), "{path} byte {at}: {:?}", report.faults);
        }
    }
}

#[test]
fn no_byte_of_any_object_can_change() {
    check_flips(&publish(&log(ROUND + 3)), 1);
}

#[test]
fn no_byte_of_a_log_with_two_tile_levels_can_change() {
    check_flips(&publish(&log(515)), 4_999);
}

#[test]
fn no_object_can_be_missing_cut_short_or_lengthened() {
    let objects = publish(&log(515));
    for path in objects.0.keys() {
        let mut mutant = objects.clone();
        mutant.0.remove(path);
        assert_eq!(class_of(&mutant), 14, "{path}");
        let mut mutant = objects.clone();
        mutant.0.get_mut(path).unwrap().pop();
        assert_eq!(class_of(&mutant), class_of_object(path), "{path}");
        let mut mutant = objects.clone();
        mutant.0.get_mut(path).unwrap().push(0);
        assert_eq!(class_of(&mutant), class_of_object(path), "{path}");
    }
}

/// Puts the objects of `entries` under the checkpoint of `honest`: an editor without the key.
fn forged(honest: &[Vec<u8>], entries: &[Vec<u8>]) -> Objects {
    let mut objects = publish(entries);
    let note = publish(honest).0.remove(CHECKPOINT_PATH).unwrap();
    objects.0.insert(CHECKPOINT_PATH.into(), note);
    objects
}

#[test]
fn entries_cannot_be_dropped_doubled_swapped_or_edited_without_the_key() {
    let honest = log(2 * ROUND);
    let mut swapped = honest.clone();
    swapped.swap(0, 1);
    assert_eq!(class_of(&forged(&honest, &swapped)), 11);
    let mut edited = honest.clone();
    edited[0] = leaf_text(&honest[0]).replace("orders", "ordera").into_bytes();
    assert_eq!(class_of(&forged(&honest, &edited)), 11);
    let mut doubled = honest.clone();
    doubled[1] = honest[0].clone();
    assert_eq!(class_of(&forged(&honest, &doubled)), 11);
    // Another size means that the objects of the signed size are not there.
    assert_eq!(class_of(&forged(&honest, &honest[1..])), 14);
}

#[test]
fn the_full_object_stands_in_for_a_partial_one_that_was_cleared_away() {
    let older = publish(&log(250));
    let mut newer = publish(&log(256));
    newer.0.insert(CHECKPOINT_PATH.into(), older.0[CHECKPOINT_PATH].clone());
    let report = check_with(&newer, |_| ());
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!(report.leaves_checked, 250);
}

fn seen(entries: &[Vec<u8>]) -> Vec<Checkpoint> {
    vec![head(&publish(entries))]
}

#[test]
fn a_log_that_continues_a_known_checkpoint_is_sound() {
    for size in [0, 1, 100, 256, 300] {
        let known = seen(&log(size));
        let key = signer().verifier();
        let expected = Expectations { known: &known, ..Expectations::new(&key, time(3_600_000)) };
        let report = verify(&publish(&log(300)), &expected, &mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{size}: {:?}", report.faults);
    }
}

#[test]
fn a_replayed_older_checkpoint_is_a_rollback() {
    let known = seen(&log(300));
    let key = signer().verifier();
    let expected = Expectations { known: &known, ..Expectations::new(&key, time(3_600_000)) };
    assert_eq!(verify(&publish(&log(299)), &expected, &mut |_, _| {}).unwrap().exit_code(), 13);
    assert_eq!(check_with(&publish(&log(299)), |expected| expected.size_min = 300).exit_code(), 13);
}

#[test]
fn a_rewritten_history_under_the_same_key_is_a_fork() {
    let mut other = log(100);
    other[7] = sample::attestation(8, 2, 2);
    let known = seen(&other);
    let key = signer().verifier();
    let expected = Expectations { known: &known, ..Expectations::new(&key, time(3_600_000)) };
    assert_eq!(verify(&publish(&log(300)), &expected, &mut |_, _| {}).unwrap().exit_code(), 12);
    assert_eq!(verify(&publish(&log(100)), &expected, &mut |_, _| {}).unwrap().exit_code(), 12);
}

#[test]
fn another_key_does_not_verify() {
    let key = writ_attest::note::NoteSigner::from_seed(sample::ORIGIN, &[8; 32]).unwrap().verifier();
    let report = verify(&publish(&log(1)), &Expectations::new(&key, time(0)), &mut |_, _| {}).unwrap();
    assert_eq!(report.exit_code(), 10);
}

#[test]
fn leaves_that_are_not_canonical_or_of_no_known_record_are_found_whoever_signs() {
    let with = |change: fn(&str) -> String| {
        let mut entries = log(ROUND);
        entries[0] = change(&leaf_text(&entries[0])).into_bytes();
        class_of(&publish(&entries))
    };
    assert_eq!(with(|leaf| leaf.replace("\":\"", "\": \"")), 15);
    assert_eq!(with(|leaf| leaf.replace("intent.v1", "supplement.v1")), 15);
    assert_eq!(with(|leaf| leaf.replace("orders", "ada@example.org")), 15);
    assert_eq!(with(|_| "{}".into()), 15);
    assert_eq!(with(|leaf| leaf.to_owned()), 0);
}

#[test]
fn acknowledgement_records_of_another_leaf_are_found_whoever_signs() {
    let entries = log(ROUND);
    let mut objects = publish(&entries);
    let mut exchanged = entries.clone();
    exchanged[5] =
        [&entries[5][..entries[5].iter().position(|b| *b == b'\n').unwrap()], b"\n", b"{}"].concat();
    let other = publish(&exchanged);
    objects.0.insert("acks/000.p/8".into(), other.0["acks/000.p/8"].clone());
    assert_eq!(class_of(&objects), 15);
}

#[test]
fn an_intent_without_a_final_is_open_until_it_is_due_and_a_fault_after() {
    let mut entries = log(ROUND);
    entries.remove(7);
    let objects = publish(&entries);
    let report = check_with(&objects, |_| ());
    assert!(report.is_sound() && report.open_intents == 1);
    let due = time(2).plus_micros(sample::SETTLE_MICROS + Expectations::SETTLE_SLACK_MICROS);
    assert_eq!(check_with(&objects, |expected| expected.now = due).exit_code(), 0);
    assert_eq!(check_with(&objects, |expected| expected.now = due.plus_micros(1)).exit_code(), 16);
    assert_eq!(
        check_with(&publish(&log(ROUND)), |expected| expected.now = due.plus_micros(1)).exit_code(),
        0
    );
}

#[test]
fn a_final_belongs_to_one_earlier_intent_of_its_own_event() {
    let with = |last: Vec<u8>| {
        let mut entries = log(ROUND);
        entries.push(last);
        class_of(&publish(&entries))
    };
    assert_eq!(with(sample::attestation(8, 0, 0)), 16, "a second final");
    assert_eq!(with(sample::attestation(8, 9, 8)), 16, "its own index");
    assert_eq!(with(sample::attestation(8, 9, 700)), 16, "a later index");
    assert_eq!(with(sample::attestation(8, 3, 3)), 16, "not an intent");
    let mut entries = log(5);
    entries.push(sample::attestation(5, 1, 0));
    assert_eq!(class_of(&publish(&entries)), 16, "another event");
}

#[test]
fn a_final_repeats_what_its_intent_says_of_the_event() {
    let mut entries = log(5);
    let last = leaf_text(&sample::attestation(5, 0, 0)).replace("default@sha256:0b", "default@sha256:0c");
    entries.push(last.into_bytes());
    assert_eq!(class_of(&publish(&entries)), 16);
}

#[test]
fn a_late_final_is_counted_and_no_fault() {
    let mut entries = log(5);
    let late = (sample::SETTLE_MICROS + Expectations::SETTLE_SLACK_MICROS) as u64 / 1_000 + 10_000;
    entries.push(sample::attestation(late, 0, 0));
    let report = check_with(&publish(&entries), |expected| expected.now = time(late));
    assert_eq!(report.late_finals, 1);
}

#[test]
fn accounting_leaves_are_numbered_without_gap_or_repetition() {
    let with = |seqs: &[u64]| {
        let leaf = |(index, seq): (usize, &u64)| {
            Leaf::Accounting(Box::new(sample::accounting(index as u64, *seq))).to_canonical().unwrap()
        };
        class_of(&publish(&seqs.iter().enumerate().map(leaf).collect::<Vec<_>>()))
    };
    assert_eq!(with(&[1, 2, 3]), 0);
    assert_eq!(with(&[1, 3]), 16);
    assert_eq!(with(&[1, 1]), 16);
    assert_eq!(with(&[2]), 16);
}

#[test]
fn time_may_not_run_back_or_ahead_beyond_the_tolerance() {
    let with = |indices: &[u64]| {
        let leaf = |(seq, index): (usize, &u64)| {
            Leaf::Accounting(Box::new(sample::accounting(*index, seq as u64 + 1))).to_canonical().unwrap()
        };
        class_of(&publish(&indices.iter().enumerate().map(leaf).collect::<Vec<_>>()))
    };
    let tolerance = Expectations::CLOCK_TOLERANCE_MICROS as u64 / 1_000;
    assert_eq!(with(&[tolerance, 0]), 0);
    assert_eq!(with(&[tolerance + 1, 0]), 17);
    assert_eq!(with(&[3_600_000 + tolerance]), 0);
    assert_eq!(with(&[3_600_001 + tolerance]), 17);
}

#[test]
fn integrity_comes_before_meaning_and_every_class_has_its_page() {
    let mut entries = log(ROUND);
    entries.remove(7);
    entries.push(b"{}".to_vec());
    let report = check_with(&publish(&entries), |expected| {
        expected.size_min = 100;
        expected.now = time(0).plus_micros(2 * sample::SETTLE_MICROS);
    });
    let codes: BTreeSet<&str> = report.faults.iter().map(|fault| fault.code()).collect();
    assert_eq!(codes, BTreeSet::from(["WRIT-7013", "WRIT-7015", "WRIT-7016"]));
    assert_eq!(report.exit_code(), 13);
}

#[test]
fn a_report_names_a_bounded_number_of_faults_and_counts_all() {
    let entries: Vec<Vec<u8>> = (0..300).map(|_| b"{}".to_vec()).collect();
    let report = check_with(&publish(&entries), |_| ());
    assert_eq!((report.faults.len(), report.faults_total), (64, 300));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["faults"][0]["code"], "WRIT-7015");
    assert_eq!(json["trust"], "self_attested");
}
