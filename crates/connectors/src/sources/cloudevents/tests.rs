//! Both forms in all three modes, and what is refused with which words.

use writ_model::code;
use writ_model::lineage::{Claim, Lamport, SourceVersion};

use super::*;
use crate::secret::Secrets;

const RECEIVED: Timestamp = Timestamp(1_700_000_000_000_000);

fn source() -> Box<dyn PushSource> {
    let tables: Tables = serde_json::from_value(serde_json::json!({
        "com.shop.customer": {"entity": "customer", "key": ["id"], "changes": {"email": ["email"], "tier": ["tier.name"]}}
    }))
    .expect("mapping");
    let secrets = Secrets { base: ".".into() };
    let tenant = writ_model::id::TenantId::new("t").expect("name");
    let context = Context { tenant: &tenant, name: "intake", tables: &tables, secrets: &secrets };
    build(&context, serde_json::Value::Null).expect("builds")
}

fn decode_with(headers: &[(&str, &str)], body: &str) -> Result<Vec<Change>, IntakeError> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    source().decode(&Intake { headers: &headers, body: body.as_bytes(), received_at: RECEIVED })
}

fn structured(event: &serde_json::Value) -> Result<Vec<Change>, IntakeError> {
    decode_with(&[("content-type", "application/cloudevents+json; charset=utf-8")], &event.to_string())
}

fn typed_event() -> serde_json::Value {
    serde_json::json!({
        "specversion": "1.0", "id": "1", "source": "/crm", "type": "writ.customer.email.v1",
        "subject": "customer/a%2Fb", "time": "2026-01-02T03:04:05Z",
        "data": {"before": {"email": "ada@example.org"}, "after": {"email": "ada@example.net"}},
    })
}

#[test]
fn a_typed_event_is_a_declared_change_of_the_record_in_its_subject() {
    let changes = structured(&typed_event()).expect("taken");
    let [change] = changes.as_slice() else { panic!("one change") };
    assert_eq!(change.declared, Some(ChangeType::Email));
    assert_eq!(change.key, RecordKey(vec!["a/b".into()]));
    assert_eq!((change.table.as_str(), change.row), ("customer", RowChange::Upsert));
    assert_eq!(change.committed_at.to_string(), "2026-01-02T03:04:05.000000Z");
    let email = |image: &Option<Image>| image.as_ref().and_then(|i| i.get("email").cloned());
    assert_eq!(email(&change.before), Some(Value::Text("ada@example.org".into())));
    assert_eq!(email(&change.after), Some(Value::Text("ada@example.net".into())));
}

#[test]
fn a_mapped_event_in_binary_mode_is_the_row_as_it_is_now_with_exact_numbers() {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/shop"),
        ("ce-type", "com.shop.customer"),
        ("content-type", "application/json"),
    ];
    let changes =
        decode_with(&headers, r#"{"id": 18446744073709551617, "email": null, "secret": 1}"#).expect("taken");
    let change = &changes[0];
    assert_eq!((change.row, change.declared), (RowChange::Upsert, None));
    assert_eq!(change.key, RecordKey(vec!["18446744073709551617".into()]));
    assert_eq!(change.committed_at, RECEIVED);
    let after = change.after.as_ref().expect("row");
    assert_eq!(after.get("email"), Some(&Value::Null));
    assert_eq!(
        after.0.keys().map(String::as_str).collect::<Vec<_>>(),
        ["email", "id"],
        "only mapped columns"
    );
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let good = typed_event();
    let mut bad = typed_event();
    bad["subject"] = serde_json::Value::Null;
    let batch = |events: &[&serde_json::Value]| {
        let body = serde_json::json!(events).to_string();
        decode_with(&[("content-type", "application/cloudevents-batch+json")], &body)
    };
    assert_eq!(batch(&[&good, &good]).map(|changes| changes.len()), Ok(2));
    assert_eq!(batch(&[&good, &bad]).expect_err("refused").code, code::INTAKE_NOT_CLOUDEVENT);
}

#[test]
fn source_and_id_never_run_into_each_other() {
    let id_of = |source: &str, id: &str| {
        let mut event = typed_event();
        event["source"] = source.into();
        event["id"] = id.into();
        structured(&event).expect("taken")[0].producer_id.clone()
    };
    assert_ne!(id_of("/a", "bc"), id_of("/ab", "c"));
    assert_eq!(id_of("/a", "bc"), id_of("/a", "bc"));
}

#[test]
fn a_refusal_names_the_attribute_and_no_value() {
    let cases = [
        ("subject", serde_json::Value::Null, "subject"),
        ("type", "writ.customer.hunter2.v1".into(), "type"),
        ("type", "hunter2".into(), "type"),
        ("time", "hunter2".into(), "time"),
        ("id", serde_json::Value::Null, "id"),
        ("specversion", "0.3".into(), "specversion"),
        ("data", serde_json::json!({"after": "hunter2"}), "after"),
        ("data", serde_json::json!([1]), "data"),
    ];
    for (name, value, named) in cases {
        let mut event = typed_event();
        event[name] = value;
        let error = structured(&event).expect_err(name);
        assert_eq!(error.code, code::INTAKE_NOT_CLOUDEVENT, "{name}");
        assert!(error.cause.contains(named), "{name}: {}", error.cause);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_mapped_row_without_its_key_is_refused_and_a_delete_carries_the_last_image() {
    let mut event = serde_json::json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "com.shop.customer",
        "operation": "delete", "data": {"id": 1, "tier": {"name": "gold"}},
    });
    let changes = structured(&event).expect("taken");
    assert_eq!((changes[0].row, changes[0].after.is_none()), (RowChange::Delete, true));
    let before = changes[0].before.as_ref().expect("image");
    assert_eq!(before.get("tier.name"), Some(&Value::Text("gold".into())));
    event["data"] = serde_json::json!({"email": "ada@example.org"});
    assert!(structured(&event).expect_err("no key").cause.contains("`id`"));
}

fn claimed(extensions: &[(&str, &str)]) -> Result<Claim, IntakeError> {
    let mut event = typed_event();
    for (name, value) in extensions {
        event[*name] = (*value).into();
    }
    structured(&event).map(|mut changes| changes.remove(0).claim)
}

#[test]
fn a_time_is_a_version_and_one_from_a_clock_that_runs_ahead_counts_as_its_arrival() {
    let version = |time: &str| claimed(&[("time", time)]).expect("taken").version;
    let at = |text: &str| Some(SourceVersion::Time(text.parse().expect("a time")));
    assert_eq!(version("2020-01-02T03:04:05Z"), at("2020-01-02T03:04:05Z"));
    assert_eq!(version("2999-01-01T00:00:00Z"), Some(SourceVersion::Time(RECEIVED)));
}

#[test]
fn a_sequence_is_a_version_of_its_producer_and_integers_are_ordered_as_numbers() {
    let version =
        |extensions: &[(&str, &str)]| claimed(extensions).expect("taken").version.expect("a version");
    let nine = version(&[("sequence", "9"), ("sequencetype", "Integer")]);
    let ten = version(&[("sequence", "10"), ("sequencetype", "Integer")]);
    assert!(nine.is_older_than(&ten));
    let elsewhere = version(&[("sequence", "10"), ("sequencetype", "Integer"), ("source", "/erp")]);
    assert!(!nine.is_older_than(&elsewhere));
    let slots = ["1", "2"].map(|slot| version(&[("sequence", "000"), ("slot", slot)]));
    assert_ne!(slots[0], slots[1]);
}

#[test]
fn another_store_s_clocks_are_read_and_senseless_ones_are_refused() {
    let claim = claimed(&[
        ("hlc", "001764000000123-00000002-00ff"),
        ("lamport", "00000000000000000007"),
        ("versionvector", "eu=3,us=5"),
        ("correlationid", "order-1"),
    ]);
    let claim = claim.expect("taken");
    assert_eq!(claim.hlc.map(|hlc| (hlc.millis, hlc.counter, hlc.node)), Some((1_764_000_000_123, 2, 255)));
    assert_eq!(claim.lamport, Some(Lamport(7)));
    assert_eq!(claim.vector.map(|vector| vector.to_string()), Some("eu=3,us=5".to_owned()));
    assert_eq!(claim.correlation.as_deref(), Some("order-1"));
    let long = "x".repeat(257);
    for (name, value) in [
        ("hlc", "now"),
        ("lamport", "18446744073709551615"),
        ("versionvector", "eu"),
        ("correlationid", long.as_str()),
        ("sequence", long.as_str()),
    ] {
        let refused = claimed(&[(name, value)]).expect_err(name);
        assert!(refused.cause.contains(name), "{}", refused.cause);
    }
}
