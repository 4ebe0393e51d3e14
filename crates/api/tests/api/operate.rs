//! What operators do, and what they are told when it cannot be done.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{OPERATE, Rig};

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
        format!("/v1/subscribers/nobody/dead-letters/{subject}/redrive"),
        format!("/v1/subscribers/nobody/dead-letters/{subject}/discard"),
    ] {
        let answer = act(&rig, &path, &json!({})).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "WRIT-6005");
    }
}
