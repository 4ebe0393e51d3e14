//! Reading one's own writes, and changes that arrive in the wrong order.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::rig::{READ, Rig, email};

fn token(answer: &Answer) -> String {
    answer.headers["writ-causality"].to_str().unwrap().to_owned()
}

/// The change of an e-mail address, made at a time.
fn email_at(id: &str, address: &str, time: &str) -> Value {
    let mut event = email(id, "42", address);
    event["time"] = json!(time);
    event
}

async fn read_after(rig: &Rig, path: &str, token: &str) -> Answer {
    rig.ask("GET", path).token(READ).header("writ-not-before", token).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_presents_its_write_s_token_shows_the_write() {
    let rig = Rig::start().await;
    for number in 0..20 {
        let written = rig.push(&email(&format!("e{number}"), "42", &format!("a{number}@example.org"))).await;
        let path = format!("/v1/events/{}", written.event_id());
        let read = read_after(&rig, &path, &token(&written)).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert_eq!(read.json()["subject_sequence"], format!("{:020}", number + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_with_a_token_that_covers_the_first() {
    let rig = Rig::start().await;
    let first = rig.push(&email("e1", "42", "ada@example.org")).await;
    let again = rig.push(&email("e1", "42", "ada@example.org")).await;
    assert_eq!(again.result()["result"], "duplicate");
    let read = read_after(&rig, &format!("/v1/events/{}", first.event_id()), &token(&again)).await;
    assert_eq!(read.status, 200, "{}", read.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_has_settled_a_write_is_told_of() {
    let rig = Rig::start().await;
    let written = rig.push(&email("e1", "42", "ada@example.org")).await;
    let path = format!("/v1/causality/{}", token(&written));
    let is_everywhere = |answer: &Answer| {
        let seen = answer.json();
        seen["subscribers"][0]["settled"] == true && seen["applied"] == true
    };
    let seen = rig.get_until(&path, is_everywhere).await.json();
    assert_eq!(seen["subscribers"][0]["subscriber"], "archive");
    let later = rig.push(&email("e2", "42", "ada@example.com")).await;
    assert_ne!(token(&written), token(&later));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_store_and_of_no_store_are_refused() {
    let (rig, other) = (Rig::start().await, Rig::start().await);
    let written = rig.push(&email("e1", "42", "ada@example.org")).await;
    let foreign = read_after(&other, "/v1/status", &token(&written)).await;
    foreign.expect_problem(StatusCode::CONFLICT, "WRIT-8006");
    let store = token(&written).rsplit_once('-').unwrap().0.to_owned();
    let beyond = read_after(&rig, "/v1/status", &format!("{store}-ffffffff")).await;
    beyond.expect_problem(StatusCode::CONFLICT, "WRIT-8006");
    for path in ["/v1/status", "/v1/causality/w1-x"] {
        let senseless = read_after(&rig, path, "yesterday").await;
        senseless.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_arrives_after_a_later_one_undoes_nothing() {
    let rig = Rig::start().await;
    let newer = rig.push(&email_at("e2", "new@example.org", "2026-03-01T00:00:02Z")).await;
    let older = rig.push(&email_at("e1", "old@example.org", "2026-03-01T00:00:01Z")).await;
    assert_eq!((older.status, &older.result()["result"]), (200, &json!("stale")), "{}", older.text);
    let latest = rig.push(&email_at("e3", "latest@example.org", "2026-03-01T00:00:03Z")).await;
    assert_eq!(latest.result()["result"], "accepted");
    let trace = read_after(&rig, &format!("/v1/events/{}", newer.event_id()), &token(&latest)).await.json();
    let path = format!("/v1/subjects/{}/events", trace["subject_id"].as_str().unwrap());
    let events = rig.get(&path).await.json();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(2), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_shopify_body_under_a_later_header_is_no_newer() {
    let rig = Rig::start().await;
    let body = |email: &str, at: &str| {
        json!({ "id": 7, "email": email, "phone": null, "updated_at": at, "created_at": at }).to_string()
    };
    let first = rig.shopify("customers/update", &body("new@example.org", "2026-03-01T00:00:02Z")).await;
    assert_eq!(first.status, 202, "{}", first.text);
    // Headers are not signed, so another event id costs nothing.
    let replayed = rig.shopify("customers/create", &body("old@example.org", "2026-03-01T00:00:01Z")).await;
    assert_eq!((replayed.status, &replayed.result()["result"]), (200, &json!("stale")), "{}", replayed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_a_clock_that_runs_ahead_is_refused_and_may_be_sent_again() {
    let rig = Rig::start().await;
    let mut ahead = email("e1", "42", "ada@example.org");
    ahead["hlc"] = json!("099999999999999-00000000-0001");
    rig.push(&ahead).await.expect_problem(StatusCode::UNPROCESSABLE_ENTITY, "WRIT-3010");
    let again = rig.push(&email("e1", "42", "ada@example.org")).await;
    assert_eq!(again.result()["result"], "accepted", "{}", again.text);
}
