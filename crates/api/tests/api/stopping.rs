//! What is answered while the engine drains and after it.

use hyper::StatusCode;
use serde_json::json;

use crate::rig::{OPERATE, Rig, email};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_engine_takes_nothing_and_says_so() {
    let mut rig = Rig::start().await;
    assert_eq!(rig.ask("GET", "/readyz").send().await.status, 200);
    rig.stop_engine().await;
    let answer = rig.push(&email("e1", "1", "ada@example.org")).await;
    answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "WRIT-3007");
    assert_eq!(answer.headers["retry-after"], "1");
    let ready = rig.ask("GET", "/readyz").send().await;
    ready.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "WRIT-8002");
    let act = rig.ask("POST", "/v1/subscribers/archive/pause").token(OPERATE).send().await;
    act.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "WRIT-8002");
    assert_eq!(rig.ask("GET", "/healthz").send().await.status, 200, "the process lives");
    assert_eq!(rig.get("/v1/status").await.json()["subscribers"], json!([]));
}
