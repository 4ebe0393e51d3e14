//! Server-sent events: what comes down the stream, and what becomes of a lease when the connection goes.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::PATIENCE;
use crate::rig::{DESK, Rig, TILL, email};

/// An open stream, and everything it has brought so far.
pub(crate) struct Stream {
    connection: TcpStream,
    text: String,
}

impl Stream {
    pub(crate) async fn open(rig: &Rig, subscriber: &str, token: &str) -> Self {
        let mut connection = TcpStream::connect(rig.address).await.unwrap();
        let head = format!(
            "GET /v1/subscribers/{subscriber}/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
             accept: text/event-stream\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self { connection, text: String::new() };
        stream.until(|text| text.contains("\r\n\r\n")).await;
        assert!(stream.text.starts_with("HTTP/1.1 200"), "{}", stream.text);
        assert!(stream.text.contains("content-type: text/event-stream\r\n"), "{}", stream.text);
        assert!(stream.text.contains("cache-control: no-store\r\n"), "{}", stream.text);
        stream
    }

    /// Reads on until the text is as wanted.
    async fn until(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let reading = async {
            while !is_wanted(&self.text) {
                let mut bytes = [0; 4096];
                let count = self.connection.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the stream ended: {}", self.text);
                self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("in time");
    }

    /// Reads until the server ends it, which is an empty chunk: the connection may go on.
    pub(crate) async fn end(&mut self) {
        self.until(|text| text.ends_with("\r\n0\r\n\r\n")).await;
    }

    /// The leases so far, each with its events as (id, data).
    fn leases(&self) -> Vec<(Value, Vec<(String, Value)>)> {
        let mut leases = Vec::new();
        for block in self.text.split("\n\n") {
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
            };
            let Some(data) = field("data") else { continue };
            let data: Value = serde_json::from_str(&data).unwrap();
            match (field("event").as_deref(), field("id")) {
                (Some("lease"), None) => leases.push((data, Vec::new())),
                (None, Some(id)) => leases.last_mut().unwrap().1.push((id, data)),
                other => panic!("{other:?}: {block}"),
            }
        }
        leases
    }

    /// Reads until so many leases have come whole.
    async fn lease(&mut self, number: usize) -> (String, Vec<(String, Value)>) {
        let is_whole = |text: &str| {
            let begun = text.matches("event: lease\n").count() >= number;
            begun && text.ends_with("\n\n\r\n")
        };
        self.until(is_whole).await;
        let (head, events) = self.leases().remove(number - 1);
        assert_eq!(head["events"], events.len());
        (head["lease"].as_str().unwrap().to_owned(), events)
    }
}

async fn acknowledge(rig: &Rig, subscriber: &str, token: &str, lease: &str) {
    let path = format!("/v1/subscribers/{subscriber}/leases/{lease}");
    let body = json!({ "rest": { "answer": "acknowledged" } }).to_string();
    let answer = rig.ask("POST", &path).token(token).body(body).send().await;
    assert_eq!(answer.json(), json!({ "left": 0 }), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_one_lease_after_the_other_each_event_under_its_delivery_id() {
    let rig = Rig::start_pulled().await;
    let mut stream = Stream::open(&rig, "desk", DESK).await;
    for (number, mail) in [(1, "ada@example.org"), (2, "bob@example.org")] {
        rig.push(&email(mail, &number.to_string(), mail)).await;
        let (lease, events) = stream.lease(number).await;
        let [(id, event)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event["deliveryid"], id.as_str());
        assert_eq!(event["data"]["after"]["email"], mail);
        acknowledge(&rig, "desk", DESK, &lease).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_no_second_lease_before_the_first_has_ended() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e0", "0", "first@example.org")).await;
    let mut stream = Stream::open(&rig, "desk", DESK).await;
    let (first, _) = stream.lease(1).await;
    acknowledge(&rig, "desk", DESK, &first).await;
    for number in 1..=6 {
        rig.push(&email(&format!("e{number}"), &number.to_string(), "more@example.org")).await;
    }
    let mut seen = 0;
    for number in 2.. {
        let (lease, events) = stream.lease(number).await;
        assert_eq!(stream.leases().len(), number, "the next lease came before this one was answered");
        seen += events.len();
        acknowledge(&rig, "desk", DESK, &lease).await;
        if seen == 6 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_gives_back_at_once_what_it_did_not_answer() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    // The desk's leases last a minute, which is more than this test waits.
    let mut gone = Stream::open(&rig, "desk", DESK).await;
    let (former, events) = gone.lease(1).await;
    drop(gone);
    let again = async {
        loop {
            let answer = rig.ask("GET", "/v1/subscribers/desk/events").token(DESK).send().await;
            if answer.status == 200 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, again).await.expect("given to the next consumer");
    assert_eq!(answer.json()[0]["deliveryid"], events[0].0.as_str());
    let path = format!("/v1/subscribers/desk/leases/{former}");
    let late = rig.ask("POST", &path).token(DESK).body(r#"{"rest":{"answer":"acknowledged"}}"#).send().await;
    late.expect_problem(hyper::StatusCode::CONFLICT, "WRIT-6010");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_subscriber_is_not_opened() {
    let rig = Rig::start_pulled().await;
    let ask = rig.ask("GET", "/v1/subscribers/desk/events").token(TILL);
    let refused = ask.header("accept", "text/event-stream").send().await;
    refused.expect_problem(hyper::StatusCode::FORBIDDEN, "WRIT-3001");
}
