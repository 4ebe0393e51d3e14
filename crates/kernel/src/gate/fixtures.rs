//! Events for the gate's tests.

use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{Generation, Incarnation, Position, RecordKey, Slot, SourceName, SubjectId, TenantId};
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::value::{Attributes, Value};

/// An e-mail update of the first subject.
pub(crate) fn envelope() -> Envelope {
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
    let mail = |address: &str| Attributes::from([("email".to_owned(), Value::Text(address.into()))]);
    let data = EventData {
        key: vec!["17".into()],
        before: Some(mail("a@x.example")),
        after: Some(mail("b@x.example")),
        unseen: Vec::new(),
    };
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
