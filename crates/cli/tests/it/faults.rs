//! What goes wrong around the engine, one thing at a time: each is one clear error, and nothing is lost.

use std::fs;
use std::time::Duration;

use writ_testkit::postgres::{Cluster, Options};

use crate::first_change::{HEAD, TABLE, source, webhook};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Stage, cluster, until};

/// A cluster with the table, one webhook, and the engine's folder; the engine does not run yet.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) crm: Receiver,
    pub(crate) stage: Stage,
}

impl Scene {
    pub(crate) async fn set(options: &Options) -> Option<Self> {
        let cluster = cluster(options)?;
        cluster.psql(TABLE).await;
        let crm = Receiver::start(Behaviour::Healthy).await;
        let mut stage = Stage::new(config(HEAD, &crm)).await;
        stage.environment("WRIT_SHOP_URL", &cluster.url());
        Some(Self { cluster, crm, stage })
    }

    pub(crate) async fn running() -> Option<Self> {
        let mut scene = Self::set(&Options::default()).await?;
        scene.stage.start().await;
        scene.stage.streams().await;
        Some(scene)
    }

    /// Adds customers with these ids; each gives an event for its e-mail address and one for its city.
    pub(crate) async fn add(&self, ids: std::ops::Range<i64>) {
        let (first, last) = (ids.start, ids.end - 1);
        let sql = format!(
            "INSERT INTO customer SELECT n, 'c' || n || '@example.org', NULL, 'Graz' FROM generate_series({first}, {last}) n"
        );
        self.cluster.psql(&sql).await;
    }

    /// Waits until so many customers have arrived, and not one event more.
    pub(crate) async fn arrived(&self, customers: usize) {
        until("all customers arrive", async || (self.crm.events() >= 2 * customers).then_some(())).await;
        assert_eq!(self.crm.events(), 2 * customers);
    }

    /// Waits for an error of the source that carries this code; the whole error.
    pub(crate) async fn source_says(&self, code: &str) -> String {
        until(&format!("the source says {code}"), async || {
            let source = self.stage.source().await?;
            source["error"].as_str().filter(|error| error.contains(code)).map(str::to_owned)
        })
        .await
    }
}

pub(crate) fn config(head: &str, crm: &Receiver) -> String {
    format!("{head}{}subscribers:\n{}", source(), webhook("crm", crm))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_is_one_clear_error_and_capture_resumes_when_it_is_back() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.add(0..10).await;
    scene.arrived(10).await;
    scene.cluster.stop_immediate();
    let error = scene.source_says("WRIT-2001").await;
    assert_eq!(error.matches("WRIT-2001").count(), 1, "{error}");
    let source = scene.stage.source().await.expect("the engine answers");
    assert!(matches!(source["phase"].as_str(), Some("waiting" | "starting")), "{source}");
    scene.cluster.start_again();
    scene.add(10..20).await;
    scene.arrived(20).await;
    let source = scene.stage.source().await.expect("the engine answers");
    assert!(source["error"].is_null(), "the error is gone with its cause: {source}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidated_slot_stops_the_source_with_its_code_and_a_new_slot_goes_on() {
    let options = Options::default().with("max_slot_wal_keep_size", "1MB");
    let Some(mut scene) = Scene::set(&options).await else { return };
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.add(0..10).await;
    scene.arrived(10).await;
    assert!(scene.stage.terminate().await.success());
    scene.add(10..20).await;
    scene.cluster.psql("CREATE TABLE filler (text text)").await;
    until("the slot is lost", async || {
        scene.cluster.psql("INSERT INTO filler SELECT repeat(md5(n::text), 50) FROM generate_series(1, 5000) n; SELECT pg_switch_wal(); CHECKPOINT").await;
        (scene.cluster.value("SELECT wal_status FROM pg_replication_slots").await == "lost").then_some(())
    })
    .await;
    scene.stage.start().await;
    let error = scene.source_says("WRIT-2002").await;
    assert!(error.contains("slot"), "{error}");
    let source = scene.stage.source().await.expect("the engine answers");
    assert_eq!(source["phase"], "failed", "{source}");
    assert!(scene.stage.terminate().await.success());
    let renewed = config(HEAD, &scene.crm).replace("slot: writ\n", "slot: writ_2\n");
    scene.stage.reconfigure(renewed);
    scene.stage.start().await;
    scene.arrived(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_ends_the_start_before_the_store_is_touched() {
    let crm = Receiver::start(Behaviour::Healthy).await;
    let mut stage = Stage::new(format!("{HEAD}subscribers:\n{}", webhook("crm", &crm))).await;
    let _taken = tokio::net::TcpListener::bind(("127.0.0.1", stage.port())).await.expect("take the port");
    stage.spawn();
    let ended = stage.wait().await;
    assert_eq!(ended.code(), Some(3), "{}", stage.log());
    assert!(stage.log().contains("WRIT-8001"), "{}", stage.log());
    assert!(!stage.path("data").exists(), "the store was not touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_on_the_same_store_is_refused() {
    let crm = Receiver::start(Behaviour::Healthy).await;
    let template = format!("{HEAD}subscribers:\n{}", webhook("crm", &crm));
    let mut stage = Stage::new(template.clone()).await;
    stage.start().await;
    let store = stage.path("data").display().to_string();
    let mut second = Stage::new(template.replace("path: data", &format!("path: {store}"))).await;
    second.spawn();
    let ended = second.wait().await;
    assert_eq!(ended.code(), Some(3), "{}", second.log());
    assert!(second.log().contains("WRIT-5004"), "{}", second.log());
    assert!(stage.status().await.is_some(), "the first engine goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_segment_is_named_and_the_engine_refuses_to_start() {
    let Some(mut scene) = Scene::running().await else { return };
    for round in 0..5 {
        scene.add(round * 10..round * 10 + 10).await;
        scene.arrived(usize::try_from(round * 10 + 10).expect("small")).await;
    }
    assert!(scene.stage.terminate().await.success());
    let log = scene.stage.path("data/log");
    let entries =
        fs::read_dir(&log).expect("read the log's folder").map(|entry| entry.expect("read an entry").path());
    let mut segments: Vec<_> =
        entries.filter(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 4096)).collect();
    segments.sort();
    let segment = segments.first().expect("there is a segment");
    let mut bytes = fs::read(segment).expect("read the segment");
    // Well inside what was committed: a byte behind the first e-mail event's clear header.
    let at =
        bytes.windows(5).position(|window| window == b"email").expect("a clear header is readable") + 200;
    bytes[at] ^= 1;
    fs::write(segment, &bytes).expect("write the segment");
    scene.stage.spawn();
    let ended = scene.stage.wait().await;
    let said = scene.stage.log();
    assert_eq!(ended.code(), Some(3), "{said}");
    let error =
        said.lines().find(|line| line.contains("WRIT-5003")).unwrap_or_else(|| panic!("WRIT-5003: {said}"));
    let name = segment.file_stem().expect("a segment has a name").to_string_lossy().into_owned();
    assert!(
        error.contains(name.trim_start_matches('0')) || error.contains(&name),
        "names segment {name}: {error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_attempts_end_and_nothing_is_sent_twice() {
    let Some(mut scene) = Scene::running().await else { return };
    scene.crm.behave(Behaviour::Slow(Duration::from_millis(200)));
    scene.add(0..40).await;
    until("deliveries are under way", async || (scene.crm.events() > 0).then_some(())).await;
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    let before = scene.crm.deliveries().len();
    assert!(before < 80, "it stopped while there was work left");
    scene.crm.behave(Behaviour::Healthy);
    scene.stage.start().await;
    scene.arrived(40).await;
    assert_eq!(scene.crm.deliveries().len(), 80, "a drained engine repeats nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_comes_while_the_engine_starts_is_an_orderly_one() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    for _ in 0..5 {
        let said = scene.stage.log().len();
        scene.stage.spawn();
        until("the engine says its first word", async || (scene.stage.log().len() > said).then_some(()))
            .await;
        assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    }
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.add(0..10).await;
    scene.arrived(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttling_subscriber_is_waited_for_and_loses_nothing() {
    let Some(scene) = Scene::running().await else { return };
    scene.crm.behave(Behaviour::Throttling(1));
    scene.add(0..20).await;
    scene.arrived(20).await;
    assert!(scene.crm.refused() <= 8, "at most what was in flight is refused: {}", scene.crm.refused());
    let lane = scene.stage.lane("crm").await.expect("the engine answers");
    assert_eq!(lane["dead_letters"], 0, "{lane}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_subscriber_holds_nobody_back_and_catches_up_when_it_is_there() {
    let Some(cluster) = cluster(&Options::default()) else { return };
    cluster.psql(TABLE).await;
    let (crm, mut late) = (Receiver::start(Behaviour::Healthy).await, Receiver::dead().await);
    let mut stage = Stage::new(config(HEAD, &crm) + &webhook("late", &late)).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    stage.streams().await;
    let mut scene = Scene { cluster, crm, stage };
    scene.add(0..100).await;
    scene.arrived(100).await;
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    scene.stage.start().await;
    late.come_up().await;
    until("the late one has everything", async || (late.events() == 200).then_some(())).await;
    let events = |receiver: &Receiver| {
        let ids =
            receiver.deliveries().into_iter().map(|one| (one.event_id, one.sequence, one.after.is_some()));
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(events(&late), events(&scene.crm), "both were sent the same events");
    assert_eq!(scene.crm.deliveries().len(), 200, "who was there is sent nothing again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_200_that_says_no_is_a_failure_where_a_rule_says_so() {
    let Some(cluster) = cluster(&Options::default()) else { return };
    cluster.psql(TABLE).await;
    let crm = Receiver::start(Behaviour::Saying("{\"ok\": false}")).await;
    let rule = "answers: [{ status: 200, body: { at: /ok, equals: false }, then: retry }], ";
    let config = config(HEAD, &crm).replace("delivery: { ", &format!("delivery: {{ {rule}"));
    let mut stage = Stage::new(config).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    stage.streams().await;
    let scene = Scene { cluster, crm, stage };
    scene.add(0..5).await;
    until("it says no three times", async || (scene.crm.refused() >= 3).then_some(())).await;
    let lane = scene.stage.lane("crm").await.expect("the engine answers");
    assert_eq!(lane["last_failure"], "http_200/rule_1");
    scene.crm.behave(Behaviour::Healthy);
    scene.arrived(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_nine_dead_subscribers_of_thirty_keep_to_the_byte_cap_and_are_found() {
    const DEAD: usize = 29;
    const CAP: u64 = 1 << 20;
    // The cap is divided among thirty lanes and eight places for replays; a lane may exceed its share by one event.
    const SHARE: u64 = CAP / 38;
    const EVENT_BYTES_MAX: u64 = 4096;
    let Some(cluster) = cluster(&Options::default()) else { return };
    cluster.psql(TABLE).await;
    let (crm, dead) = (Receiver::start(Behaviour::Healthy).await, Receiver::dead().await);
    let others: String = (0..DEAD).map(|n| webhook(&format!("dead{n:02}"), &dead)).collect();
    let head = format!("{HEAD}limits:\n  lanes_mib: 1\n");
    let mut stage = Stage::new(config(&head, &crm) + &others).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    stage.streams().await;
    let scene = Scene { cluster, crm, stage };
    scene.add(0..500).await;
    scene.arrived(500).await;
    let held = until("every dead lane holds events", async || {
        let status = scene.stage.status().await?;
        let lanes = status["subscribers"].as_array()?.iter();
        let held: Vec<u64> = lanes.filter_map(|lane| lane["bytes"].as_u64()).collect();
        (held.iter().filter(|bytes| **bytes > 0).count() >= DEAD).then_some(held)
    })
    .await;
    assert!(held.iter().all(|bytes| *bytes <= SHARE + EVENT_BYTES_MAX), "{held:?}");
    assert!(held.iter().sum::<u64>() <= CAP, "{held:?}");
    let found = until("every dead subscriber is found", async || {
        let found: serde_json::Value =
            serde_json::from_str(&scene.stage.writ(&["findings", "--json"]).await.succeeded()).ok()?;
        let found = found["findings"].as_array()?.clone();
        (found.iter().filter(|one| one["kind"] == "down").count() == DEAD).then_some(found)
    })
    .await;
    assert!(found.iter().all(|one| one["severity"] == "P3" && one["subscriber"] != "crm"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_subscriber_receives_nothing_until_resumed_not_even_after_a_restart() {
    let Some(mut scene) = Scene::running().await else { return };
    assert!(scene.stage.post("/v1/subscribers/crm/pause").await.is_success());
    scene.add(0..10).await;
    let committed = async || {
        let status = scene.stage.status().await?;
        (status["state_applied"].as_u64()? >= 40).then_some(())
    };
    until("the changes are in the log", committed).await;
    assert!(scene.stage.terminate().await.success());
    scene.stage.start().await;
    scene.stage.streams().await;
    let lane = scene.stage.lane("crm").await.expect("the engine answers");
    assert_eq!((lane["state"].as_str(), scene.crm.events()), (Some("paused"), 0), "{lane}");
    assert!(scene.stage.post("/v1/subscribers/crm/resume").await.is_success());
    scene.arrived(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_redriven_and_discarded_over_the_command_line() {
    let Some(scene) = Scene::running().await else { return };
    scene.crm.behave(Behaviour::Answering(422));
    scene.add(1..3).await;
    let dead = async || (scene.stage.lane("crm").await?["dead_letters"] == 4).then_some(());
    until("both customers' events are in the dead letters", dead).await;
    scene.crm.behave(Behaviour::Healthy);
    let listed = scene.stage.writ(&["dead-letters", "crm", "--json"]).await.succeeded();
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let letters = listed["dead_letters"].as_array().expect("a list");
    assert_eq!(letters.len(), 4, "{listed}");
    let first = letters[0]["subject_id"].as_str().expect("a subject");
    let second = letters.iter().filter_map(|one| one["subject_id"].as_str()).find(|one| *one != first);
    let second = second.expect("two subjects");

    let planned = scene.stage.writ(&["dead-letters", "crm", "--redrive", first]).await.succeeded();
    assert!(planned.contains("nothing was done"), "{planned}");
    scene.stage.writ(&["dead-letters", "crm", "--redrive", first, "--yes"]).await.succeeded();
    scene.arrived(1).await;
    scene.stage.writ(&["dead-letters", "crm", "--discard", second, "--yes"]).await.succeeded();
    let none = async || (scene.stage.lane("crm").await?["dead_letters"] == 0).then_some(());
    until("no dead letters are left", none).await;
    let listed = scene.stage.writ(&["dead-letters", "crm"]).await.succeeded();
    assert!(listed.contains("no dead letters"), "{listed}");
    scene.add(3..4).await;
    scene.arrived(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_delivers_the_same_ids_again_and_a_trace_tells_an_events_life() {
    let Some(scene) = Scene::running().await else { return };
    scene.add(0..10).await;
    scene.arrived(10).await;
    let planned = scene.stage.writ(&["replay", "start", "crm", "--from-offset", "0"]).await.succeeded();
    assert!(planned.contains("nothing was sent"), "{planned}");
    let before = scene.crm.deliveries();
    scene.stage.writ(&["replay", "start", "crm", "--from-offset", "0", "--yes"]).await.succeeded();
    until("everything arrives again", async || (scene.crm.deliveries().len() == 40).then_some(())).await;
    let again = &scene.crm.deliveries()[20..];
    for one in &before {
        assert!(again.contains(one), "event {} came again as it was", one.event_id);
    }
    let settled = async || {
        let trace = scene.stage.writ(&["trace", &before[0].event_id]).await;
        trace.out.contains("acknowledged").then_some(trace.out)
    };
    let trace = until("the trace shows the acknowledgement", settled).await;
    for expected in ["committed", "admitted", "decided", "attested", "crm"] {
        assert!(trace.contains(expected), "{expected}: {trace}");
    }
    let of_subject = scene.stage.writ(&["trace", &before[0].partition_key]).await.succeeded();
    assert_eq!(of_subject.matches("event ").count(), 2, "{of_subject}");
    let unknown = scene.stage.writ(&["trace", "00000000-0000-7000-8000-000000000000"]).await;
    assert!(unknown.code == Some(2) && unknown.err.contains("WRIT-6006"), "{unknown:?}");
}
