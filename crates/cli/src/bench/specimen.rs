//! One event, for benchmarks without an engine: as it comes to the gate, or let through by one. There is no other way
//! to the latter.

use std::time::Duration;

use writ_kernel::gate::machine::{Config, Effect, Fact, Gate, Ticket};
use writ_kernel::gate::{Cleared, Decided};
use writ_kernel::machine::{Machine, Now};
use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{
    EventId, Generation, Incarnation, Position, RecordKey, Slot, SourceName, SubjectId, TenantId,
};
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::value::{Attributes, Value};
use writ_model::verdict::{Checked, PolicyAnswer, PolicyVerdict, PolicyVersion, SchemaVerdict};

/// An e-mail change with so many bytes of text.
pub(super) fn cleared(text_bytes: usize) -> Cleared {
    let version = PolicyVersion(format!("default@sha256:{}", "0".repeat(64)).into());
    let mut gate = Gate::new(Config {
        policy_version: version.clone(),
        ask_timeout: Duration::from_secs(1),
        card_hash_key: [1; 32],
    });
    let schema = SchemaVerdict::Valid { version: format!("email.v1+sha256:{}", "1".repeat(64)) };
    let checked = Checked { envelope: email(text_bytes), schema };
    let verdict = PolicyVerdict {
        answer: PolicyAnswer::Clear,
        class: None,
        deny_subscribers: Vec::new(),
        withhold: Vec::new(),
        version,
    };
    let mut effects = Vec::new();
    gate.on(Now::default(), Fact::Submit(Ticket(1), Box::new(checked)), &mut effects);
    gate.on(Now::default(), Fact::Verdict(Ticket(1), verdict), &mut effects);
    let decided = effects.into_iter().find_map(|effect| match effect {
        Effect::Decided(_, Decided::Cleared(cleared)) => Some(cleared),
        Effect::Decided(_, Decided::Kept(_)) | Effect::Ask(..) => None,
    });
    decided.expect("the policy's answer is to clear it")
}

fn email(text_bytes: usize) -> Envelope {
    let text = Value::Text("x".repeat(text_bytes));
    envelope(ChangeType::Email, None, [("email".to_owned(), text)].into())
}

/// A withdrawal of consent, of about 1 KiB as JSON.
pub(super) fn consent() -> Envelope {
    let state = |status: &str, version: &str, proof: &str| {
        let texts = [
            ("class", "marketing"),
            ("channel", "sms"),
            ("status", status),
            ("basis", "consent"),
            ("given_at", "2026-11-26T18:20:05.123456Z"),
            ("text_version", version),
            ("proof", proof),
        ];
        texts.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned()))).collect()
    };
    let place =
        "archive of the call centre, third floor; the recording and the form lie beside one another. ";
    let before = state("granted", "2024-03 long", &place.repeat(3));
    let mut event =
        envelope(ChangeType::Consent, Some(before), state("withdrawn", "2026-01 short", &place.repeat(4)));
    event.header.location = Some("eu-graz-1".to_owned());
    event
}

fn envelope(change_type: ChangeType, before: Option<Attributes>, after: Attributes) -> Envelope {
    let event_id: EventId = "019aa400-0000-7000-8000-000000000001".parse().expect("a UUID");
    let at = Timestamp(1_764_000_000_000_000);
    let header = ClearHeader {
        event_id,
        tenant: TenantId::new("bench").expect("a name"),
        source: SourceName::new("shop").expect("a name"),
        change_type,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId([3; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(5),
        hlc: Hlc { millis: 1_764_000_000_000, counter: 0, node: 0 },
        time: at,
        recorded_at: at,
        schema_major: 1,
        location: None,
        locale: None,
        lineage: None,
    };
    let private = PrivatePart {
        key: RecordKey(vec!["17".to_owned()]),
        old_key: None,
        table: "customers".to_owned(),
        incarnation: Incarnation("bench".to_owned()),
        position: Position { commit: 9, ordinal: 1 },
        transaction: None,
        producer_id: None,
        causation_id: event_id,
        correlation_id: None,
        version: None,
        data: EventData { key: vec!["17".to_owned()], before, after: Some(after), unseen: Vec::new() },
    };
    Envelope { header, private }
}
