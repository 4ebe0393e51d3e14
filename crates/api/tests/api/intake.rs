//! What the intake answers, and what is stored when it does.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{BODY_BYTES_MAX, Rig, email};

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_change_without_a_mapping_is_accepted_and_can_be_traced() {
    let rig = Rig::start().await;
    let answer = rig.push(&email("e1", "42", "ada@example.org")).await;
    assert_eq!((answer.status, &answer.result()["result"]), (202, &json!("accepted")), "{}", answer.text);
    let path = format!("/v1/events/{}", answer.event_id());
    let trace = rig.get_until(&path, |answer| answer.status == 200).await.json();
    assert_eq!(trace["event_id"], answer.event_id());
    assert_eq!((&trace["change_type"], &trace["operation"]), (&json!("email"), &json!("insert")));
    let subject = trace["subject_id"].as_str().unwrap();
    let events = rig.get(&format!("/v1/subjects/{subject}/events")).await.json();
    assert_eq!(events["events"][0]["event_id"], answer.event_id());
    let settled = |answer: &Answer| answer.json()["acknowledgements"]["archive"].is_object();
    rig.get_until(&path, settled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_changes_of_one_record_share_a_subject_and_know_what_was_before() {
    let rig = Rig::start().await;
    let first = rig.push(&email("e1", "42", "ada@example.org")).await;
    let second = rig.push(&email("e2", "42", "ada@example.com")).await;
    let other = rig.push(&email("e3", "43", "ada@example.net")).await;
    let mut subjects = Vec::new();
    for (answer, operation) in [(first, "insert"), (second, "update"), (other, "insert")] {
        let path = format!("/v1/events/{}", answer.event_id());
        let trace = rig.get_until(&path, |answer| answer.status == 200).await.json();
        assert_eq!(trace["operation"], operation);
        subjects.push(trace["subject_id"].clone());
    }
    assert!(subjects[0] == subjects[1] && subjects[0] != subjects[2], "{subjects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_row_gives_one_event_per_change_type_and_none_when_nothing_differs() {
    let rig = Rig::start().await;
    let row = |id: &str| {
        json!({ "specversion": "1.0", "id": id, "source": "/shop", "type": "com.shop.customer",
            "data": { "id": 7, "email": "ada@example.org", "phone": "+390110001" } })
    };
    let first = rig.push(&row("r1")).await;
    assert_eq!(first.result()["event_ids"].as_array().map(Vec::len), Some(2), "{}", first.text);
    let again = rig.push(&row("r2")).await;
    assert_eq!((again.status, &again.result()["result"]), (200, &json!("unchanged")));
    let repeat = rig.push(&row("r2")).await;
    assert_eq!((repeat.status, &repeat.result()["result"]), (200, &json!("duplicate")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_again_is_a_duplicate_and_for_other_content_a_conflict() {
    let rig = Rig::start().await;
    let first = rig.push(&email("e1", "42", "ada@example.org")).await;
    let duplicate = rig.push(&email("e1", "42", "ada@example.org")).await;
    assert_eq!((duplicate.status, &duplicate.result()["result"]), (200, &json!("duplicate")));
    for other in [email("e1", "42", "eve@example.org"), email("e1", "43", "ada@example.org")] {
        rig.push(&other).await.expect_problem(StatusCode::CONFLICT, "WRIT-3006");
    }
    let last = rig.push(&email("e2", "42", "ada@example.com")).await;
    let path = |answer: &Answer| format!("/v1/events/{}", answer.event_id());
    let trace = rig.get_until(&path(&last), |answer| answer.status == 200).await.json();
    let subject = trace["subject_id"].as_str().unwrap();
    let events = rig.get(&format!("/v1/subjects/{subject}/events")).await.json();
    let ids: Vec<&Value> = events["events"].as_array().unwrap().iter().map(|one| &one["event_id"]).collect();
    assert_eq!(ids, [&json!(first.event_id()), &json!(last.event_id())], "nothing came of the others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_change_by_change() {
    let rig = Rig::start().await;
    rig.push(&email("e1", "1", "one@example.org")).await;
    let batch = [
        email("e1", "1", "one@example.org"),
        email("e1", "1", "other@example.org"),
        email("e2", "2", "two@example.org"),
        email("e3", "3", "no address"),
        email("e4", "4", "held@example.org"),
        email("e5", "5", "refused@example.org"),
    ];
    let answer = rig.push_batch(&batch).await;
    let results = answer.json()["results"].clone();
    let words: Vec<Value> = results.as_array().unwrap().iter().map(|one| one["result"].clone()).collect();
    assert_eq!(words, ["duplicate", "conflict", "accepted", "quarantined", "held", "refused"]);
    assert_eq!(answer.status, 207, "some were not taken");
    let whole = rig.push_batch(&[email("e6", "6", "a@example.org"), email("e7", "7", "b@example.org")]).await;
    assert_eq!(whole.status, 202, "{}", whole.text);
    let repeat =
        rig.push_batch(&[email("e6", "6", "a@example.org"), email("e7", "7", "b@example.org")]).await;
    assert_eq!(repeat.status, 200, "{}", repeat.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_holds_is_taken_and_what_it_refuses_is_not() {
    let rig = Rig::start().await;
    let held = rig.push(&email("e1", "1", "held@example.org")).await;
    assert_eq!((held.status, &held.result()["result"]), (202, &json!("held")), "{}", held.text);
    let refused = rig.push(&email("e2", "2", "refused@example.org")).await;
    let problem = refused.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-4003");
    assert_eq!(problem["findings"]["policy"]["reason"], "no");
    let listed = |answer: &Answer| answer.json()["withheld"].as_array().is_some_and(|w| w.len() == 2);
    let withheld = rig.get_until("/v1/withheld", listed).await;
    assert!(withheld.json()["withheld"].as_array().unwrap().iter().all(|one| one.get("sealed").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_does_not_fit_its_schema_is_answered_with_paths_and_no_values() {
    let rig = Rig::start().await;
    let answer = rig.push(&email("e1", "1", "not-an-address-3391")).await;
    let problem = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-4001");
    assert_eq!(problem["findings"]["schema"]["violations"][0]["path"], "/after/email");
    assert_eq!(problem["findings"]["schema"]["violations"][0]["keyword"], "format");
    assert!(!answer.text.contains("3391"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_number_is_answered_with_its_ends_only() {
    let rig = Rig::start().await;
    let mut event = email("e1", "1", "ada@example.org");
    event["type"] = json!("writ.customer.payment_method.v1");
    event["data"]["after"] = json!({ "token": "4111 1111 1111 1111" });
    let answer = rig.push(&event).await;
    let problem = answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-4002");
    let finding = json!({ "path": "/after/token", "first6": "411111", "last4": "1111" });
    assert_eq!(problem["findings"]["card_number"]["findings"], json!([finding]));
    let listed = |answer: &Answer| answer.json()["withheld"].as_array().is_some_and(|w| w.len() == 1);
    let withheld = rig.get_until("/v1/withheld", listed).await.json();
    assert_eq!(withheld["withheld"][0]["reason"]["card_number"]["findings"], json!([finding]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_and_nothing_is_stored() {
    let rig = Rig::start().await;
    let end = rig.log_end().await;
    let body = r#"{"id": 7, "email": "ada@example.org"}"#;
    let answer = rig.shopify_signed("customers/update", body, "another secret").await;
    answer.expect_problem(StatusCode::UNAUTHORIZED, "WRIT-3002");
    assert_eq!(rig.log_end().await, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmapped_topic_is_not_a_success() {
    let rig = Rig::start().await;
    let answer = rig.shopify("orders/create", r#"{"id": 7}"#).await;
    answer.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-3008");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_becomes_an_erasure_event_of_the_same_subject() {
    let rig = Rig::start().await;
    let customer = rig.shopify("customers/update", r#"{"id": 7, "email": "ada@example.org"}"#).await;
    let redact =
        r#"{"shop_id": 1, "customer": {"id": 7, "email": "ada@example.org"}, "orders_to_redact": []}"#;
    let erasure = rig.shopify("customers/redact", redact).await;
    assert_eq!(erasure.status, 202, "{}", erasure.text);
    let mut subjects = Vec::new();
    for (answer, change_type) in [(&customer, "email"), (&erasure, "erasure")] {
        let path = format!("/v1/events/{}", answer.event_id());
        let trace = rig.get_until(&path, |answer| answer.status == 200).await.json();
        assert_eq!(trace["change_type"], change_type);
        subjects.push(trace["subject_id"].clone());
    }
    assert_eq!(subjects[0], subjects[1]);
    let again = rig.shopify("customers/redact", redact).await;
    assert_eq!((again.status, &again.result()["result"]), (200, &json!("duplicate")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_a_success_for_what_is_quarantined() {
    let rig = Rig::start().await;
    let answer = rig.shopify("customers/update", r#"{"id": 7, "email": "no address"}"#).await;
    assert_eq!((answer.status, &answer.result()["result"]), (202, &json!("quarantined")), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_is_told_apart() {
    let rig = Rig::start().await;
    let end = rig.log_end().await;
    let structured = "application/cloudevents+json";
    let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    let deep_data = email("e1", "1", "x").to_string().replace("null", &deep);
    let no_subject = {
        let mut event = email("e1", "1", "ada@example.org");
        event.as_object_mut().unwrap().remove("subject");
        event.to_string()
    };
    let unknown_type = email("e1", "1", "a@example.org").to_string().replace("writ.customer.email.v1", "x.y");
    let cases: [(&str, &[u8], &str); 7] = [
        (structured, b"{\"specversion\": ", "WRIT-3003"),
        (structured, b"\xff\xfe", "WRIT-3003"),
        (structured, deep.as_bytes(), "WRIT-3003"),
        (structured, deep_data.as_bytes(), "WRIT-3003"),
        (structured, b"{\"specversion\": \"1.0\"}", "WRIT-3005"),
        (structured, no_subject.as_bytes(), "WRIT-3005"),
        (structured, unknown_type.as_bytes(), "WRIT-3005"),
    ];
    for (media_type, body, code) in cases {
        let answer = rig.intake("events", media_type, body).await;
        answer.expect_problem(StatusCode::BAD_REQUEST, code);
    }
    let plain = rig.intake("events", "text/plain", b"hello").await;
    plain.expect_problem(StatusCode::BAD_REQUEST, "WRIT-3005");
    assert_eq!(rig.log_end().await, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_bound_is_refused_and_one_at_the_bound_is_read() {
    let rig = Rig::start().await;
    let over = rig.intake("events", "application/json", &vec![b' '; BODY_BYTES_MAX + 1]).await;
    over.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "WRIT-3004");
    let at = rig.intake("events", "application/cloudevents+json", &vec![b' '; BODY_BYTES_MAX]).await;
    at.expect_problem(StatusCode::BAD_REQUEST, "WRIT-3003");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_configured_is_not_found() {
    let rig = Rig::start().await;
    for name in ["nobody", "archive", "%00", "Not-A-Name"] {
        rig.intake(name, "application/json", b"{}").await.expect_problem(StatusCode::NOT_FOUND, "WRIT-8004");
    }
}
