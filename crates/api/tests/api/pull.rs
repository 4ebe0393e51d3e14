//! Consumers that come for their events: leases, answers, and everything that is refused.

use std::collections::BTreeSet;

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::{Answer, Ask, PATIENCE};
use crate::rig::{DESK, OPERATE, Rig, TILL, email};
use crate::stream::Stream;

const EVENTS: &str = "/v1/subscribers/till/events";

/// One lease as the consumer sees it.
struct Leased {
    id: String,
    events: Vec<Value>,
}

impl Leased {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/cloudevents-batch+json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let id = answer.headers["writ-lease"].to_str().unwrap().to_owned();
        let events = answer.json().as_array().unwrap().clone();
        Self { id, events }
    }

    fn deliveries(&self) -> Vec<String> {
        let id = |event: &Value| event["deliveryid"].as_str().unwrap().to_owned();
        self.events.iter().map(id).collect()
    }

    fn mails(&self) -> Vec<String> {
        let mail = |event: &Value| event["data"]["after"]["email"].as_str().unwrap().to_owned();
        self.events.iter().map(mail).collect()
    }
}

async fn poll(rig: &Rig, path: &str, token: &str) -> Answer {
    rig.ask("GET", path).token(token).send().await
}

/// The next lease of the till.
async fn take(rig: &Rig) -> Leased {
    Leased::of(&poll(rig, EVENTS, TILL).await)
}

async fn say(rig: &Rig, lease: &str, body: &Value) -> Answer {
    let path = format!("/v1/subscribers/till/leases/{lease}");
    rig.ask("POST", &path).token(TILL).body(body.to_string()).send().await
}

fn all(answer: &str) -> Value {
    json!({ "rest": { "answer": answer } })
}

async fn acknowledge(rig: &Rig, lease: &Leased) {
    let answer = say(rig, &lease.id, &all("acknowledged")).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "left": 0 })), "{}", answer.text);
}

/// Takes and acknowledges until so many events have come; the mails in the order of coming.
async fn consume(rig: &Rig, count: usize) -> Vec<String> {
    let mut mails = Vec::new();
    while mails.len() < count {
        let lease = take(rig).await;
        mails.extend(lease.mails());
        acknowledge(rig, &lease).await;
    }
    mails
}

async fn lane(rig: &Rig, name: &str) -> Value {
    let status = rig.get("/v1/status").await.json();
    status["subscribers"].as_array().unwrap().iter().find(|lane| lane["subscriber"] == name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_answered_and_settled() {
    let rig = Rig::start_pulled().await;
    let event = rig.push(&email("e1", "1", "ada@example.org")).await.event_id();
    let lease = take(&rig).await;
    assert_eq!(lease.events[0]["id"], event);
    assert_eq!(lease.events[0]["type"], "writ.customer.email.v1");
    acknowledge(&rig, &lease).await;
    let is_settled = |answer: &Answer| {
        answer.status == 200 && answer.json()["acknowledgements"]["till"]["settled"] == "acknowledged"
    };
    rig.get_until(&format!("/v1/events/{event}"), is_settled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_waits_for_what_comes_and_ends_without_it() {
    let rig = Rig::start_pulled().await;
    let empty = poll(&rig, "/v1/subscribers/till/events?wait=1ms", TILL).await;
    assert_eq!((empty.status, empty.text.as_str()), (204, ""));
    let event = email("e1", "1", "ada@example.org");
    let (lease, _) = tokio::join!(take(&rig), rig.push(&event));
    assert_eq!(lease.mails(), ["ada@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_get_different_events_and_a_subject_stays_in_order() {
    let rig = Rig::start_pulled().await;
    // A lane probes before it bursts: the first event closes the breaker.
    rig.push(&email("e0", "0", "first@example.org")).await;
    consume(&rig, 1).await;
    let (a, b) = tokio::join!(take(&rig), async {
        let events: Vec<Value> = (1..=40)
            .map(|n| email(&format!("e{n}"), &(n % 4).to_string(), &format!("{n}@example.org")))
            .collect();
        assert_eq!(rig.push_batch(&events).await.status, 202);
        take(&rig).await
    });
    let both = a.deliveries().into_iter().chain(b.deliveries()).collect::<Vec<_>>();
    let different: BTreeSet<_> = both.iter().collect();
    assert_eq!(different.len(), both.len(), "an event was leased twice at once");
    let subjects = |lease: &Leased| {
        lease.events.iter().map(|event| event["subject"].to_string()).collect::<BTreeSet<_>>()
    };
    assert!(subjects(&a).is_disjoint(&subjects(&b)), "one subject, two consumers");
    let mut mails = a.mails().into_iter().chain(b.mails()).collect::<Vec<_>>();
    acknowledge(&rig, &b).await;
    acknowledge(&rig, &a).await;
    mails.extend(consume(&rig, 40 - mails.len()).await);
    let number = |mail: &String| mail.split('@').next().unwrap().parse::<usize>().unwrap();
    for subject in 0..4 {
        let order: Vec<usize> = mails.iter().map(number).filter(|n| n % 4 == subject).collect();
        let expected: Vec<usize> = (1..=40).filter(|n| n % 4 == subject).collect();
        assert_eq!(order, expected, "subject {subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_does_not_answer_comes_again_and_its_late_word_is_refused() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    let former = take(&rig).await;
    let lease = take(&rig).await;
    assert_eq!(lease.deliveries(), former.deliveries(), "the same delivery ids");
    assert_ne!(lease.id, former.id);
    let late = say(&rig, &former.id, &all("acknowledged")).await;
    late.expect_problem(StatusCode::CONFLICT, "WRIT-6010");
    acknowledge(&rig, &lease).await;
    let twice = say(&rig, &lease.id, &all("acknowledged")).await;
    twice.expect_problem(StatusCode::CONFLICT, "WRIT-6010");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_a_former_engine_is_refused_and_its_events_come_again() {
    let mut rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    let former = take(&rig).await;
    rig.restart().await;
    let late = say(&rig, &former.id, &all("acknowledged")).await;
    late.expect_problem(StatusCode::CONFLICT, "WRIT-6011");
    let path = format!("/v1/subscribers/till/leases/{}/extend", former.id);
    let late = rig.ask("POST", &path).token(TILL).send().await;
    late.expect_problem(StatusCode::CONFLICT, "WRIT-6011");
    let lease = take(&rig).await;
    assert_eq!(lease.deliveries(), former.deliveries());
    let epoch = |lease: &Leased| lease.id.split('.').next().unwrap().parse::<u64>().unwrap();
    assert!(epoch(&lease) > epoch(&former));
    acknowledge(&rig, &lease).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_survives_a_restart() {
    let mut rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    consume(&rig, 1).await;
    rig.restart().await;
    rig.push(&email("e2", "2", "bob@example.org")).await;
    assert_eq!(consume(&rig, 1).await, ["bob@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_lease_has_its_own_answer() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e0", "0", "first@example.org")).await;
    let probe = take(&rig).await;
    let events: Vec<Value> =
        (1..=3).map(|n| email(&format!("e{n}"), &n.to_string(), &format!("{n}@example.org"))).collect();
    rig.push_batch(&events).await;
    acknowledge(&rig, &probe).await;
    let lease = take(&rig).await;
    assert_eq!(lease.mails(), ["1@example.org", "2@example.org", "3@example.org"]);
    let ids = lease.deliveries();
    let words = json!({ "answers": [
        { "delivery": ids[0], "answer": "acknowledged" },
        { "delivery": ids[1], "answer": "rejected", "cause": "invalid" },
        { "delivery": ids[2], "answer": "retry" },
    ] });
    let answer = say(&rig, &lease.id, &words).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "left": 0 })), "{}", answer.text);
    assert_eq!(consume(&rig, 1).await, ["3@example.org"]);
    let letters = "/v1/subscribers/till/dead-letters";
    let is_there = |answer: &Answer| answer.json()["dead_letters"] != json!([]);
    let letters = rig.get_until(letters, is_there).await.json();
    assert_eq!(letters["dead_letters"][0]["cause"], "rejected_invalid");
    assert_eq!(letters["dead_letters"][0]["delivery_id"], ids[1].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_holds_no_more_than_was_asked_for_and_the_rest_follows() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e0", "0", "first@example.org")).await;
    let probe = take(&rig).await;
    let events: Vec<Value> =
        (1..=3).map(|n| email(&format!("e{n}"), "1", &format!("{n}@example.org"))).collect();
    rig.push_batch(&events).await;
    acknowledge(&rig, &probe).await;
    for expected in ["1@example.org", "2@example.org", "3@example.org"] {
        let lease = Leased::of(&poll(&rig, "/v1/subscribers/till/events?max=1", TILL).await);
        assert_eq!(lease.mails(), [expected]);
        acknowledge(&rig, &lease).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_extended_while_it_lives() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    let lease = take(&rig).await;
    let path = format!("/v1/subscribers/till/leases/{}/extend", lease.id);
    let extended = rig.ask("POST", &path).token(TILL).send().await;
    assert_eq!(extended.json(), json!({ "lease": lease.id, "lease_ms": 1000 }), "{}", extended.text);
    acknowledge(&rig, &lease).await;
    let late = rig.ask("POST", &path).token(TILL).send().await;
    late.expect_problem(StatusCode::CONFLICT, "WRIT-6010");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_do_not_fit_are_refused_whole() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    let lease = Leased::of(&poll(&rig, "/v1/subscribers/desk/events", DESK).await);
    let path = format!("/v1/subscribers/desk/leases/{}", lease.id);
    let say = async |body: String| rig.ask("POST", &path).token(DESK).body(body).send().await;
    let id = &lease.deliveries()[0];
    for body in [
        json!({}),
        json!({ "answers": [] }),
        json!({ "answers": [{ "delivery": "xyz", "answer": "acknowledged" }] }),
        json!({ "answers": [{ "delivery": id, "answer": "eaten" }] }),
        json!({ "answers": [{ "delivery": id, "answer": "rejected" }] }),
        json!({ "answers": [{ "delivery": id, "answer": "rejected", "cause": "ada@example.org" }] }),
        json!({ "answers": [{ "delivery": id, "answer": "acknowledged", "wait": "1s" }] }),
        json!({ "rest": { "answer": "retry", "cause": "invalid" } }),
        json!({ "rest": { "answer": "retry", "wait": "soon" } }),
        json!({ "rest": { "answer": "acknowledged" }, "more": 1 }),
    ] {
        let refused = say(body.to_string()).await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
        assert!(!refused.text.contains("ada@"), "{}", refused.text);
    }
    say("not json".to_owned()).await.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    say("x".repeat(300 * 1024)).await.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "WRIT-3004");
    let stranger = json!({ "answers": [
        { "delivery": id, "answer": "acknowledged" }, { "delivery": "00".repeat(16), "answer": "acknowledged" },
    ] });
    say(stranger.to_string()).await.expect_problem(StatusCode::CONFLICT, "WRIT-6014");
    let answer = say(all("acknowledged").to_string()).await;
    assert_eq!(answer.json(), json!({ "left": 0 }), "nothing was taken before");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_leases_that_are_none_are_refused() {
    let rig = Rig::start_pulled().await;
    for query in ["wait=61s", "wait=soon", "max=0", "max=1001", "max=-1", "after=7"] {
        let refused = poll(&rig, &format!("{EVENTS}?{query}"), TILL).await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
    for lease in ["7", "1.x", "01.1"] {
        let refused = say(&rig, lease, &all("acknowledged")).await;
        refused.expect_problem(StatusCode::BAD_REQUEST, "WRIT-8005");
    }
    let head = rig.ask("HEAD", EVENTS).token(TILL).send().await;
    assert_eq!(head.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_consumers_wait_at_once() {
    let rig = Rig::start_pulled().await;
    let stream = Stream::open(&rig, "desk", DESK).await;
    let refused = poll(&rig, "/v1/subscribers/desk/events?wait=0s", DESK).await;
    refused.expect_problem(StatusCode::TOO_MANY_REQUESTS, "WRIT-6013");
    assert_eq!(refused.headers["retry-after"], "1");
    drop(stream);
    let left = async {
        while poll(&rig, "/v1/subscribers/desk/events?wait=0s", DESK).await.status == 429 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("a consumer that left makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_what_is_offered_too_and_a_resume_brings_it_back() {
    let rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    // Offered, and not taken yet.
    let offered = async {
        while lane(&rig, "till").await["in_flight"] != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, offered).await.expect("the event is offered");
    let act =
        async |act: &str| rig.ask("POST", &format!("/v1/subscribers/till/{act}")).token(OPERATE).send().await;
    assert_eq!(act("pause").await.status, 200);
    assert_eq!(poll(&rig, "/v1/subscribers/till/events?wait=1ms", TILL).await.status, 204);
    assert_eq!(act("resume").await.status, 200);
    assert_eq!(consume(&rig, 1).await, ["ada@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_polls_and_streams_at_once_and_gives_no_more_leases() {
    let mut rig = Rig::start_pulled().await;
    let mut stream = Stream::open(&rig, "till", TILL).await;
    let address = rig.address;
    let waiting = tokio::spawn(async move {
        loop {
            let ask = Ask::new(address, "GET", "/v1/subscribers/desk/events?wait=60s").token(DESK);
            let answer = ask.send().await;
            // Whoever looks whether the place is taken may be in it for a moment.
            if answer.status != 429 {
                return answer;
            }
        }
    });
    is_crowded(&rig).await;
    rig.stop_engine().await;
    let answer = waiting.await.unwrap();
    answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "WRIT-8002");
    stream.end().await;
    let refused = poll(&rig, EVENTS, TILL).await;
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "WRIT-8002");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_while_the_engine_drains_still_counts() {
    let mut rig = Rig::start_pulled().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    let lease = Leased::of(&poll(&rig, "/v1/subscribers/desk/events", DESK).await);
    let path = format!("/v1/subscribers/desk/leases/{}", lease.id);
    let address = rig.address;
    let late = tokio::spawn(async move {
        while Ask::new(address, "GET", "/readyz").send().await.status == 200 {}
        Ask::new(address, "POST", &path).token(DESK).body(all("acknowledged").to_string()).send().await
    });
    rig.stop_engine().await;
    assert_eq!(late.await.unwrap().json(), json!({ "left": 0 }));
}

/// Waits until the one place of the desk is taken.
async fn is_crowded(rig: &Rig) {
    let crowded = async {
        while poll(rig, "/v1/subscribers/desk/events?wait=0s", DESK).await.status != 429 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, crowded).await.expect("the consumer is in");
}
