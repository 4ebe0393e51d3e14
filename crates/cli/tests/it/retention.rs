//! The log is shortened by the real binary, which is killed while it does.

use serde_json::Value;
use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::HEAD;
use crate::stage::{Stage, until};

async fn json(stage: &Stage, arguments: &[&str]) -> Value {
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
            let report = json(&scene.stage, &["retention", "--json"]).await;
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
    let plan = json(&scene.stage, &["replay", "start", "crm", "--dry-run", "--json"]).await;
    assert!(plan["from"].as_u64().is_some_and(|from| from >= began), "{plan}");
    let held = json(&scene.stage, &["hold", "add", "--matter", "m-1", "--reason", "test", "--json"]).await;
    let id = held["id"].as_str().expect("an id");
    let listed = scene.stage.writ(&["hold", "list"]).await.succeeded();
    assert!(listed.contains(id) && listed.contains("m-1"), "{listed}");
    scene.stage.writ(&["hold", "release", id, "--reason", "done"]).await.succeeded();
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    let audit = scene.stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}\n{}", scene.stage.log());
}
