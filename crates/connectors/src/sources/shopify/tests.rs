//! Signatures, topics, exact ids, and what a forged header cannot do.

use writ_model::change::RowChange;
use writ_model::taxonomy::ChangeType;

use super::*;
use crate::secret::Secrets;

const SECRET: &str = "not-a-real-app-secret";
const RECEIVED: Timestamp = Timestamp(1_900_000_000_000_000);

fn source() -> Box<dyn PushSource> {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("old"), "rotated-away").expect("write");
    std::fs::write(folder.path().join("new"), SECRET).expect("write");
    let secrets = Secrets { base: folder.path().to_owned() };
    let tenant = writ_model::id::TenantId::new("t").expect("name");
    let tables = Tables::new();
    let context = Context { tenant: &tenant, name: "shop", tables: &tables, secrets: &secrets };
    build(&context, serde_json::json!({"secrets": ["file:old", "file:new"]})).expect("builds")
}

fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, body.as_bytes()))
}

fn send_with(headers: &[(&str, &str)], body: &str) -> Result<Vec<Change>, IntakeError> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    source().decode(&Intake { headers: &headers, body: body.as_bytes(), received_at: RECEIVED })
}

fn send(topic: &str, body: &str) -> Result<Vec<Change>, IntakeError> {
    send_with(&[("x-shopify-topic", topic), ("x-shopify-hmac-sha256", &signature(SECRET, body))], body)
}

fn one(topic: &str, body: &str) -> Change {
    let mut changes = send(topic, body).expect(topic);
    assert_eq!(changes.len(), 1, "{topic}");
    changes.remove(0)
}

fn at<'c>(change: &'c Change, column: &str) -> Option<&'c Value> {
    change.after.as_ref().and_then(|image| image.get(column))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

const CUSTOMER: &str = r#"{"id": 810000000000000123, "admin_graphql_api_id": "gid://shopify/Customer/810000000000000123",
  "updated_at": "2026-03-04T05:06:07-05:00", "created_at": "2026-01-01T00:00:00-05:00", "email": "ada@example.org",
  "phone": null, "state": "enabled", "note": "free text", "default_address": {"city": "Turin", "country_code": "IT"}}"#;

#[test]
fn a_customer_is_an_upsert_of_the_mapped_columns_with_an_exact_id() {
    let change = one("customers/update", CUSTOMER);
    assert_eq!((change.table.as_str(), change.row, change.declared), ("customers", RowChange::Upsert, None));
    assert_eq!(change.key, RecordKey(vec!["810000000000000123".into()]));
    assert_eq!(change.committed_at.to_string(), "2026-03-04T10:06:07.000000Z");
    assert_eq!(at(&change, "default_address.city"), Some(&text("Turin")));
    assert_eq!(at(&change, "phone"), Some(&Value::Null));
    assert_eq!(at(&change, "note"), None, "not mapped");
    assert_eq!(at(&change, "email_marketing_consent.state"), None, "not sent");
    assert_eq!(change.before, None);
}

#[test]
fn the_global_id_is_believed_before_a_rounded_number() {
    let body =
        r#"{"id": 706405506930370000, "admin_graphql_api_id": "gid://shopify/Customer/706405506930370084"}"#;
    assert_eq!(one("customers/enable", body).key, RecordKey(vec!["706405506930370084".into()]));
}

#[test]
fn consent_payment_methods_and_redaction_are_about_the_same_record() {
    let consent = one(
        "customers_email_marketing_consent/update",
        r#"{"customer_id": 7, "email_address": "ada@example.org", "email_marketing_consent":
            {"state": "unsubscribed", "opt_in_level": null, "consent_updated_at": "2026-02-02T00:00:00Z"}}"#,
    );
    assert_eq!(at(&consent, "email_marketing_consent.state"), Some(&text("unsubscribed")));
    assert_eq!(consent.committed_at.to_string(), "2026-02-02T00:00:00.000000Z");
    let method = one(
        "customer_payment_methods/revoke",
        r#"{"token": "tok", "customer_id": 7, "payment_instrument": {"last_digits": "4242"}}"#,
    );
    assert_eq!(at(&method, "payment_method.state"), Some(&text("revoked")));
    assert_eq!(at(&method, "payment_method.payment_instrument.last_digits"), Some(&text("4242")));
    let redact = one(
        "customers/redact",
        r#"{"shop_id": 1, "shop_domain": "x", "customer": {"id": 7, "email": "ada@example.org"}, "orders_to_redact": []}"#,
    );
    assert_eq!(redact.declared, Some(ChangeType::Erasure));
    assert_eq!((redact.before, redact.after), (None, None));
    let key = RecordKey(vec!["7".into()]);
    assert_eq!((consent.key, method.key, redact.key), (key.clone(), key.clone(), key));
}

#[test]
fn a_deletion_and_a_company_are_told_by_the_topic() {
    let gone = one("customers/delete", r#"{"id": 7, "tax_exemptions": []}"#);
    assert_eq!((gone.row, gone.after), (RowChange::Delete, None));
    let company = one(
        "companies/update",
        r#"{"name": "Lovelace Srl", "external_id": null, "admin_graphql_api_id": "gid://shopify/Company/9"}"#,
    );
    assert_eq!((company.table.as_str(), &company.key), ("companies", &RecordKey(vec!["9".into()])));
}

#[test]
fn an_access_request_is_answered_and_changes_nothing() {
    let body = r#"{"shop_id": 1, "customer": {"id": 7}, "orders_requested": [], "data_request": {"id": 9}}"#;
    assert_eq!(send("customers/data_request", body), Ok(Vec::new()));
}

#[test]
fn the_signature_is_checked_before_anything_is_read() {
    let refused = |headers: &[(&str, &str)], body: &str| send_with(headers, body).expect_err("refused").code;
    let topic = ("x-shopify-topic", "customers/update");
    let wrong = signature("another", "not json");
    let other_body = signature(SECRET, "{}");
    assert_eq!(refused(&[topic], "not json"), code::INTAKE_SIGNATURE);
    for bad in [wrong.as_str(), other_body.as_str(), "", "%%%", &signature(SECRET, "not json")[..20]] {
        assert_eq!(refused(&[topic, ("x-shopify-hmac-sha256", bad)], "not json"), code::INTAKE_SIGNATURE);
    }
    assert_eq!(send("customers/update", "not json").expect_err("refused").code, code::INTAKE_JSON);
    let old = signature("rotated-away", CUSTOMER);
    assert!(send_with(&[topic, ("x-shopify-hmac-sha256", &old)], CUSTOMER).is_ok(), "either secret");
}

#[test]
fn a_forged_topic_turns_no_update_into_a_deletion_or_erasure() {
    for topic in ["customers/delete", "customers/redact", "customers/data_request", "companies/delete"] {
        assert_eq!(send(topic, CUSTOMER).expect_err(topic).code, code::INTAKE_TOPIC);
    }
}

#[test]
fn topics_that_nobody_mapped_are_not_answered_with_success() {
    for topic in ["orders/create", "shop/redact", "customers/merge", "", "customers"] {
        assert_eq!(send(topic, r#"{"id": 1}"#).expect_err(topic).code, code::INTAKE_TOPIC, "{topic}");
    }
}

#[test]
fn a_repeat_has_the_same_producer_id_and_a_forged_id_or_another_body_does_not() {
    let id_of = |event_id: &str, body: &str| {
        let signature = signature(SECRET, body);
        let headers = [
            ("x-shopify-topic", "customers/update"),
            ("x-shopify-hmac-sha256", signature.as_str()),
            ("x-shopify-event-id", event_id),
        ];
        send_with(&headers, body).expect("taken")[0].producer_id.clone().expect("an id")
    };
    assert_eq!(id_of("e1", CUSTOMER), id_of("e1", CUSTOMER));
    assert_ne!(id_of("e1", CUSTOMER), id_of("e1", r#"{"id": 810000000000000123}"#));
    assert_ne!(id_of("e1", CUSTOMER), id_of("e2", CUSTOMER));
}

#[test]
fn a_change_is_never_dated_after_its_arrival() {
    let change = one("customers/update", r#"{"id": 1, "updated_at": "2999-01-01T00:00:00Z"}"#);
    assert_eq!(change.committed_at, RECEIVED);
}
