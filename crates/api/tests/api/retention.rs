//! What leaves the log by its class, what keeps it, and legal holds.

use hyper::StatusCode;
use serde_json::{Value, json};
use writ_api::Patience;
use writ_engine::config::Retention;

use crate::client::Answer;
use crate::rig::{OPERATE, Rig, email};

async fn keeping(classes: Value) -> Rig {
    let retention: Retention = serde_json::from_value(json!({ "classes": classes })).unwrap();
    Rig::start_configured(Patience::default(), move |config| config.retention = retention).await
}

async fn act(rig: &Rig, path: &str, body: &Value) -> Answer {
    rig.ask("POST", path).token(OPERATE).body(body.to_string()).send().await
}

/// So many customers' addresses, in batches; the ids of their events.
async fn push(rig: &Rig, customers: std::ops::Range<u32>) -> Vec<String> {
    let mut ids = Vec::new();
    for start in customers.step_by(200) {
        let events: Vec<Value> = (start..start + 200)
            .map(|number| email(&format!("e{number}"), &number.to_string(), "ada@example.org"))
            .collect();
        let answer = rig.push_batch(&events).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        let results = answer.json()["results"].as_array().unwrap().clone();
        ids.extend(results.iter().map(|one| one["event_ids"][0].as_str().unwrap().to_owned()));
    }
    ids
}

/// The same, waiting until the first of them is delivered; its subject. Only for what does not leave meanwhile.
async fn fill(rig: &Rig, customers: std::ops::Range<u32>) -> String {
    let path = format!("/v1/events/{}", push(rig, customers).await[0]);
    let event = rig.get_until(&path, |answer| answer.text.contains("acknowledged")).await.json();
    event["subject_id"].as_str().unwrap().to_owned()
}

/// Several segments of one mebibyte.
const MANY: u32 = 2_000;

async fn begins_later(rig: &Rig) -> u64 {
    let later = |answer: &Answer| answer.json()["log_start"].as_u64().is_some_and(|start| start > 0);
    rig.get_until("/v1/status", later).await.json()["log_start"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_class_leaves_the_log_with_its_rows_and_the_rest_stays() {
    let rig = keeping(json!([{ "name": "mail", "keep": "1ms", "change_types": ["email"] }])).await;
    // While the first segment is still written to, nothing of it goes.
    let first = fill(&rig, 0..200).await;
    let mut phone = email("kept", "0", "");
    phone["type"] = json!("writ.customer.phone.v1");
    phone["data"]["after"] = json!({ "phone": "+4312345678" });
    push(&rig, 200..MANY).await;
    let kept = format!("/v1/events/{}", rig.push(&phone).await.event_id());
    let start = begins_later(&rig).await;
    // It is in the log before derived state tells of it.
    let stays = rig.get_until(&kept, |answer| answer.status == 200).await.json();
    let of_first = rig.get(&format!("/v1/subjects/{first}/events")).await;
    assert_eq!(of_first.json()["events"].as_array().map(Vec::len), Some(1), "{}", of_first.text);
    assert_eq!((&stays["subject_id"], &stays["change_type"]), (&json!(first), &json!("phone")));
    let report = rig.get("/v1/retention").await.json();
    assert!(report["log_start"].as_u64().unwrap() >= start, "{report}");
    let open = report["segments"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(open["why"][0], "it is still written to", "{report}");
    let plan = act(&rig, "/v1/replays", &json!({ "subscriber": "archive", "dry_run": true })).await.json();
    assert_eq!(plan["from"], plan["log_start"], "a replay begins where the log does: {plan}");
    assert_eq!(plan["counted_to"], plan["to"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_class_or_within_it_everything_stays_and_the_report_says_why() {
    for (classes, why) in [
        (json!([]), "no retention class is configured: everything is kept"),
        (json!([{ "name": "mail", "keep": "24h" }]), "class mail keeps it until"),
        (json!([{ "name": "loyalty", "keep": "1ms", "change_types": ["tier"] }]), "in no retention class"),
    ] {
        let rig = keeping(classes).await;
        fill(&rig, 0..MANY).await;
        let report = rig.get("/v1/retention").await.json();
        assert_eq!((&report["would_start"], &report["log_start"]), (&Value::Null, &json!(0)), "{report}");
        let first = report["segments"][0]["why"].to_string();
        assert!(first.contains(why), "{why}: {first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_segment_stays_until_the_hold_is_released() {
    let rig = keeping(json!([{ "name": "all", "keep": "3s" }])).await;
    let first = fill(&rig, 0..200).await;
    let hold = json!({ "matter": "2026-17", "reason": "litigation", "subjects": [first] });
    let placed = act(&rig, "/v1/holds", &hold).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{}", placed.text);
    let id = placed.json()["id"].as_str().unwrap().to_owned();
    fill(&rig, 200..MANY).await;
    let held = format!("legal hold {id} is on it");
    let alone = |answer: &Answer| answer.json()["segments"][0]["why"] == json!([held]);
    let report = rig.get_until("/v1/retention", alone).await.json();
    assert_eq!(report["would_start"], Value::Null);
    assert!(report["segments"][1]["why"].to_string().contains("an earlier segment stays"), "{report}");
    let holds = rig.get("/v1/holds").await.json();
    assert_eq!((&holds["holds"][0]["id"], &holds["holds"][0]["actor"]), (&json!(id), &json!("operator")));
    assert_eq!(rig.get("/v1/status").await.json()["log_start"], 0);
    let released = act(&rig, &format!("/v1/holds/{id}/release"), &json!({ "reason": "settled" })).await;
    assert_eq!(released.status, 200, "{}", released.text);
    begins_later(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_subscriber_keeps_what_it_has_not_received() {
    let rig = keeping(json!([{ "name": "all", "keep": "1ms" }])).await;
    fill(&rig, 0..200).await;
    assert_eq!(act(&rig, "/v1/subscribers/archive/pause", &json!({})).await.status, 200);
    push(&rig, 200..MANY).await;
    let kept = |answer: &Answer| {
        let why = answer.json()["segments"][0]["why"].to_string();
        why.contains("subscriber archive has not settled all of it")
    };
    rig.get_until("/v1/retention", kept).await;
    assert_eq!(act(&rig, "/v1/subscribers/archive/resume", &json!({})).await.status, 200);
    begins_later(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_make_no_sense_are_refused() {
    let rig = Rig::start().await;
    for body in [
        json!({}),
        json!({ "matter": "", "reason": "x" }),
        json!({ "matter": "x", "reason": " " }),
        json!({ "matter": "x", "reason": "x", "subject": "00" }),
        json!({ "matter": "x", "reason": "x".repeat(256) }),
        json!({ "matter": "x", "reason": "x", "subjects": vec!["00".repeat(16); 257] }),
    ] {
        act(&rig, "/v1/holds", &body).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
    let release = act(&rig, "/v1/holds/none/release", &json!({ "reason": "x" })).await;
    release.expect_problem(StatusCode::NOT_FOUND, "WRIT-5013");
    act(&rig, "/v1/holds/none/release", &json!({}))
        .await
        .expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
}
