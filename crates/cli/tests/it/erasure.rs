//! An erasure at a subscriber that was down, or that refused an earlier event of the same person.

use serde_json::{Value, json};

use crate::first_change::{HEAD, webhook};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Stage, until};

/// Updates of the person that wait when the erasure comes.
const UPDATES: usize = 200;

fn event(id: &str, change_type: &str, customer: u32, after: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/test", "type": format!("writ.customer.{change_type}.v1"),
        "subject": format!("customer/{customer}"), "data": { "before": null, "after": after },
    })
}

fn email(id: &str, customer: u32, address: &str) -> Value {
    event(id, "email", customer, json!({ "email": address }))
}

fn erasure(id: &str, customer: u32) -> Value {
    event(id, "erasure", customer, json!({ "request_id": "case-1", "status": "requested" }))
}

async fn started(receiver: &Receiver) -> Stage {
    let source = "sources:\n  events:\n    kind: cloudevents\n";
    let mut stage = Stage::new(format!("{HEAD}{source}subscribers:\n{}", webhook("crm", receiver))).await;
    stage.start().await;
    stage
}

async fn push(stage: &Stage, event: &Value) -> String {
    stage.push("events", event).await.expect("the intake answers with a token")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_was_down_gets_the_erasure_and_none_of_the_updates_before_it() {
    let mut crm = Receiver::dead().await;
    let mut stage = started(&crm).await;
    for number in 0..UPDATES {
        push(&stage, &email(&format!("u{number}"), 42, &format!("a{number}@example.org"))).await;
    }
    push(&stage, &email("other", 43, "bea@example.org")).await;
    // What was tried before a kill may have arrived; that it is void all the same is found out anew.
    stage.kill().await;
    stage.start().await;
    let token = push(&stage, &erasure("e1", 42)).await;
    let waits = stage.writ(&["seen", &token, "--json"]).await;
    assert_eq!(waits.code, Some(1), "{waits:?}");
    crm.come_up().await;
    let seen = stage.writ(&["seen", &token, "--wait", "30s", "--subscriber", "crm", "--json"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let delivered: Vec<(String, String)> =
        crm.deliveries().into_iter().map(|one| (one.subject, one.event_type)).collect();
    let of = |subject: &str| delivered.iter().filter(|(to, _)| to == subject).collect::<Vec<_>>();
    let erased = ("customer/42".to_owned(), "writ.customer.erasure.v1".to_owned());
    assert_eq!(of("customer/42"), [&erased], "nothing but the erasure");
    assert_eq!(of("customer/43").len(), 1);
    assert!(stage.terminate().await.success(), "{}", stage.log());
    let audit = stage.verify().await;
    assert!(audit.succeeded().contains("sound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_does_not_wait_for_an_operator_behind_a_dead_letter() {
    let crm = Receiver::start(Behaviour::Answering(422)).await;
    let mut stage = started(&crm).await;
    push(&stage, &email("u1", 42, "ada@example.org")).await;
    let parked = async || {
        let lane = stage.lane("crm").await?;
        (lane["dead_letters"] == 1).then_some(())
    };
    until("the update is a dead letter", parked).await;
    crm.behave(Behaviour::Healthy);
    push(&stage, &erasure("e1", 42)).await;
    let freed = async || {
        let lane = stage.lane("crm").await?;
        (lane["dead_letters"] == 0 && lane["parked_subjects"] == 0).then_some(())
    };
    until("the erasure went through and took the dead letter with it", freed).await;
    let types: Vec<String> = crm.deliveries().into_iter().map(|one| one.event_type).collect();
    assert_eq!(types, ["writ.customer.erasure.v1"]);
    assert!(stage.terminate().await.success(), "{}", stage.log());
    assert!(stage.verify().await.succeeded().contains("sound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_has_erased_already_says_so_and_its_lane_goes_on() {
    let crm = Receiver::start(Behaviour::Answering(410)).await;
    let source = "sources:\n  events:\n    kind: cloudevents\n";
    let stated = "    idempotent: { change_types: [erasure], generation_guarded: true, source: a page }\n    delivery: { \
                  answers: [{ status: 410, change_types: [erasure], then: acknowledged }], ";
    let crm_lane = webhook("crm", &crm).replace("    delivery: { ", stated);
    let mut stage = Stage::new(format!("{HEAD}{source}subscribers:\n{crm_lane}")).await;
    stage.start().await;
    let token = push(&stage, &erasure("e1", 42)).await;
    let seen = stage.writ(&["seen", &token, "--wait", "30s"]).await;
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let lane = stage.lane("crm").await.expect("the lane is there");
    assert_eq!((lane["state"].as_str(), lane["dead_letters"].as_u64()), (Some("running"), Some(0)), "{lane}");
    assert_eq!(lane["guarantees"]["erasure"]["mechanism"], "idempotent-operation", "{lane}");
    assert_eq!(lane["guarantees"]["email"]["guarantee"], "at-least-once", "{lane}");
    // An update that is answered so means what it says: the receiver is gone.
    push(&stage, &email("u1", 43, "bea@example.org")).await;
    let stopped = async || (stage.lane("crm").await?["state"] == "gone").then_some(());
    until("the lane stops", stopped).await;
    assert!(stage.terminate().await.success(), "{}", stage.log());
}
