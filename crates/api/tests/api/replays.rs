//! Replays: ordered, counted first, repeated safely, steered, and shown.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{OPERATE, READ, Rig, email};

async fn act(rig: &Rig, path: &str, body: &Value) -> Answer {
    rig.ask("POST", path).token(OPERATE).body(body.to_string()).send().await
}

async fn order(rig: &Rig, body: &Value) -> Answer {
    act(rig, "/v1/replays", body).await
}

/// Three customers' addresses are in the log, applied and delivered; the subject of the first.
async fn stored(rig: &Rig) -> String {
    let mut first = String::new();
    for number in 1..=3 {
        let event = email(&format!("e{number}"), &number.to_string(), "ada@example.org");
        let path = format!("/v1/events/{}", rig.push(&event).await.event_id());
        let settled = rig.get_until(&path, |answer| answer.text.contains("acknowledged")).await;
        if first.is_empty() {
            first = settled.json()["subject_id"].as_str().unwrap().to_owned();
        }
    }
    first
}

async fn ended(rig: &Rig, id: &str) -> Value {
    let path = format!("/v1/replays/{id}");
    rig.get_until(&path, |answer| answer.json()["state"] == "done").await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_by_change_type_and_writes_nothing() {
    let rig = Rig::start().await;
    stored(&rig).await;
    let before = rig.log_end().await;
    let plan = order(&rig, &json!({ "subscriber": "archive", "dry_run": true })).await;
    let counts = plan.json();
    assert_eq!((plan.status, &counts["events"]), (200, &json!(3)), "{}", plan.text);
    assert_eq!(counts["by_change_type"], json!({ "email": 3 }));
    assert_eq!((&counts["tombstones"], &counts["withheld"]), (&json!(0), &json!({})));
    assert_eq!(counts["counted_to"], counts["to"]);
    assert_eq!(rig.get("/v1/replays").await.json()["replays"], json!([]));
    assert_eq!(rig.log_end().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_runs_to_its_end_and_is_shown_afterwards() {
    let rig = Rig::start().await;
    stored(&rig).await;
    let ordered = order(&rig, &json!({ "subscriber": "archive", "shredded": "skip" })).await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.text);
    let id = ordered.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id, "replay-1");
    let done = ended(&rig, &id).await;
    assert_eq!((&done["delivered"], &done["selected"], &done["failed"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!((&done["order"]["actor"], &done["order"]["shredded"]), (&json!("operator"), &json!("skip")));
    let again = act(&rig, &format!("/v1/replays/{id}/pause"), &json!({})).await;
    again.expect_problem(StatusCode::CONFLICT, "WRIT-6027");
    let second = order(&rig, &json!({ "subscriber": "archive" })).await;
    assert_eq!(second.json()["id"], "replay-2", "a number is never given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_by_subject_sequence_time_type_or_filter_takes_what_it_names() {
    let rig = Rig::start().await;
    let subject = stored(&rig).await;
    let event = rig.get(&format!("/v1/subjects/{subject}/events")).await.json()["events"][0].clone();
    let (offset, time) = (event["offset"].as_u64().unwrap(), event["recorded_at"].clone());
    let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
    for (selection, expected) in [
        (json!({ "subjects": [subject] }), 1),
        (json!({ "subjects": [subject], "from_sequence": sequence, "to_sequence": sequence + 1 }), 1),
        (json!({ "subjects": [subject], "from_sequence": sequence + 1 }), 0),
        (json!({ "subjects": ["00".repeat(16)] }), 0),
        (json!({ "change_types": ["email"] }), 3),
        (json!({ "change_types": ["phone"] }), 0),
        (json!({ "from_time": time }), 3),
        (json!({ "to_time": time, "from_offset": 0 }), 0),
        (json!({ "from_time": "2000-01-01T00:00:00Z", "to_time": "2999-01-01T00:00:00Z" }), 3),
        (json!({ "from_offset": offset + 1 }), 2),
        (json!({ "from_offset": offset, "to_offset": offset + 1 }), 1),
        (json!({ "filters": [{ "exact": { "partitionkey": subject } }] }), 1),
        (json!({ "filters": [{ "exact": { "operation": "delete" } }] }), 0),
    ] {
        let mut body = selection.clone();
        body["subscriber"] = json!("archive");
        body["dry_run"] = json!(true);
        let plan = order(&rig, &body).await;
        assert_eq!(plan.json()["events"], expected, "{selection}: {}", plan.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_body_order_once_and_another_body_is_refused() {
    let rig = Rig::start().await;
    stored(&rig).await;
    let send = async |key: &str, body: Value| {
        let ask = rig.ask("POST", "/v1/replays").token(OPERATE).header("idempotency-key", key);
        ask.body(body.to_string()).send().await
    };
    let body = json!({ "subscriber": "archive", "rate_per_second": 100 });
    let first = send("a-1", body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let repeat = send("a-1", body.clone()).await;
    assert_eq!((repeat.status, &repeat.json()["id"]), (200, &first.json()["id"]));
    ended(&rig, "replay-1").await;
    assert_eq!(send("a-1", body.clone()).await.status, StatusCode::OK, "also when it has ended");
    let other = send("a-1", json!({ "subscriber": "archive" })).await;
    other.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-6029");
    assert_eq!(send("a-2", body).await.json()["id"], "replay-2");
    send("", json!({ "subscriber": "archive" })).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_replay_is_paused_slowed_resumed_and_cancelled() {
    let rig = Rig::start().await;
    stored(&rig).await;
    // One a minute or so: it does not end while it is looked at.
    let body = json!({ "subscriber": "archive", "rate_per_second": 1 });
    let id = order(&rig, &body).await.json()["id"].as_str().unwrap().to_owned();
    let path = |act: &str| format!("/v1/replays/{id}/{act}");
    let paused = act(&rig, &path("pause"), &json!({})).await;
    assert_eq!(paused.json()["state"], "paused", "{}", paused.text);
    assert_eq!(paused.json()["eta_seconds"], Value::Null);
    let slowed = act(&rig, &path("rate"), &json!({ "rate_per_second": 7 })).await;
    assert_eq!(slowed.json()["rate_per_second"], 7, "{}", slowed.text);
    for wrong in [
        json!({ "rate_per_second": 0 }),
        json!({ "rate_per_second": "fast" }),
        json!({}),
        json!({ "rate": 1 }),
    ] {
        act(&rig, &path("rate"), &wrong).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
    let listed = rig.get("/v1/replays").await.json();
    assert_eq!((&listed["replays"][0]["id"], &listed["replays"][0]["state"]), (&json!(id), &json!("paused")));
    let usual = act(&rig, &path("rate"), &json!({ "rate_per_second": null })).await;
    assert_eq!(usual.json()["rate_per_second"], 2000);
    let unlimited = act(&rig, &path("rate"), &json!({ "rate_per_second": "max" })).await;
    assert_eq!(unlimited.json()["rate_per_second"], Value::Null);
    let cancelled = rig.ask("DELETE", &format!("/v1/replays/{id}")).token(OPERATE).send().await;
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_makes_no_sense_is_a_bad_request() {
    let rig = Rig::start().await;
    stored(&rig).await;
    for body in [
        json!({}),
        json!({ "subscriber": "archive", "from_offset": 0, "from_time": "2026-01-01T00:00:00Z" }),
        json!({ "subscriber": "archive", "to_offset": 0, "to_time": "2026-01-01T00:00:00Z" }),
        json!({ "subscriber": "archive", "from_offset": -1 }),
        json!({ "subscriber": "archive", "form": 1 }),
        json!({ "subscriber": "archive", "from_offset": 1_000_000 }),
        json!({ "subscriber": "archive", "from_sequence": 1 }),
        json!({ "subscriber": "archive", "slot": 4096 }),
        json!({ "subscriber": "archive", "change_types": ["shoe-size"] }),
        json!({ "subscriber": "archive", "rate_per_second": 0 }),
        json!({ "subscriber": "archive", "ids": "other-id" }),
        json!({ "subscriber": "archive", "force": "because" }),
        json!([]),
    ] {
        let answer = order(&rig, &body).await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
    let filter = json!({ "subscriber": "archive", "filters": [{ "sql": "1" }] });
    order(&rig, &filter).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-1009");
    let nobody = json!({ "subscriber": "nobody" });
    order(&rig, &nobody).await.expect_problem(StatusCode::NOT_FOUND, "WRIT-6005");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_not_there_is_not_found() {
    let rig = Rig::start().await;
    let shown = rig.ask("GET", "/v1/replays/none").token(READ).send().await;
    shown.expect_problem(StatusCode::NOT_FOUND, "WRIT-6026");
    let cancelled = rig.ask("DELETE", "/v1/replays/none").token(OPERATE).send().await;
    cancelled.expect_problem(StatusCode::NOT_FOUND, "WRIT-6026");
    let paused = act(&rig, "/v1/replays/none/pause", &json!({})).await;
    paused.expect_problem(StatusCode::NOT_FOUND, "WRIT-6026");
}
