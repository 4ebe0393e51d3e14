//! Requests that want more than their share: of bytes, of time.

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use writ_api::Patience;

use crate::client::{PATIENCE, raw};
use crate::rig::{INGEST, READ, Rig, SLOW};

const IMPATIENT: Patience = Patience { head: SLOW, body: SLOW };

async fn still_answers(rig: &Rig) {
    assert_eq!(rig.get("/v1/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused() {
    let rig = Rig::start().await;
    let huge = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    let answer = raw(rig.address, huge.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = "x: y\r\n".repeat(5000);
    let answer = raw(rig.address, format!("GET /healthz HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    still_answers(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_does_not_hold_its_connection() {
    let rig = Rig::start_with(IMPATIENT).await;
    raw(rig.address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n").await;
    raw(rig.address, b"").await;
    still_answers(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_answered_in_time() {
    let rig = Rig::start_with(IMPATIENT).await;
    let head = format!(
        "POST /v1/intake/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {INGEST}\r\n\
         content-type: application/cloudevents+json\r\ncontent-length: 1000\r\n\r\n{{"
    );
    let answer = raw(rig.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("WRIT-3009"), "{answer}");
    still_answers(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_stores_nothing() {
    let rig = Rig::start().await;
    let end = rig.log_end().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST /v1/intake/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {INGEST}\r\n\
         content-length: 1000\r\n\r\n{{\"specversion\""
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time"));
    assert_eq!(rig.log_end().await, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_sent_away() {
    let rig = Rig::start().await;
    let answer = raw(rig.address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    still_answers(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_longer_than_its_bound() {
    let rig = Rig::start().await;
    let answer = rig.ask("GET", "/v1/withheld?limit=18446744073709551615").token(READ).send().await;
    assert_eq!(answer.status, StatusCode::OK.as_u16(), "{}", answer.text);
}
