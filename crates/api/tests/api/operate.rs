//! What operators do, and what they are told when it cannot be done.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{OPERATE, Rig, email};

async fn act(rig: &Rig, path: &str, body: &Value) -> Answer {
    rig.ask("POST", path).token(OPERATE).body(body.to_string()).send().await
}

async fn lane_state(rig: &Rig) -> Value {
    rig.get("/v1/status").await.json()["subscribers"][0]["state"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_paused_and_resumed() {
    let rig = Rig::start().await;
    for (path, state) in [("pause", "paused"), ("resume", "running")] {
        let answer = act(&rig, &format!("/v1/subscribers/archive/{path}"), &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(lane_state(&rig).await, state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_on_a_subscriber_that_is_not_there_are_not_found() {
    let rig = Rig::start().await;
    let subject = "00".repeat(16);
    for path in [
        "/v1/subscribers/nobody/pause".to_owned(),
        "/v1/subscribers/nobody/resume".to_owned(),
        "/v1/subscribers/nobody/replays".to_owned(),
        format!("/v1/subscribers/nobody/dead-letters/{subject}/redrive"),
        format!("/v1/subscribers/nobody/dead-letters/{subject}/discard"),
    ] {
        let answer = act(&rig, &path, &json!({ "from_offset": 0 })).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "WRIT-6005");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_its_plan_before_it_starts() {
    let rig = Rig::start().await;
    let event = rig.push(&email("e1", "1", "ada@example.org")).await;
    let path = format!("/v1/events/{}", event.event_id());
    rig.get_until(&path, |answer| answer.status == 200).await;
    let replays = "/v1/subscribers/archive/replays";
    let plan = act(&rig, replays, &json!({ "from_offset": 0, "dry_run": true })).await;
    assert_eq!((plan.status, &plan.json()["dry_run"]), (200, &json!(true)), "{}", plan.text);
    assert_eq!(rig.get("/v1/replays").await.json()["replays"], json!([]));
    let started = act(&rig, replays, &json!({ "from_offset": 0 })).await;
    assert_eq!(started.status, 200, "{}", started.text);
    assert_eq!(started.json()["id"], plan.json()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_makes_no_sense_is_a_bad_request() {
    let rig = Rig::start().await;
    for body in [
        json!({}),
        json!({ "from_offset": 0, "from_time": "2026-01-01T00:00:00Z" }),
        json!({ "from_offset": -1 }),
        json!({ "from_offset": 0, "form": 1 }),
        json!({ "from_offset": 1_000_000 }),
        json!([]),
    ] {
        let answer = act(&rig, "/v1/subscribers/archive/replays", &body).await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_does_not_run_cannot_be_cancelled() {
    let rig = Rig::start().await;
    let answer = rig.ask("DELETE", "/v1/replays/none").token(OPERATE).send().await;
    answer.expect_problem(StatusCode::NOT_FOUND, "WRIT-8004");
}
