//! One attempt against servers that misbehave, each a listener of the test's own: what was sent, how often,
//! and what the answer is taken for.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use writ_model::cloudevent::CloudEvent;
use writ_model::id::{AnswerDigest, DeliveryId, Epoch, Offset, StoreId, SubjectId, TenantId};
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;

use super::*;
use crate::descriptor::{ConfigError, Context};
use crate::secret::Secrets;
use crate::subscriber::{ParcelItem, Sender};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn item(number: u8) -> ParcelItem {
    let event = CloudEvent {
        id: format!("event-{number}"),
        source: "/writ/t/s".into(),
        event_type: "writ.customer.email.v1".into(),
        subject: Some("customer/7".into()),
        time: None,
        data_content_type: None,
        data_schema: None,
        extensions: Default::default(),
        data: Some(serde_json::json!({"key": ["7"]})),
        is_base64: false,
    };
    ParcelItem {
        view: Arc::new(View::new(&event)),
        delivery_id: DeliveryId([number; 16]),
        attempt: 1,
        offset: Offset(u64::from(number)),
        subject_id: SubjectId([number; 16]),
    }
}

pub(super) fn parcel(numbers: &[u8]) -> Parcel {
    Parcel {
        items: numbers.iter().map(|n| item(*n)).collect(),
        at: Timestamp(1_614_265_330_000_000),
        sender: Sender { store: StoreId([0; 8]), epoch: Epoch(1) },
        settled_below: Offset::ZERO,
    }
}

pub(super) fn try_build(
    config: serde_json::Value,
    files: &[(&str, &str)],
) -> Result<Box<dyn Subscriber>, ConfigError> {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("write");
    }
    let tenant = TenantId::new("t").expect("name");
    let secrets = Secrets { base: folder.path().to_owned() };
    let context = Context { tenant: &tenant, name: "crm", tables: &Tables::new(), secrets: &secrets };
    settings::build(&context, config)
}

/// A webhook to a listener on this machine, and the listener.
async fn endpoint(more: serde_json::Value, files: &[(&str, &str)]) -> (Arc<dyn Subscriber>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = listener.local_addr().expect("address").port();
    let mut config = serde_json::json!({
        "url": format!("http://127.0.0.1:{port}/hook?a=b"), "allow_addresses": ["127.0.0.0/8"], "timeout_ms": 5000,
    });
    for (key, value) in more.as_object().expect("keys") {
        config[key] = value.clone();
    }
    (try_build(config, files).expect("builds").into(), listener)
}

/// Reads one request whole: its head as lines and its body.
pub(super) async fn request(stream: &mut TcpStream) -> Option<(Vec<String>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<String> = String::from_utf8_lossy(&bytes[..end]).split("\r\n").map(str::to_owned).collect();
    let length = field(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        stream.read_buf(&mut body).await.ok()?;
    }
    Some((head, body))
}

fn field(head: &[String], name: &str) -> Option<String> {
    head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

/// One attempt against a server that reads one request and writes `answer`, then closes.
async fn answered(answer: &[u8]) -> Answer {
    answered_to(Wants::default(), answer).await
}

async fn answered_to(wants: Wants, answer: &[u8]) -> Answer {
    let (mut webhook, listener) = endpoint(serde_json::json!({}), &[]).await;
    assert!(Arc::get_mut(&mut webhook).expect("nobody else has it").hand_over(wants));
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        request(&mut stream).await.expect("a request");
        stream.write_all(answer).await.expect("writes");
        stream.shutdown().await.expect("closes");
        // What is left unread would turn the close into a reset.
        while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
        let again = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(again.is_err(), "one attempt makes one connection");
    };
    tokio::join!(webhook.deliver(parcel(&[1])), serve).0
}

pub(super) fn http(answer: Answer) -> HttpAnswer {
    match answer {
        Answer::Http(answer) => answer,
        other => panic!("not an HTTP answer: {other:?}"),
    }
}

#[tokio::test]
async fn answers_come_back_raw_whatever_they_say() {
    let ok = http(answered(OK.as_bytes()).await);
    let sha256: [u8; 32] = digest::digest(&digest::SHA256, b"ok").as_ref().try_into().expect("32 bytes");
    assert_eq!((ok.status, ok.body_sha256), (200, Some(AnswerDigest(sha256))));
    let busy = "HTTP/1.1 429 Slow\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\ndate: Wed, 21 Oct 2026 07:27:00 GMT\r\ncontent-length: 0\r\n\r\n";
    let busy = http(answered(busy.as_bytes()).await);
    assert_eq!((busy.status, busy.retry_after.as_deref()), (429, Some("Wed, 21 Oct 2026 07:28:00 GMT")));
    assert_eq!(busy.date.as_deref(), Some("Wed, 21 Oct 2026 07:27:00 GMT"));
    for status in [500, 503, 410, 409] {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(http(answered(answer.as_bytes()).await).status, status);
    }
}

#[tokio::test]
async fn only_what_is_wanted_of_an_answer_is_handed_over_and_a_body_is_never_printed() {
    let answer =
        b"HTTP/1.1 200 OK\r\nX-Result: a\r\nx-result: b\r\nset-cookie: c\r\ncontent-length: 6\r\n\r\nsecret";
    let bare = http(answered(answer).await);
    assert_eq!((bare.headers.len(), bare.body), (0, None));
    let wants = Wants { headers: vec!["x-result".into()], body: true };
    let wanted = http(answered_to(wants.clone(), answer).await);
    let named = |value: &str| ("x-result".to_owned(), value.to_owned());
    assert_eq!(wanted.headers, [named("a"), named("b")]);
    assert_eq!(wanted.body.as_ref().map(AnswerBody::bytes), Some(&b"secret"[..]));
    assert!(!format!("{wanted:?}").contains("secret"));
    let long = [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 65 * 1024).into_bytes(),
        vec![b'x'; 65 * 1024],
    ];
    assert_eq!(http(answered_to(wants, &long.concat()).await).body, None, "longer than is read");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer = "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(http(answered(answer.as_bytes()).await).status, 307);
}

#[tokio::test]
async fn a_connection_that_ends_before_or_within_the_answer_is_no_answer() {
    for cut in
        ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "SMTP ready\r\n\r\n"]
    {
        assert_eq!(answered(cut.as_bytes()).await, Answer::Failed(Fault::AnswerBroken), "{cut:?}");
    }
}

#[tokio::test]
async fn of_a_huge_answer_only_the_head_counts() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n".to_vec();
    answer.extend(vec![b'x'; 70_000]);
    let answer = http(answered(&answer).await);
    assert_eq!((answer.status, answer.body_sha256), (200, None));
    let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert_eq!(answered(endless_head.as_bytes()).await, Answer::Failed(Fault::AnswerBroken));
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let (webhook, listener) = endpoint(serde_json::json!({"timeout_ms": 30}), &[]).await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        request(&mut stream).await.expect("a request");
        assert!(request(&mut stream).await.is_none(), "the connection is closed, not used again");
    };
    let (answer, ()) = tokio::join!(webhook.deliver(parcel(&[1])), serve);
    assert_eq!(answer, Answer::Failed(Fault::Timeout));
}

#[tokio::test]
async fn a_request_that_could_not_be_written_whole_was_not_processed() {
    let (webhook, listener) = endpoint(serde_json::json!({"mode": "batch", "batch_max": 1000}), &[]).await;
    let mut big = parcel(&[]);
    let mut event = item(1).view.event();
    event.data = Some("x".repeat(6_000_000).into());
    big.items.push(ParcelItem { view: Arc::new(View::new(&event)), ..item(1) });
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        stream.read_exact(&mut [0; 100]).await.expect("reads a little");
        // Unread bytes make the close a reset.
        drop(stream);
    };
    let (answer, ()) = tokio::join!(webhook.deliver(big), serve);
    assert_eq!(answer, Answer::Failed(Fault::SendBroken));
}

#[tokio::test]
async fn nobody_listening_is_a_failed_connect() {
    let (webhook, listener) = endpoint(serde_json::json!({}), &[]).await;
    drop(listener);
    assert_eq!(webhook.deliver(parcel(&[1])).await, Answer::Failed(Fault::Connect));
    assert!(webhook.check().await.is_err());
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_a_closed_one_never_doubles_a_request() {
    let (webhook, listener) = endpoint(serde_json::json!({}), &[]).await;
    let (closed_in, closed) = tokio::sync::oneshot::channel();
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        for _ in 0..2 {
            request(&mut stream).await.expect("a request");
            stream.write_all(OK.as_bytes()).await.expect("writes");
        }
        drop(stream);
        closed_in.send(()).expect("awaited");
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let (head, _) = request(&mut stream).await.expect("a request");
        stream.write_all(OK.as_bytes()).await.expect("writes");
        (field(&head, "webhook-id"), stream)
    };
    let deliver = async {
        assert_eq!(http(webhook.deliver(parcel(&[1])).await).status, 200);
        assert_eq!(http(webhook.deliver(parcel(&[2])).await).status, 200);
        closed.await.expect("the server closed the connection");
        // The runtime learns of the close when it looks at its sockets, which it does between two polls.
        tokio::task::yield_now().await;
        assert_eq!(http(webhook.deliver(parcel(&[3])).await).status, 200);
    };
    let ((), (id, _stream)) = tokio::join!(deliver, serve);
    assert_eq!(id, Some("03".repeat(16)));
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_the_request_is_reported_and_not_tried_again() {
    let (webhook, listener) = endpoint(serde_json::json!({}), &[]).await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        request(&mut stream).await.expect("a request");
        stream.write_all(OK.as_bytes()).await.expect("writes");
        request(&mut stream).await.expect("the second request arrives");
        drop(stream);
        let again = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
        assert!(again.is_err(), "the second request is not sent again");
    };
    let deliver = async {
        assert_eq!(http(webhook.deliver(parcel(&[1])).await).status, 200);
        webhook.deliver(parcel(&[2])).await
    };
    let (answer, ()) = tokio::join!(deliver, serve);
    assert_eq!(answer, Answer::Failed(Fault::AnswerBroken));
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection() {
    let (webhook, listener) = endpoint(serde_json::json!({}), &[]).await;
    let attempt = tokio::spawn(async move { webhook.deliver(parcel(&[1])).await });
    let (mut stream, _) = listener.accept().await.expect("accepts");
    request(&mut stream).await.expect("a request");
    attempt.abort();
    assert!(attempt.await.is_err());
    assert!(request(&mut stream).await.is_none());
}

/// The request that a configuration gives.
async fn sent(config: serde_json::Value, files: &[(&str, &str)], numbers: &[u8]) -> (Vec<String>, Vec<u8>) {
    let (webhook, listener) = endpoint(config, files).await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let got = request(&mut stream).await.expect("a request");
        stream.write_all(OK.as_bytes()).await.expect("writes");
        got
    };
    let (answer, got) = tokio::join!(webhook.deliver(parcel(numbers)), serve);
    assert_eq!(http(answer).status, 200);
    got
}

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn a_binary_request_is_signed_and_carries_the_attributes_and_the_operators_headers() {
    let config = serde_json::json!({
        "secrets": ["file:key"], "headers": {"X-Shop": "main"}, "secret_headers": {"Authorization": "file:token"},
    });
    let (head, body) = sent(config, &[("key", KEY), ("token", "Bearer hunter2")], &[7]).await;
    assert_eq!(head[0], "POST /hook?a=b HTTP/1.1");
    let value = |name: &str| field(&head, name).unwrap_or_default();
    assert_eq!((value("ce-id"), value("ce-specversion")), ("event-7".into(), "1.0".into()));
    assert_eq!(
        (value("content-type"), body.as_slice()),
        ("application/json".into(), br#"{"key":["7"]}"#.as_slice())
    );
    assert_eq!((value("x-shop"), value("authorization")), ("main".into(), "Bearer hunter2".into()));
    assert!(value("host").starts_with("127.0.0.1:"));
    assert_eq!((value("webhook-id"), value("webhook-timestamp")), ("07".repeat(16), "1614265330".into()));
    assert_eq!(value("idempotency-key"), format!("\"{}\"", "07".repeat(16)));
    assert_eq!(value("writ-epoch"), "1", "so that a former owner is refused");
    let key = signature::Key::parse(KEY).expect("key");
    assert_eq!(value("webhook-signature"), signature::header(&[key], &"07".repeat(16), 1_614_265_330, &body));
}

#[tokio::test]
async fn structured_and_batch_requests_are_json_of_their_media_type() {
    let (head, body) = sent(serde_json::json!({"mode": "structured"}), &[], &[1]).await;
    assert_eq!(field(&head, "content-type").as_deref(), Some("application/cloudevents+json"));
    assert_eq!(body, item(1).view.structured());
    assert_eq!(field(&head, "webhook-signature"), None, "no secret, no signature");
    let batch = serde_json::json!({"mode": "batch"});
    let (head, body) = sent(batch.clone(), &[], &[1, 2]).await;
    assert_eq!(field(&head, "content-type").as_deref(), Some("application/cloudevents-batch+json"));
    let events: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("json");
    assert_eq!(events.len(), 2);
    let id = field(&head, "webhook-id");
    let repeated = field(&sent(batch.clone(), &[], &[1, 2]).await.0, "webhook-id");
    let other = field(&sent(batch, &[], &[2, 1]).await.0, "webhook-id");
    assert_eq!(id, repeated);
    assert_ne!(id, other);
}

#[tokio::test]
async fn what_cannot_be_one_request_is_not_sent() {
    let (webhook, _listener) = endpoint(serde_json::json!({}), &[]).await;
    for numbers in [&[][..], &[1, 2]] {
        assert_eq!(webhook.deliver(parcel(numbers)).await, Answer::Failed(Fault::Unsendable));
    }
}

#[tokio::test]
async fn an_inner_address_is_refused_by_number_and_by_name() {
    for host in ["127.0.0.1", "[::1]", "localhost", "[::ffff:169.254.169.254]", "10.0.0.1", "0.0.0.0"] {
        let webhook =
            try_build(serde_json::json!({"url": format!("http://{host}:1/")}), &[]).expect("builds");
        assert_eq!(webhook.deliver(parcel(&[1])).await, Answer::Failed(Fault::AddressRefused), "{host}");
        assert!(webhook.check().await.expect_err(host).contains("allow_addresses"));
    }
}

#[test]
fn a_configuration_that_is_unsafe_or_wrong_is_refused_by_key() {
    let url = "https://crm.example.com/";
    let cases = [
        (serde_json::json!({}), "url"),
        (serde_json::json!({"url": "ftp://x/"}), "url"),
        (serde_json::json!({"url": "/relative"}), "url"),
        (serde_json::json!({"url": "https://user:hunter2@x/"}), "url"),
        (serde_json::json!({"url": url, "mode": "hunter2"}), "mode"),
        (serde_json::json!({"url": url, "batch_max": 5}), "batch_max"),
        (serde_json::json!({"url": url, "timeout_ms": 0}), "timeout_ms"),
        (serde_json::json!({"url": url, "secrets": ["whsec_hunter2"]}), "secrets"),
        (serde_json::json!({"url": url, "headers": {"authorization": "hunter2"}}), "headers.authorization"),
        (serde_json::json!({"url": url, "headers": {"ce-id": "1"}}), "headers.ce-id"),
        (serde_json::json!({"url": url, "headers": {"Host": "x"}}), "headers.Host"),
        (serde_json::json!({"url": url, "headers": {"x": "a\r\nb"}}), "headers.x"),
        (serde_json::json!({"url": url, "allow_addresses": ["everything"]}), "allow_addresses"),
        (serde_json::json!({"url": url, "tls_roots": "absent.pem"}), "tls_roots"),
        (serde_json::json!({"url": url, "retries": 3}), "retries"),
    ];
    for (config, key) in cases {
        let error = try_build(config, &[]).err().expect(key);
        assert_eq!(error.key, key, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn the_delivery_id_stands_in_the_header_that_the_receiver_reads() {
    let stated = serde_json::json!({"idempotency_key":
        {"retention_hours": 100, "source": "https://example.org/docs", "header": "X-Request-Key"}});
    let (webhook, listener) = endpoint(stated, &[]).await;
    let proofs = webhook.proofs();
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
    assert_eq!(proofs, [Proof::of_all(Mechanism::IdempotencyKey, hours(100))]);
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            stream.read_buf(&mut bytes).await.expect("reads");
        }
        stream.write_all(OK.as_bytes()).await.expect("answers");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (_, request) = tokio::join!(webhook.deliver(parcel(&[7])), serve);
    let id = DeliveryId([7; 16]).to_string();
    assert!(request.contains(&format!("x-request-key: {id}\r\n")), "{request}");
    assert!(request.contains(&format!("idempotency-key: \"{id}\"\r\n")), "{request}");
}

#[test]
fn a_key_that_proves_nothing_is_refused() {
    let refused = |mode: &str, key: serde_json::Value| {
        let config = serde_json::json!({"url": "https://example.org/", "mode": mode, "idempotency_key": key});
        try_build(config, &[]).err().expect("refused").key
    };
    let stated = serde_json::json!({"retention_hours": 1, "source": "a page"});
    assert_eq!(refused("batch", stated), "idempotency_key");
    let unsourced = serde_json::json!({"retention_hours": 1, "source": " "});
    assert_eq!(refused("binary", unsourced), "idempotency_key.source");
    let reserved = serde_json::json!({"retention_hours": 1, "source": "a page", "header": "host"});
    assert_eq!(refused("binary", reserved), "idempotency_key.header");
    assert!(
        try_build(serde_json::json!({"url": "https://example.org/"}), &[])
            .expect("builds")
            .proofs()
            .is_empty()
    );
}

#[tokio::test]
async fn an_event_is_looked_for_by_one_get_whose_status_says_whether_it_is_there() {
    let cases = [
        ("200 OK", Presence::There),
        ("404 Not Found", Presence::Absent),
        ("410 Gone", Presence::Absent),
        ("302 Found", Presence::Unknown(Fault::Unready)),
        ("500 Oops", Presence::Unknown(Fault::Unready)),
    ];
    for (status, expected) in cases {
        let probe = serde_json::json!({"probe": {"path": "/seen/{delivery_id}?event={event_id}"}});
        let (webhook, listener) = endpoint(probe, &[]).await;
        assert!(webhook.can_probe() && webhook.proofs().is_empty(), "a probe alone proves nothing");
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut bytes = Vec::new();
            while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                stream.read_buf(&mut bytes).await.expect("reads");
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("answers");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (presence, request) = tokio::join!(webhook.probe(parcel(&[7])), serve);
        assert_eq!(presence, expected, "{status}");
        let id = DeliveryId([7; 16]);
        assert!(request.starts_with(&format!("GET /seen/{id}?event=event-7 HTTP/1.1\r\n")), "{request}");
    }
}
