//! One event that the gate let through, for benchmarks that append without an engine. There is no other way to one.

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
use writ_model::value::Value;
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
    let checked = Checked { envelope: envelope(text_bytes), schema };
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

fn envelope(text_bytes: usize) -> Envelope {
    let event_id: EventId = "019aa400-0000-7000-8000-000000000001".parse().expect("a UUID");
    let at = Timestamp(1_764_000_000_000_000);
    let header = ClearHeader {
        event_id,
        tenant: TenantId::new("bench").expect("a name"),
        source: SourceName::new("shop").expect("a name"),
        change_type: ChangeType::Email,
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
    let text = Value::Text("x".repeat(text_bytes));
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
        data: EventData {
            key: vec!["17".to_owned()],
            before: None,
            after: Some([("email".to_owned(), text)].into()),
            unseen: Vec::new(),
        },
    };
    Envelope { header, private }
}
