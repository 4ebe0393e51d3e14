//! Leaves as an engine writes them, the same on every run: three intents, a withheld event, an accounting
//! leaf and three finals, over and over, about two subjects in turn.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test and bench takes what it needs")]

pub mod published;

use std::collections::BTreeMap;

use writ_attest::acks::{self, AckRecord, Settled};
use writ_attest::blind::{
    EventBlinding, EvidenceKey, Linked, LinkedDelivery, LinkedIn, NO_STATE, Range, range_commitment,
};
use writ_attest::leaf::{
    Accounting, Attestation, CustodyStep, EventFacts, EventId, Intent, Leaf, Withheld, WithheldAs,
};
use writ_attest::note::NoteSigner;
use writ_attest::time::Time;

pub const ORIGIN: &str = "audit.example.com/shop/standard/2026-11";
pub const TENANT: &str = "shop";
pub const SUBJECTS: [&str; 2] = ["5b1f0f3a9d4c4e55b1f00f3a9d4c4e55", "c0ffee00c0ffee00c0ffee00c0ffee00"];
const SHARD: &str = "standard-2026-11";
const ROUND: u64 = 8;
const EVENTS_PER_ROUND: u64 = 4;

/// Long enough that nothing is overdue in a test, short enough that everything is a year later.
pub const SETTLE_MICROS: i64 = 72 * 3_600_000_000;

/// One leaf a millisecond from 2026-11-21T05:30:00Z on.
pub fn time(index: u64) -> Time {
    Time::parse("2026-11-21T05:30:00.000000Z").unwrap().plus_micros(index as i64 * 1_000)
}

pub fn signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[7; 32]).unwrap()
}

pub fn key_of(subject: usize) -> EvidenceKey {
    EvidenceKey::new([subject as u8 + 1; 32])
}

pub fn subject_of(event: u64) -> usize {
    (event % 2) as usize
}

pub fn event_id(event: u64) -> EventId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(1_795_239_000_000 + event).to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&[0x70, 0x01]);
    bytes[8..].copy_from_slice(&event.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    EventId(bytes)
}

pub fn blinding(event: u64) -> EventBlinding {
    EventBlinding::derive(&key_of(subject_of(event)), ORIGIN, event_id(event))
}

pub fn state(event: u64) -> String {
    format!(r#"{{"email":"{}@example.org"}}"#, SUBJECTS[subject_of(event)])
}

pub fn linked(event: u64) -> Linked {
    Linked {
        sequence: Some(event / 2 + 1),
        causation_id: Some(event_id(event & !1).to_string()),
        transaction: Some(format!("{}", 700 + event / 2)),
        incarnation: Some("7301/1/writ".into()),
        position: Some(format!("{}.{}", 9_000 + event, 0)),
        deliveries: Vec::new(),
    }
}

fn facts(event: u64) -> EventFacts {
    let blinding = blinding(event);
    EventFacts {
        event_id: event_id(event),
        change_type: "email".into(),
        source: "orders".into(),
        subject_identifier: blinding.subject_tag(TENANT, SUBJECTS[subject_of(event)]),
        before_state_hash: blinding.before(NO_STATE),
        after_state_hash: blinding.after(state(event).as_bytes()),
        schema_version: format!("email.v1+sha256:{}", "0a".repeat(32)),
        policy_version: format!("default@sha256:{}", "0b".repeat(32)),
        shard: SHARD.into(),
    }
}

fn custody(at: Time) -> Vec<CustodyStep> {
    let step = |step: &str, actor: &str, micros| CustodyStep {
        step: step.into(),
        actor: actor.into(),
        at: at.plus_micros(micros),
        signature: None,
    };
    vec![
        step("captured", "source-orders", -900),
        step("admitted", "engine", -100),
        step("decided", "gate", 0),
    ]
}

pub fn intent(index: u64, event: u64) -> Intent {
    Intent {
        facts: facts(event),
        settle_by: time(index).plus_micros(SETTLE_MICROS),
        linked: blinding(event).linked(LinkedIn::Intent, &linked(event).to_canonical().unwrap()),
        timestamp: time(index),
        chain_of_custody: custody(time(index)),
        time_anchor: None,
    }
}

pub fn ack_records(index: u64) -> Vec<AckRecord> {
    let record = |subscriber: &str, settled, attempts| AckRecord {
        subscriber: subscriber.into(),
        settled,
        at: time(index),
        attempts,
    };
    vec![record("crm", Settled::Acknowledged, 1), record("mail", Settled::DeadLettered, 9)]
}

/// The final leaf and its records, as the engine's log holds them.
pub fn attestation(index: u64, event: u64, intent_index: u64) -> Vec<u8> {
    let (set, records) = acks::seal(ack_records(index)).unwrap();
    let delivery = |subscriber: &str| LinkedDelivery {
        subscriber: subscriber.into(),
        delivery_id: format!("{subscriber}-{event}"),
        answer_sha256: Some("00".repeat(32)),
    };
    let linked = Linked { deliveries: vec![delivery("crm"), delivery("mail")], ..Linked::default() };
    let leaf = Leaf::Attestation(Box::new(Attestation {
        facts: facts(event),
        intent_index,
        subscriber_ack_set: set,
        linked: Some(blinding(event).linked(LinkedIn::Attestation, &linked.to_canonical().unwrap())),
        timestamp: time(index),
        chain_of_custody: custody(time(index)),
        time_anchor: None,
    }));
    acks::join(&leaf.to_canonical().unwrap(), &records)
}

pub fn withheld(index: u64, event: u64) -> Withheld {
    Withheld {
        facts: facts(event),
        decision: WithheldAs::Quarantined,
        reason: "card_number".into(),
        linked: blinding(event).linked(LinkedIn::Withheld, &linked(event).to_canonical().unwrap()),
        timestamp: time(index),
        chain_of_custody: custody(time(index)),
        time_anchor: None,
    }
}

pub fn accounting(index: u64, seq: u64) -> Accounting {
    let (from, to) = (format!("{}.0", seq * 10), format!("{}.9", seq * 10));
    let range =
        Range { source: "orders", partition: "0", seq, incarnation: "7301/1/writ", from: &from, to: &to };
    Accounting {
        source: "orders".into(),
        partition: "0".into(),
        seq,
        covered: 6,
        accepted: BTreeMap::from([(SHARD.into(), 3)]),
        duplicate: 1,
        stale: 0,
        unchanged: 1,
        held: 0,
        quarantined: 1,
        refused: 0,
        range: range_commitment(&EvidenceKey::new([99; 32]), ORIGIN, &range),
        shard: SHARD.into(),
        timestamp: time(index),
    }
}

/// What the engine's log holds at one index.
pub fn entry(index: u64) -> Vec<u8> {
    let (round, place) = (index / ROUND, index % ROUND);
    let event = round * EVENTS_PER_ROUND + place % 5;
    let leaf = match place {
        0..=2 => Leaf::Intent(Box::new(intent(index, event))),
        3 => Leaf::Withheld(Box::new(withheld(index, event))),
        4 => Leaf::Accounting(Box::new(accounting(index, round + 1))),
        _ => return attestation(index, event, index - 5),
    };
    leaf.to_canonical().unwrap()
}

/// The first `count` entries.
pub fn log(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(entry).collect()
}
