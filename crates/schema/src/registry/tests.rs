//! The built-in schemas over plausible and implausible data, and files that replace them.

use serde_json::json;
use writ_model::envelope::{ClearHeader, EventData, PrivatePart};
use writ_model::id::{Generation, Incarnation, Position, RecordKey, Slot, SourceName, SubjectId, TenantId};
use writ_model::taxonomy::{Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_model::value::{Attributes, Value as Known};

use super::*;

fn attributes(json: &Value) -> Option<Attributes> {
    match Known::from_json(json) {
        Known::Map(map) => Some(map),
        Known::Null => None,
        other => panic!("attributes are an object, not {other:?}"),
    }
}

fn envelope(change_type: ChangeType, before: &Value, after: &Value) -> Envelope {
    let header = ClearHeader {
        event_id: "019aa000-0000-7000-8000-000000000001".parse().expect("an id"),
        tenant: TenantId::new("shop").expect("a name"),
        source: SourceName::new("crm").expect("a name"),
        change_type,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId([1; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(1),
        hlc: Hlc::default(),
        time: Timestamp(0),
        recorded_at: Timestamp(0),
        schema_major: 1,
        location: None,
        locale: None,
        lineage: None,
    };
    let data = EventData {
        key: vec!["17".into()],
        before: attributes(before),
        after: attributes(after),
        unseen: vec![],
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

/// `path keyword` of each violation; none when valid.
fn violated(registry: &Registry, change_type: ChangeType, before: Value, after: Value) -> Vec<String> {
    match registry.check(envelope(change_type, &before, &after)).schema {
        SchemaVerdict::Valid { .. } => Vec::new(),
        SchemaVerdict::Invalid { violations, .. } => {
            violations.into_iter().map(|v| format!("{} {}", v.path, v.keyword)).collect()
        }
    }
}

#[track_caller]
fn check(change_type: ChangeType, after: Value, expected: &[&str]) {
    assert_eq!(violated(&Registry::built_in(), change_type, Value::Null, after), expected);
}

#[test]
fn every_change_type_has_a_titled_and_described_schema_under_its_own_name() {
    let registry = Registry::built_in();
    for change_type in ChangeType::ALL {
        let schema = registry.schema(*change_type);
        assert_eq!(schema.major(), 1);
        assert!(schema.version().starts_with(&format!("{change_type}.v1+sha256:")));
        assert_eq!(schema.document()["$id"], format!("urn:writ:schema:{change_type}:v1"));
        for member in ["title", "description"] {
            assert!(schema.document()[member].as_str().is_some_and(|text| !text.is_empty()));
        }
    }
}

#[test]
fn attributes_of_the_operator_s_own_are_welcome_everywhere_and_deletes_have_none() {
    for change_type in ChangeType::ALL {
        check(*change_type, json!({"colour": "red", "nested": {"a": [1, null]}}), &[]);
        check(*change_type, Value::Null, &[]);
    }
}

#[test]
fn known_attributes_are_checked() {
    check(ChangeType::Email, json!({"email": "ada@example.org"}), &[]);
    check(ChangeType::Email, json!({"email": null}), &[]);
    check(ChangeType::Email, json!({"email": "not an address"}), &["/after/email format"]);
    check(ChangeType::Phone, json!({"phone": "+43 (1) 234-567 ext. 12"}), &[]);
    check(ChangeType::Phone, json!({"phone": "call me"}), &["/after/phone pattern"]);
    check(ChangeType::Consent, json!({"class": "marketing", "channel": "sms", "status": "withdrawn"}), &[]);
    check(
        ChangeType::Consent,
        json!({"status": "perhaps", "channel": "fax"}),
        &["/after/channel enum", "/after/status enum"],
    );
    check(ChangeType::PaymentMethod, json!({"token": "tok_1", "last4": "4242", "exp_month": 12}), &[]);
    check(
        ChangeType::PaymentMethod,
        json!({"cvv": "123", "last4": "42424"}),
        &["/after/cvv not", "/after/last4 pattern"],
    );
}

#[test]
fn bad_data_can_be_corrected() {
    let violated = violated(
        &Registry::built_in(),
        ChangeType::Email,
        json!({"email": "not an address"}),
        json!({"email": "ada@example.org"}),
    );
    assert_eq!(violated, [""; 0]);
}

#[test]
fn violations_never_quote_the_data() {
    let schema = r#"{"properties": {"after": {"additionalProperties": {"type": "integer"}}}}"#;
    let registry = Registry::from_files([("email.v1.json", schema)]).expect("a schema");
    let after = json!({"ada@example.org": "secret", "plain": "secret"});
    let violated = violated(&registry, ChangeType::Email, Value::Null, after);
    assert_eq!(violated, ["/after/(name) type", "/after/plain type"]);
}

#[test]
fn the_number_of_violations_is_bounded() {
    let schema = r#"{"properties": {"after": {"additionalProperties": {"type": "integer"}}}}"#;
    let registry = Registry::from_files([("email.v1.json", schema)]).expect("a schema");
    let after: Value =
        (0..200).map(|n| (format!("a{n:03}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(violated(&registry, ChangeType::Email, Value::Null, after).len(), VIOLATIONS_MAX);
}

#[test]
fn the_highest_major_of_an_operator_s_files_is_in_force() {
    let files = [("email.v2.json", "{}"), ("email.v1.json", "{\"type\": \"array\"}")];
    let registry = Registry::from_files(files).expect("schemas");
    assert_eq!(registry.schema(ChangeType::Email).major(), 2);
    assert_eq!(registry.schema(ChangeType::Phone).major(), 1);
    // The hash of the two bytes `{}`.
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(registry.schema(ChangeType::Email).version(), format!("email.v2+sha256:{hash}"));
}

#[test]
fn files_that_cannot_be_used_are_refused_with_their_name() {
    let refused = |name: &str, text: &str, cause: &str| {
        let error = Registry::from_files([(name, text)]).expect_err("the file is refused").to_string();
        assert!(
            error.starts_with(&format!("WRIT-1006 schema file {name}: ")) && error.contains(cause),
            "{error}"
        );
    };
    refused("email.json", "{}", "the name is not");
    refused("email.v0.json", "{}", "the name is not");
    refused("e-mail.v1.json", "{}", "the name is not");
    refused("email.v1.json", "{", "not JSON");
    refused("email.v1.json", r#"{"type": "strin"}"#, "not a usable JSON Schema");
    refused("email.v1.json", r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#, "$schema must be");
    refused("email.v1.json", r#"{"format": "emial"}"#, "not a usable JSON Schema");
    refused("email.v1.json", r#"{"pattern": "(?=x)y"}"#, "not a usable JSON Schema");
}

#[test]
fn references_are_never_fetched() {
    for uri in ["http://127.0.0.1:9/schema.json", "file:///etc/hostname", "https://example.org/s"] {
        let schema = json!({"$ref": uri}).to_string();
        assert!(Registry::from_files([("email.v1.json", schema)]).is_err(), "{uri}");
    }
}
