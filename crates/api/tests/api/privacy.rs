//! Personal data goes in; none of it comes out of a response, a metric or a log line.

use serde_json::json;

use crate::client::Answer;
use crate::rig::{INGEST, OPERATE, READ, Rig, email, logs};

const ADDRESS: &str = "planted.person@privacy-probe.example";
const PHONE: &str = "+39011987654321";
const CARD: &str = "5555555555554444";
const KEY: &str = "natural-key-7781";

#[tokio::test(flavor = "multi_thread")]
async fn no_personal_data_leaves_by_an_answer_a_metric_or_a_log_line() {
    let mut rig = Rig::start().await;
    let mut answers = Vec::new();
    let accepted = rig.push(&email("p1", KEY, ADDRESS)).await;
    let path = format!("/v1/events/{}", accepted.event_id());
    answers.push(accepted.text);
    answers.push(rig.push(&email("p1", KEY, ADDRESS)).await.text);
    answers.push(rig.push(&email("p1", KEY, &format!("other.{ADDRESS}"))).await.text);
    answers.push(rig.push(&email("p2", KEY, &format!("{ADDRESS} {PHONE}"))).await.text);
    answers.push(rig.push(&email("p3", KEY, CARD)).await.text);
    let mut held = email("p4", KEY, &format!("held@{ADDRESS}"));
    held["data"]["after"]["phone"] = json!(PHONE);
    answers.push(rig.push(&held).await.text);
    let broken = format!("{{\"email\": \"{ADDRESS}\", {PHONE}");
    answers.push(rig.intake("events", "application/cloudevents+json", broken.as_bytes()).await.text);
    let mut unknown = email("p5", KEY, ADDRESS);
    unknown["type"] = json!("com.example.unknown");
    answers.push(rig.push(&unknown).await.text);
    let body = format!(r#"{{"id": 7, "email": "{ADDRESS}", "phone": "{PHONE}", "note": "{CARD}"}}"#);
    answers.push(rig.shopify("customers/update", &body).await.text);
    answers.push(rig.shopify("orders/create", &body).await.text);
    answers.push(rig.shopify_signed("customers/update", &body, "wrong").await.text);
    let settled = |answer: &Answer| answer.text.contains("acknowledged");
    answers.push(rig.get_until(&path, settled).await.text);
    for page in
        ["/v1/status", "/v1/withheld", "/v1/replays", "/metrics", "/v1/subscribers/archive/dead-letters"]
    {
        answers.push(rig.get(page).await.text);
    }
    rig.stop_engine().await;
    let log = logs().text();
    assert!(!log.is_empty(), "the log was captured");
    for planted in [ADDRESS, PHONE, CARD, KEY, INGEST, READ, OPERATE] {
        for answer in &answers {
            assert!(!answer.contains(planted), "an answer holds {planted}: {answer}");
        }
        let line = log.lines().find(|line| line.contains(planted));
        assert!(line.is_none(), "a log line holds {planted}: {line:?}");
    }
}
