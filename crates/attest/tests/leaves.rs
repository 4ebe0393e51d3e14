//! Leaves keep their bytes, refuse what is not of their form, and link no two events of a subject.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test reads its goldens and may panic")]

mod sample;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sample::{blinding, entry, event_id, intent, linked, log, state};
use writ_attest::acks;
use writ_attest::blind::{LinkedIn, Opening, OpeningError, verify_opening};
use writ_attest::leaf::{CustodyStep, FieldError, Kind, Leaf, LeafError, StepSignature};

/// Compares with a file under `testdata`; `WRIT_UPDATE_GOLDENS=1` writes it anew.
fn check_golden(name: &str, text: &str) {
    let path = format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("WRIT_UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name} changed: old logs would not verify");
}

fn leaf_of(index: u64) -> (Vec<u8>, Leaf) {
    let entry = entry(index);
    let bytes = acks::split(&entry).0.to_vec();
    let leaf = Leaf::parse(&bytes).unwrap();
    (bytes, leaf)
}

#[test]
fn leaf_bytes_never_change() {
    let entries: Vec<String> = (0..6).map(|index| String::from_utf8(entry(index)).unwrap()).collect();
    check_golden("leaves.txt", &format!("{}\n", entries.join("\n")));
}

#[test]
fn checkpoint_bytes_never_change() {
    let note = &sample::published::publish(&log(8)).0[writ_attest::verify::CHECKPOINT_PATH];
    check_golden("checkpoint.txt", std::str::from_utf8(note).unwrap());
}

#[test]
fn every_kind_of_leaf_reads_back_as_it_was_written() {
    for index in 0..8 {
        let (bytes, leaf) = leaf_of(index);
        assert_eq!(leaf.to_canonical().unwrap(), bytes);
        assert_eq!(leaf.timestamp(), sample::time(index));
        assert_eq!(Kind::of_own(&bytes), Some(leaf.kind()));
    }
}

#[test]
fn the_final_leaf_has_all_fields_of_the_specification() {
    let (bytes, _) = leaf_of(5);
    let read: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    for field in [
        "event_id",
        "change_type",
        "subject_identifier",
        "before_state_hash",
        "after_state_hash",
        "schema_version",
        "policy_version",
        "decision",
        "subscriber_ack_set",
        "timestamp",
        "chain_of_custody",
    ] {
        assert!(read.contains_key(field), "{field}");
    }
}

#[test]
fn a_missing_an_unknown_or_an_ill_formed_field_is_named() {
    let (bytes, _) = leaf_of(0);
    let text = String::from_utf8(bytes).unwrap();
    let parse = |text: String| Leaf::parse(text.as_bytes());
    let missing = parse(text.replace(r#""source":"orders","#, ""));
    assert_eq!(missing, Err(LeafError::Field(FieldError::Missing("source"))));
    let unknown = parse(text.replace(r#""source":"#, r#""sorrow":"x","source":"#));
    assert_eq!(unknown, Err(LeafError::Field(FieldError::Unknown("sorrow".into()))));
    let invalid = parse(text.replace(r#""source":"orders""#, r#""source":"ada@example.org""#));
    assert_eq!(invalid, Err(LeafError::Field(FieldError::Invalid("source"))));
    let number = parse(text.replace(r#""source":"orders""#, r#""source":7"#));
    assert_eq!(number, Err(LeafError::Field(FieldError::Invalid("source"))));
    assert!(matches!(parse(text.replace("intent.v1", "supplement.v1")), Err(LeafError::Record(_))));
    assert!(matches!(
        parse(text.replace("cleared", "refused")),
        Err(LeafError::Field(FieldError::Invalid("decision")))
    ));
}

#[test]
fn personal_data_does_not_fit_into_a_leaf() {
    let with = |change: fn(&mut writ_attest::leaf::Intent)| {
        let mut intent = intent(0, 0);
        change(&mut intent);
        Leaf::Intent(Box::new(intent)).to_canonical()
    };
    assert!(with(|intent| intent.facts.source = "ada@example.org".into()).is_err());
    assert!(with(|intent| intent.facts.change_type = "Ada moved".into()).is_err());
    assert!(with(|intent| intent.facts.policy_version = "default".into()).is_err());
    assert!(with(|intent| intent.chain_of_custody[0].actor = "10.0.0.1".into()).is_err());
    assert!(with(|_| ()).is_ok());
}

#[test]
fn a_custody_signature_has_its_key_or_is_absent() {
    let mut signed = intent(0, 0);
    let signature = Some(StepSignature { key_id: [1; 4], bytes: [2; 64] });
    signed.chain_of_custody[0] = CustodyStep { signature, ..signed.chain_of_custody[0].clone() };
    let bytes = Leaf::Intent(Box::new(signed)).to_canonical().unwrap();
    assert_eq!(Leaf::parse(&bytes).unwrap().to_canonical().unwrap(), bytes);
    let half = String::from_utf8(bytes).unwrap().replace(r#""key_id":"01010101","#, "");
    assert!(Leaf::parse(half.as_bytes()).is_err());
}

#[test]
fn accounting_sums_up_or_is_refused() {
    let mut accounting = sample::accounting(4, 1);
    assert_eq!(accounting.accepted_total(), 3);
    accounting.duplicate += 1;
    let refused = Leaf::Accounting(Box::new(accounting)).to_canonical();
    assert_eq!(refused, Err(LeafError::Field(FieldError::Invalid("covered"))));
}

/// Every string in the leaf but those of the declared vocabularies and times, by the path to it.
fn strings(value: &serde_json::Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::String(text) => found.push((path.to_owned(), text.clone())),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, path, found)),
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, value)| strings(value, &format!("{path}/{key}"), found));
        }
        serde_json::Value::Number(number) => found.push((path.to_owned(), number.to_string())),
        serde_json::Value::Null | serde_json::Value::Bool(_) => panic!("not in the profile"),
    }
}

#[test]
fn no_field_links_two_events_of_one_subject() {
    /// Small vocabularies and times, as the format's page declares them.
    const DECLARED: &[&str] = &[
        "/record",
        "/change_type",
        "/source",
        "/shard",
        "/schema_version",
        "/policy_version",
        "/decision",
        "/reason",
        "/timestamp",
        "/settle_by",
        "/chain_of_custody/step",
        "/chain_of_custody/actor",
        "/chain_of_custody/at",
        "/subscriber_ack_set/acknowledged",
        "/subscriber_ack_set/dead_lettered",
        "/subscriber_ack_set/pending",
        "/subscriber_ack_set/withheld",
    ];
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for bytes in log(4_000) {
        let (leaf, _) = acks::split(&bytes);
        let read: serde_json::Value = serde_json::from_slice(leaf).unwrap();
        let Some(event) = read.get("event_id").and_then(|id| id.as_str()) else { continue };
        let mut found = Vec::new();
        strings(&read, "", &mut found);
        for (path, text) in found.into_iter().filter(|(path, _)| !DECLARED.contains(&path.as_str())) {
            let events = seen.entry(text).or_default();
            events.insert(event.to_owned());
            assert_eq!(events.len(), 1, "{path} says the same of {events:?}");
        }
    }
    assert!(seen.len() > 10_000);
}

fn opening_of(event: u64) -> Opening {
    let blinding = blinding(event);
    let facts = String::from_utf8(linked(event).to_canonical().unwrap()).unwrap();
    Opening {
        event_id: event_id(event).to_string(),
        subject: Some(blinding.open_subject(sample::TENANT, sample::SUBJECTS[sample::subject_of(event)])),
        before: Some(blinding.open_before("null")),
        after: Some(blinding.open_after(&state(event))),
        linked: Some(blinding.open_linked(LinkedIn::Intent, &facts)),
    }
}

#[test]
fn an_opening_shows_its_event_in_full_or_in_part() {
    let leaf = Leaf::Intent(Box::new(intent(0, 0)));
    let opened = verify_opening(&opening_of(0), &leaf).unwrap();
    assert!(opened.subject && opened.before && opened.after && opened.linked);
    let json = opening_of(0).to_json();
    let mut partial = Opening::parse(json.as_bytes()).unwrap();
    (partial.subject, partial.before, partial.linked) = (None, None, None);
    let opened = verify_opening(&partial, &leaf).unwrap();
    assert!(opened.after && !opened.subject && !opened.before && !opened.linked);
}

#[test]
fn an_opening_of_one_event_does_not_open_its_sibling() {
    // Events 0 and 2 are of one subject with one state.
    assert_eq!(state(0), state(2));
    let sibling = Leaf::Intent(Box::new(intent(1, 2)));
    let mut opening = opening_of(0);
    assert_eq!(verify_opening(&opening, &sibling), Err(OpeningError::Event));
    opening.event_id = event_id(2).to_string();
    assert_eq!(verify_opening(&opening, &sibling), Err(OpeningError::Mismatch("subject")));
    opening.subject = None;
    assert_eq!(verify_opening(&opening, &sibling), Err(OpeningError::Mismatch("before")));
    opening.before = None;
    assert_eq!(verify_opening(&opening, &sibling), Err(OpeningError::Mismatch("after")));
    opening.after = None;
    assert_eq!(verify_opening(&opening, &sibling), Err(OpeningError::Mismatch("linked")));
}

#[test]
fn the_linked_facts_of_an_intent_do_not_open_those_of_its_final() {
    let (_, last) = leaf_of(5);
    let mut opening = opening_of(0);
    (opening.subject, opening.before, opening.after) = (None, None, None);
    assert_eq!(verify_opening(&opening, &last), Err(OpeningError::Mismatch("linked")));
}

#[test]
fn an_opening_does_not_print_itself() {
    assert_eq!(format!("{:?} {:?}", opening_of(0), opening_of(0).subject), "Opening Some(OpenedSubject)");
}

proptest! {
    #[test]
    fn a_leaf_with_one_byte_changed_is_refused_or_another_leaf(index in 0_u64..8, at in 0_usize..2_000, to in any::<u8>()) {
        let (mut bytes, leaf) = leaf_of(index);
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(other) = Leaf::parse(&bytes) {
            prop_assert_ne!(&other, &leaf);
            prop_assert_eq!(other.to_canonical().unwrap(), bytes);
        }
    }
}
