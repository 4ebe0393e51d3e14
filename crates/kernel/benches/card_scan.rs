//! What the card scan costs for an event of about 1 KiB, beside the least that any scan could do: one pass over the
//! same bytes that counts digits. In turns; prints JSON. Run with `cargo bench -p writ-kernel --bench card_scan`.
//!
//! The portable figure is the ratio; nanoseconds are this machine's.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints its result"
)]

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value as Json, json};
use writ_kernel::gate::card::scan;
use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{Generation, Incarnation, Position, RecordKey, Slot, SourceName, SubjectId, TenantId};
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::value::Value;

/// Rounds of both, and scans in each.
const ROUNDS: usize = 11;
const SCANS: u32 = 20_000;

fn main() {
    let shapes = [("words", words()), ("numbers", numbers()), ("encoded", encoded())];
    let rows: Vec<String> = shapes.iter().map(|(name, after)| measure(name, after)).collect();
    println!("[\n  {}\n]", rows.join(",\n  "));
}

/// A customer's row: names, an address, notes.
fn words() -> Json {
    let note =
        "Called about the delivery of Monday, wants it on the terrace, the bell is out of order. ".repeat(8);
    json!({"name": "Ada Example", "email": "ada@example.com", "street": "Long Street 12", "city": "Springfield",
           "locale": "en-GB", "notes": note, "tags": ["regular", "newsletter", "terrace"]})
}

/// A row of ids, times and phone numbers: digits everywhere, none of them a card's.
fn numbers() -> Json {
    let ids: Vec<Json> = (0..24).map(|n| json!(1_764_000_000_123_456_i64 + n * 7_919)).collect();
    json!({"phone": "+49 170 1234567", "created": "2026-11-26T05:41:41.123456Z", "ids": ids,
           "iban": "DE89 3704 0044 0532 0130 00", "uuid": "550e8400-e29b-41d4-a716-446655440000",
           "epochs": "1764000000123 1764000000124 1764000000125 1764000000126 1764000000127 1764000000128",
           "more": "1000000000001,1000000000002,1000000000003,1000000000004,1000000000005".repeat(4)})
}

/// Texts that are read twice: percent-encoded and base64.
fn encoded() -> Json {
    json!({"query": "utm_source=mail&utm_id=1000000000001&q=terrace%20chair%20%28blue%29+cheap".repeat(7),
           "token": "eyJ1c2VyIjoiYWRhIiwiaWQiOjEyMzQ1Njc4OTAxMiwic2NvcGUiOiJyZWFkIn0".repeat(8)})
}

fn measure(name: &str, after: &Json) -> String {
    let event = envelope(after);
    let bytes = serde_json::to_string(after).expect("plain JSON");
    assert!(scan(&[7; 32], &event).is_empty(), "a bench of clean events");
    let mut rounds: Vec<(f64, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        let scanned = nanoseconds(|| {
            black_box(scan(&[7; 32], black_box(&event)));
        });
        let floor = nanoseconds(|| {
            black_box(black_box(bytes.as_bytes()).iter().filter(|b| b.is_ascii_digit()).count());
        });
        rounds.push((scanned, floor));
    }
    let median = |mut of: Vec<f64>| {
        of.sort_by(f64::total_cmp);
        (of[0], of[of.len() / 2], of[of.len() - 1])
    };
    let (least, scan, most) = median(rounds.iter().map(|(scanned, _)| *scanned).collect());
    let (_, floor, _) = median(rounds.iter().map(|(_, floor)| *floor).collect());
    let (_, ratio, _) = median(rounds.iter().map(|(scanned, floor)| scanned / floor).collect());
    format!(
        "{{\"event\": \"{name}\", \"bytes\": {}, \"scan_ns\": {scan:.0}, \"scan_ns_min\": {least:.0}, \
         \"scan_ns_max\": {most:.0}, \"floor_ns\": {floor:.0}, \"time_to_floor\": {ratio:.1}}}",
        bytes.len()
    )
}

fn nanoseconds(mut act: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..SCANS).for_each(|_| act());
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(SCANS)
}

fn envelope(after: &Json) -> Envelope {
    let Value::Map(after) = Value::from_json(after) else { panic!("attributes are an object") };
    let header = ClearHeader {
        event_id: "019aa000-0000-7000-8000-000000000001".parse().expect("an id"),
        tenant: TenantId::new("shop").expect("a name"),
        source: SourceName::new("crm").expect("a name"),
        change_type: ChangeType::Email,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId([1; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(1),
        hlc: Hlc::default(),
        time: Timestamp(0),
        recorded_at: Timestamp(1),
        schema_major: 1,
        location: None,
        locale: None,
        lineage: None,
    };
    let data = EventData { key: vec!["17".into()], before: None, after: Some(after), unseen: Vec::new() };
    let private = PrivatePart {
        key: RecordKey(vec!["17".into()]),
        old_key: None,
        table: "customer".into(),
        incarnation: Incarnation("one".into()),
        position: Position::default(),
        transaction: None,
        producer_id: None,
        causation_id: "019aa000-0000-7000-8000-000000000002".parse().expect("an id"),
        correlation_id: None,
        version: None,
        data,
    };
    Envelope { header, private }
}
