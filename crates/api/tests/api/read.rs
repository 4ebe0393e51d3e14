//! What is asked for and is not there, or is asked for wrongly.

use hyper::StatusCode;

use crate::rig::{READ, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_or_subject_is_told_as_such() {
    let rig = Rig::start().await;
    let event = "/v1/events/01890000-0000-7000-8000-000000000000";
    rig.get(event).await.expect_problem(StatusCode::NOT_FOUND, "WRIT-6006");
    let subject = format!("/v1/subjects/{}/events", "00".repeat(16));
    rig.get(&subject).await.expect_problem(StatusCode::NOT_FOUND, "WRIT-6006");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_an_id_or_a_page_is_a_bad_request() {
    let rig = Rig::start().await;
    for path in [
        "/v1/events/7",
        "/v1/events/%ff",
        "/v1/subjects/xyz/events",
        "/v1/withheld?after=7",
        "/v1/withheld?limit=many",
        "/v1/subscribers/archive/dead-letters?after=7",
    ] {
        rig.get(path).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_subscriber_is_told_as_such() {
    let rig = Rig::start().await;
    let answer = rig.get("/v1/subscribers/nobody/dead-letters").await;
    answer.expect_problem(StatusCode::NOT_FOUND, "WRIT-6005");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_and_a_wrong_method_are_problems_too() {
    let rig = Rig::start().await;
    rig.get("/v2/status").await.expect_problem(StatusCode::NOT_FOUND, "WRIT-8004");
    let answer = rig.ask("DELETE", "/v1/status").token(READ).send().await;
    answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "WRIT-8005");
    assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_sources_and_lanes() {
    let rig = Rig::start().await;
    let status = rig.get("/v1/status").await.json();
    assert_eq!(status["tenant"], "acme");
    assert_eq!(status["sources"][0]["source"], "events");
    assert_eq!(status["sources"][1]["phase"], "pushed");
    assert_eq!(status["subscribers"][0]["subscriber"], "archive");
}
