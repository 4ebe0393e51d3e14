//! Replays over the real binary: killed and started again, under a policy that changed, of a person erased
//! since, and with new ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use writ_model::id::{Generation, SubjectId};
use writ_store::vault::{FjallVault, Master, Open, Purpose, Vault};

use crate::faults::{Scene, config};
use crate::first_change::HEAD;
use crate::receivers::Delivery;
use crate::stage::{Stage, until};

/// Runs a command that prints JSON.
async fn json(stage: &Stage, arguments: &[&str]) -> Value {
    let out = stage.writ(arguments).await.succeeded();
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("JSON: {out}"))
}

async fn start(stage: &Stage, options: &[&str]) -> Value {
    json(stage, &[&["replay", "start", "crm", "--yes", "--json"], options].concat()).await
}

async fn done(stage: &Stage, id: &str) -> Value {
    until("the replay is done", async || {
        let status = json(stage, &["replay", "show", id, "--json"]).await;
        (status["state"] == "done").then_some(status)
    })
    .await
}

/// How often each event was acknowledged.
fn counts(deliveries: &[Delivery]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    deliveries.iter().for_each(|one| *counts.entry(one.event_id.as_str()).or_default() += 1);
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_replay_goes_on_with_its_selection_and_its_rate_and_repeats_only_what_was_under_way() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(0..30).await;
    scene.arrived(30).await;
    let options = ["--change-type", "email", "--rate", "15", "--idempotency-key", "k1"];
    let id = start(&scene.stage, &options).await["id"].as_str().expect("an id").to_owned();
    for kill in 1..=2 {
        let wanted = 60 + kill * 8;
        until("some of it arrives", async || (scene.crm.deliveries().len() >= wanted).then_some(())).await;
        scene.stage.kill().await;
        scene.stage.start().await;
    }
    let status = json(&scene.stage, &["replay", "show", &id, "--json"]).await;
    assert_eq!((&status["rate_per_second"], &status["order"]["actor"]), (&15.into(), &"loopback".into()));
    let again = start(&scene.stage, &options).await;
    assert_eq!(again["id"].as_str(), Some(id.as_str()), "the same request orders nothing new: {again}");
    let status = done(&scene.stage, &id).await;
    assert_eq!((&status["failed"], &status["withheld"]), (&0.into(), &0.into()), "{status}");
    let deliveries = scene.crm.deliveries();
    let (live, replayed) = deliveries.split_at(60);
    let first: BTreeMap<_, _> = live.iter().map(|one| (&one.event_id, &one.webhook_id)).collect();
    assert!(replayed.iter().all(|one| one.event_type == "writ.customer.email.v1"), "only what was selected");
    assert!(replayed.iter().all(|one| first[&one.event_id] == &one.webhook_id), "under the same ids");
    assert_eq!(counts(replayed).len(), 30, "all that was selected");
    // A rate of 15 a second and a cursor that is written ten times a second.
    assert!(replayed.len() <= 30 + 2 * 16, "{} deliveries: it began anew", replayed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_revoked_since_stops_a_replay_and_the_dry_run_says_so() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(0..3).await;
    scene.arrived(3).await;
    assert!(scene.stage.terminate().await.success());
    let policy = "package writ\nimport rego.v1\ndefault decision := {\"allow\": true}\ndecision := {\"allow\": true, \
                  \"deny_subscribers\": [\"crm\"]} if input.change_type == \"email\"\n";
    fs::create_dir(scene.stage.path("policies")).expect("make a folder");
    fs::write(scene.stage.path("policies/policy.rego"), policy).expect("write the policy");
    scene.stage.reconfigure(config(&format!("{HEAD}policies: policies\n"), &scene.crm));
    scene.stage.start().await;
    let plan = json(&scene.stage, &["replay", "start", "crm", "--dry-run", "--json"]).await;
    assert_eq!((&plan["events"], &plan["withheld"]["policy_subscriber"]), (&3.into(), &3.into()), "{plan}");
    let words = scene.stage.writ(&["replay", "start", "crm"]).await.succeeded();
    assert!(words.contains("3 withheld: policy_subscriber") && words.contains("nothing was sent"), "{words}");
    let id = start(&scene.stage, &[]).await["id"].as_str().expect("an id").to_owned();
    let status = done(&scene.stage, &id).await;
    assert_eq!((&status["delivered"], &status["withheld"]), (&3.into(), &3.into()), "{status}");
    let deliveries = scene.crm.deliveries();
    assert!(deliveries[6..].iter().all(|one| one.event_type == "writ.customer.address.v1"));
    assert_eq!(deliveries.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_persons_events_come_out_as_tombstones_or_are_left_out() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(0..2).await;
    scene.arrived(2).await;
    let erased = scene.crm.deliveries()[0].partition_key.clone();
    assert!(scene.stage.terminate().await.success());
    let subject: SubjectId = erased.parse().expect("a subject");
    let mut vault = FjallVault::open(&scene.stage.path("data/vault"), Open { master: Master::File })
        .expect("open the vault beside a stopped engine");
    vault.destroy(subject, Generation::FIRST, &[Purpose::Content]).expect("destroy a key");
    drop(vault);
    scene.stage.start().await;
    let plan = json(&scene.stage, &["replay", "start", "crm", "--dry-run", "--json"]).await;
    assert_eq!((&plan["events"], &plan["tombstones"]), (&4.into(), &2.into()), "{plan}");
    let id = start(&scene.stage, &[]).await["id"].as_str().expect("an id").to_owned();
    done(&scene.stage, &id).await;
    let deliveries = scene.crm.deliveries();
    for one in &deliveries[4..] {
        let is_erased = one.partition_key == erased;
        assert_eq!((one.is_tombstone, one.after.is_none()), (is_erased, is_erased), "{one:?}");
        assert_eq!(one.subject.is_empty(), is_erased, "no natural key in a tombstone");
    }
    let options = ["--subject", &erased, "--shredded", "skip"];
    let id = start(&scene.stage, &options).await["id"].as_str().expect("an id").to_owned();
    let status = done(&scene.stage, &id).await;
    assert_eq!((&status["delivered"], &status["withheld"]), (&0.into(), &2.into()), "{status}");
    assert_eq!(scene.crm.deliveries().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_ids_are_new_for_every_replay_and_one_subject_is_found_without_the_others() {
    let Some(scene) = Scene::running().await else { return };
    scene.add(0..5).await;
    scene.arrived(5).await;
    let subject = scene.crm.deliveries()[0].partition_key.clone();
    for _ in 0..2 {
        let options = ["--ids", "new-id", "--subject", &subject];
        let id = start(&scene.stage, &options).await["id"].as_str().expect("an id").to_owned();
        assert_eq!(done(&scene.stage, &id).await["delivered"], 2);
    }
    let deliveries = scene.crm.deliveries();
    assert!(deliveries[10..].iter().all(|one| one.partition_key == subject));
    let ids: BTreeSet<&str> = deliveries.iter().map(|one| one.webhook_id.as_str()).collect();
    assert_eq!((deliveries.len(), ids.len()), (14, 14), "no id was used twice");
}
