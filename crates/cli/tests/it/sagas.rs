//! Merges and erasures in steps: over kills, with a subscriber that is down, with one that refuses, under a hold.

use serde_json::Value;
use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::{HEAD, webhook};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::until;

const ABSORBED: i64 = 1;
const SURVIVOR: i64 = 2;

impl Scene {
    /// The internal id under which a customer's events are routed.
    pub(crate) fn subject(&self, customer: i64) -> String {
        let of = format!("customer/{customer}");
        let found = self.crm.deliveries().into_iter().find(|one| one.subject == of);
        found.expect("an event of this customer was delivered").partition_key
    }

    async fn saga(&self, id: &str) -> Option<Value> {
        let shown = self.stage.writ(&["saga", "show", id, "--json"]).await;
        serde_json::from_str(&shown.out).ok()
    }

    async fn until_saga(&self, id: &str, state: &str) -> Value {
        let is_so = async || self.saga(id).await.filter(|saga| saga["state"] == state);
        until(&format!("the saga is {state}"), is_so).await
    }

    async fn merge(&self, more: &[&str]) -> Value {
        let (survivor, absorbed) = (self.subject(SURVIVOR), self.subject(ABSORBED));
        let mut words = vec!["saga", "merge", &survivor, &absorbed, "--reason", "matched", "--json"];
        words.extend(more);
        serde_json::from_str(&self.stage.writ(&words).await.succeeded()).expect("JSON")
    }

    /// The identity events that were delivered, by customer and what they say.
    fn identities(&self) -> Vec<(String, String, Value)> {
        let told = self.crm.deliveries().into_iter().filter(|one| one.event_type.contains("identity"));
        let said = told.map(|one| {
            let after = one.after.map(Value::Object).unwrap_or_default();
            (one.subject, one.event_type.replace("writ.customer.", ""), after)
        });
        said.collect()
    }
}

fn id(saga: &Value) -> String {
    saga["id"].as_str().expect("an id").to_owned()
}

fn told(customer: i64, what: &str, after: Value) -> (String, String, Value) {
    (format!("customer/{customer}"), what.to_owned(), after)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_waits_for_the_last_subscriber_and_is_told_once_through_kills() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    let mut late = Receiver::dead().await;
    scene.stage.reconfigure(config(HEAD, &scene.crm) + &webhook("late", &late));
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.add(ABSORBED..SURVIVOR + 1).await;
    scene.arrived(2).await;
    let planned = scene.merge(&[]).await;
    assert_eq!(planned["steps"].as_array().map(Vec::len), Some(2), "{planned}");
    assert!(scene.saga(&id(&planned)).await.is_none(), "a dry run orders nothing");
    let saga = id(&scene.merge(&["--yes"]).await);
    let again = scene
        .stage
        .writ(&[
            "saga",
            "merge",
            &scene.subject(SURVIVOR),
            &scene.subject(ABSORBED),
            "--reason",
            "x",
            "--yes",
        ])
        .await;
    assert!(again.err.contains("WRIT-6031") && again.err.contains(&saga), "one at a time: {again:?}");
    let first = told(ABSORBED, "identity_merge.v1", serde_json::json!({ "merged_into": "2" }));
    until("the record that goes is told of", async || (scene.identities() == [first.clone()]).then_some(()))
        .await;
    scene.stage.kill().await;
    scene.stage.start().await;
    let shown = scene.saga(&saga).await.expect("it outlives a kill");
    assert_eq!(
        (&shown["state"], &shown["steps"][1]["state"]),
        (&"running".into(), &"waiting".into()),
        "{shown}"
    );
    late.come_up().await;
    let second = told(SURVIVOR, "identity_merge.v1", serde_json::json!({ "merged_key": ["1"] }));
    until("the record that stays is told of", async || scene.identities().contains(&second).then_some(()))
        .await;
    scene.stage.kill().await;
    scene.stage.start().await;
    scene.until_saga(&saga, "done").await;
    let mut different = scene.identities();
    different.dedup();
    assert_eq!(different, [first, second], "in this order, and nothing else");
    let merges = scene.crm.deliveries().into_iter().filter(|one| one.event_type.contains("identity"));
    let ids: std::collections::BTreeSet<String> = merges.map(|one| one.event_id).collect();
    assert_eq!(ids.len(), 2, "each announcement is one event, however often its step was begun");
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    assert!(scene.stage.verify().await.succeeded().contains("sound"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_a_subscriber_refuses_is_stuck_and_is_taken_back_everywhere() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(ABSORBED..SURVIVOR + 1).await;
    scene.arrived(2).await;
    scene.crm.behave(Behaviour::Answering(422));
    let saga = id(&scene.merge(&["--yes"]).await);
    let stuck = scene.until_saga(&saga, "stuck").await;
    assert!(
        stuck["why"].as_str().is_some_and(|why| why.contains("crm has it in the dead letters")),
        "{stuck}"
    );
    let status = scene.stage.writ(&["status"]).await.succeeded();
    assert!(status.contains(&format!("{saga}  merge")), "an operator sees it: {status}");
    let past = ["saga", "except", &saga, "crm", "--until", "2020-01-01T00:00:00Z", "--reason", "x"];
    let past = scene.stage.writ(&past).await;
    assert!(past.err.contains("WRIT-6031"), "{past:?}");
    let shown = scene.stage.writ(&["saga", "compensate", &saga, "--reason", "refused"]).await.succeeded();
    assert!(shown.contains("nothing was done"), "{shown}");
    scene.stage.writ(&["saga", "compensate", &saga, "--reason", "refused", "--yes"]).await.succeeded();
    scene.crm.behave(Behaviour::Healthy);
    let parked = async || (scene.stage.lane("crm").await?["dead_letters"] == 2).then_some(());
    until("the opposite waits behind what it takes back", parked).await;
    let redrive = ["dead-letters", "crm", "--redrive", &scene.subject(ABSORBED), "--yes"];
    scene.stage.writ(&redrive).await.succeeded();
    let ended = scene.until_saga(&saga, "compensated").await;
    assert_eq!(ended["steps"][1]["state"], "dropped", "the other record was never told of: {ended}");
    let merge = told(ABSORBED, "identity_merge.v1", serde_json::json!({ "merged_into": "2" }));
    let split = told(ABSORBED, "identity_split.v1", serde_json::json!({ "split_from": "2" }));
    assert_eq!(scene.identities(), [merge, split]);
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_destroys_the_keys_when_all_have_erased_and_no_hold_is_on_them() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(1..3).await;
    scene.arrived(2).await;
    let person = scene.subject(1);
    let hold =
        ["hold", "add", "--matter", "2026-17", "--reason", "litigation", "--subject", &person, "--json"];
    let hold: Value = serde_json::from_str(&scene.stage.writ(&hold).await.succeeded()).expect("JSON");
    let erase = [
        "saga",
        "erase",
        &person,
        "--reason",
        "asked",
        "--suppress-first",
        "--keep-keys",
        "0s",
        "--yes",
        "--json",
    ];
    let saga = id(&serde_json::from_str(&scene.stage.writ(&erase).await.succeeded()).expect("JSON"));
    let stuck = scene.until_saga(&saga, "stuck").await;
    assert!(stuck["why"].as_str().is_some_and(|why| why.contains("legal hold")), "{stuck}");
    let types: Vec<String> = scene
        .crm
        .deliveries()
        .into_iter()
        .skip(4)
        .map(|one| one.event_type.replace("writ.customer.", ""))
        .collect();
    assert_eq!(types, ["suppression.v1", "erasure.v1"], "suppressed before it is erased");
    let irreversible = scene.stage.writ(&["saga", "compensate", &saga, "--reason", "x", "--yes"]).await;
    assert!(irreversible.err.contains("WRIT-6031"), "{irreversible:?}");
    let release = ["hold", "release", hold["id"].as_str().expect("an id"), "--reason", "settled"];
    scene.stage.writ(&release).await.succeeded();
    scene.until_saga(&saga, "done").await;
    // What memory held open is gone too. The erasure itself is left out: it would make the others void.
    let replay = ["replay", "start", "crm", "--change-type", "email", "--change-type", "address", "--yes"];
    scene.stage.writ(&replay).await.succeeded();
    let replayed = async || (scene.crm.deliveries().len() >= 10).then_some(());
    until("what came before the erasure is delivered again", replayed).await;
    let again = &scene.crm.deliveries()[6..];
    let (gone, left): (Vec<_>, Vec<_>) = again.iter().partition(|one| one.partition_key == person);
    assert!(gone.len() == 2 && gone.iter().all(|one| one.is_tombstone), "{gone:?}");
    assert!(left.len() == 2 && left.iter().all(|one| !one.is_tombstone), "{left:?}");
    // A change of the record that comes later is held, over a restart too.
    scene.stage.kill().await;
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.cluster.psql("UPDATE customer SET email = 'again@example.org' WHERE id = 1").await;
    scene.cluster.psql("UPDATE customer SET email = 'bea@example.org' WHERE id = 2").await;
    let changed = async || (scene.crm.deliveries().len() >= 11).then_some(());
    until("the other person's change arrives", changed).await;
    let last = scene.crm.deliveries().pop().expect("a delivery");
    assert_eq!(last.subject, "customer/2");
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    assert!(scene.stage.verify().await.succeeded().contains("sound"));
}
