//! The log is shortened by the real binary, which is killed while it does.

use serde_json::{Value, json};
use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::{HEAD, webhook};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Stage, until};

async fn answer(stage: &Stage, arguments: &[&str]) -> Value {
    let out = stage.writ(arguments).await.succeeded();
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("JSON: {out}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_shortened_under_kills_loses_nothing_that_is_needed_and_verifies() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    let head = HEAD.replace("segment_mib: 16", "segment_mib: 1");
    let head = format!("{head}retention:\n  classes:\n    - {{ name: all, keep: 1s }}\n");
    scene.stage.reconfigure(config(&head, &scene.crm));
    scene.stage.start().await;
    scene.stage.streams().await;
    let mut began = 0;
    for round in 0..3 {
        scene.add(round * 600..round * 600 + 600).await;
        scene.arrived(usize::try_from(round * 600 + 600).expect("small")).await;
        // Journaled, and perhaps not carried out yet: the next start goes on from there.
        began = until("a part of the log is to go", async || {
            let report = answer(&scene.stage, &["retention", "--json"]).await;
            report["truncated_before"].as_u64().filter(|before| *before > began)
        })
        .await;
        scene.stage.kill().await;
        scene.stage.start().await;
        until("the log begins there", async || {
            let status = scene.stage.status().await?;
            (status["log_start"].as_u64()? >= began).then_some(())
        })
        .await;
        scene.stage.streams().await;
    }
    let words = scene.stage.writ(&["retention", "--dry-run"]).await.succeeded();
    assert!(words.contains("it is still written to"), "{words}");
    let plan = answer(&scene.stage, &["replay", "start", "crm", "--dry-run", "--json"]).await;
    assert!(plan["from"].as_u64().is_some_and(|from| from >= began), "{plan}");
    let held = answer(&scene.stage, &["hold", "add", "--matter", "m-1", "--reason", "test", "--json"]).await;
    let id = held["id"].as_str().expect("an id");
    let listed = scene.stage.writ(&["hold", "list"]).await.succeeded();
    assert!(listed.contains(id) && listed.contains("m-1"), "{listed}");
    scene.stage.writ(&["hold", "release", id, "--reason", "done"]).await.succeeded();
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    let audit = scene.stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}\n{}", scene.stage.log());
}

/// Enough for several segments.
const EVENTS: usize = 1500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_down_for_longer_than_the_log_waits_goes_on_behind_the_gap_and_it_is_told() {
    let crm = Receiver::start(Behaviour::Healthy).await;
    let mut erp = Receiver::dead().await;
    let head =
        HEAD.replace("segment_mib: 16", "segment_mib: 1").replace("attest:", "attest:\n  settle_within: 1s");
    let retention = "retention:\n  cursors_wait: 2s\n  classes:\n    - { name: all, keep: 1s }\n";
    let source = "sources:\n  events:\n    kind: cloudevents\n";
    let subscribers = format!("subscribers:\n{}{}", webhook("crm", &crm), webhook("erp", &erp));
    let mut stage = Stage::new(format!("{head}{retention}{source}{subscribers}")).await;
    stage.start().await;
    for number in 0..EVENTS {
        let street = "x".repeat(500);
        let event = json!({
            "specversion": "1.0", "id": number.to_string(), "source": "/test", "type": "writ.customer.address.v1",
            "subject": format!("customer/{number}"), "data": { "before": null, "after": { "street": street, "street2": street } },
        });
        stage.push("events", &event).await.expect("taken");
    }
    until("everything is at the one that lives", async || (crm.events() == EVENTS).then_some(())).await;
    let begun = async || {
        let status = stage.status().await?;
        (status["log_start"].as_u64()? > 0).then_some(status)
    };
    let status = until("the log is shortened although one subscriber is down", begun).await;
    let found = |status: &Value| {
        let findings = status["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|one| one["kind"] == "behind_retention" && one["subscriber"] == "erp")
    };
    assert_eq!(found(&status).expect("it is told")["severity"], "P1", "{status}");
    assert!(stage.log().contains("WRIT-6024"), "{}", stage.log());
    // It stays open over a restart, until an operator says that it is seen.
    stage.kill().await;
    stage.start().await;
    until("the finding is still there", async || found(&stage.status().await?)).await;
    assert!(stage.post("/v1/subscribers/erp/resume").await.is_success());
    until("it is closed", async || found(&stage.status().await?).is_none().then_some(())).await;
    erp.come_up().await;
    let last = json!({
        "specversion": "1.0", "id": "last", "source": "/test", "type": "writ.customer.email.v1",
        "subject": "customer/last", "data": { "before": null, "after": { "email": "ada@example.org" } },
    });
    stage.push("events", &last).await.expect("taken");
    let arrived = async || erp.deliveries().iter().any(|one| one.subject == "customer/last").then_some(());
    until("the lane goes on", arrived).await;
    assert!(erp.events() < EVENTS, "what was lost did not come");
    assert_eq!(stage.lane("erp").await.expect("a lane")["dead_letters"], 0);
    assert!(stage.terminate().await.success(), "{}", stage.log());
    let audit = stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
}
