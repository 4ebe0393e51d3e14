//! The slot: what is confirmed and when, and how each way of losing it is named.

use std::time::Duration;

use writ_model::code;
use writ_model::control::SourceProgress;
use writ_testkit::postgres::Options;

use crate::rig::{Rig, SLOT, eventually};

async fn confirmed(rig: &Rig) -> u64 {
    rig.slot("confirmed_flush_lsn - '0/0'").await.parse().expect("a number")
}

/// Writes through more of the log than any slot limit of these tests.
async fn write_much_log(rig: &Rig) {
    rig.cluster.psql("CREATE TABLE IF NOT EXISTS bulk (t text)").await;
    for _ in 0..6 {
        rig.cluster.psql("INSERT INTO bulk SELECT repeat('x', 1000) FROM generate_series(1, 2000)").await;
        rig.cluster.psql("SELECT pg_switch_wal()").await;
        rig.cluster.psql("CHECKPOINT").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_durable_is_confirmed_and_all_of_it() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let begun = rig.streaming().await.stop().await.recorded();
    let mut running = rig.run_unsynced(Some(&begun), 64);
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'a', '')").await;
    running.until_changes(1).await;
    // Two looks at the slot later, many status messages have gone by.
    running.health.clear();
    running.until(|r| r.health.contains_key("retained_wal_bytes")).await;
    assert_eq!(confirmed(&rig).await, begun.position.commit, "read is not durable");
    running.sync();
    let durable = running.recorded().position.commit;
    eventually("the durable position is confirmed", async || confirmed(&rig).await == durable).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_orderly_stop_the_last_transaction_does_not_come_again() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'a', '')").await;
    running.until_changes(1).await;
    let stopped = running.stop().await;
    assert_eq!(confirmed(&rig).await, stopped.recorded().position.commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_moves_while_only_tables_outside_the_publication_are_written() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("CREATE TABLE audit (t text)").await;
    let mut running = rig.streaming().await;
    let before = confirmed(&rig).await;
    rig.cluster.psql("INSERT INTO audit SELECT repeat('x', 500) FROM generate_series(1, 5000)").await;
    let written: u64 =
        rig.cluster.value("SELECT pg_current_wal_lsn() - '0/0'").await.parse().expect("a number");
    running.until(|r| r.recorded().position.commit >= written).await;
    eventually("the slot has moved", async || confirmed(&rig).await >= written).await;
    assert!(written > before && running.changes.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_moves_the_slot_of_an_idle_database() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.key("heartbeat_s", 1);
    let mut running = rig.streaming().await;
    let log =
        rig.cluster.value("SELECT pg_current_wal_lsn() - '0/0'").await.parse::<u64>().expect("a number");
    running.until(|r| r.recorded().position.commit > log).await;
    assert!(running.changes.is_empty(), "a heartbeat is no change");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_channel_does_not_time_the_connection_out() {
    let options = Options::default().with("wal_sender_timeout", "2s");
    let Some(rig) = Rig::start(options).await else { return };
    let begun = rig.streaming().await.stop().await.recorded();
    let mut running = rig.run_unsynced(Some(&begun), 1);
    rig.cluster
        .psql("INSERT INTO customer SELECT i, 'a', repeat('x', 500) FROM generate_series(1, 20000) i")
        .await;
    running.until_changes(1000).await;
    let process = rig.slot("active_pid").await;
    // The subject is time itself: three times the server's patience with a reader that does not take.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(rig.slot("active_pid").await, process, "the same connection");
    running.until_changes(20_000).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_slot_is_named() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    eventually("the slot is free", async || rig.slot("active").await == "f").await;
    rig.cluster.psql(&format!("SELECT pg_drop_replication_slot('{SLOT}')")).await;
    rig.refuses(Some(&recorded), code::SLOT_MISSING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_made_anew_behind_our_back_is_named() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    eventually("the slot is free", async || rig.slot("active").await == "f").await;
    rig.cluster.psql(&format!("SELECT pg_drop_replication_slot('{SLOT}')")).await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'lost', '')").await;
    rig.cluster.psql(&format!("SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")).await;
    rig.refuses(Some(&recorded), code::SOURCE_POSITION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_another_consumer_moved_is_named() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    eventually("the slot is free", async || rig.slot("active").await == "f").await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'lost', '')").await;
    rig.cluster.psql(&format!("SELECT pg_replication_slot_advance('{SLOT}', pg_current_wal_lsn())")).await;
    rig.refuses(Some(&recorded), code::SOURCE_POSITION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_server_is_named() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut recorded = rig.streaming().await.stop().await.recorded();
    recorded.position.commit += 1 << 40;
    rig.refuses(Some(&recorded), code::SOURCE_POSITION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_named() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    let system = rig.cluster.value("SELECT system_identifier FROM pg_control_system()").await;
    let elsewhere = |from: &str, to: &str| SourceProgress {
        incarnation: writ_model::id::Incarnation(recorded.incarnation.0.replace(from, to)),
        ..recorded.clone()
    };
    rig.refuses(Some(&elsewhere(&system, "1")), code::SOURCE_IDENTITY).await;
    rig.refuses(Some(&elsewhere("/1/", "/2/")), code::SOURCE_IDENTITY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_lost_to_its_size_limit_while_stopped_is_named() {
    let options = Options::default().with("max_slot_wal_keep_size", "1MB").with("max_wal_size", "32MB");
    let Some(rig) = Rig::start(options).await else { return };
    let recorded = rig.streaming().await.stop().await.recorded();
    write_much_log(&rig).await;
    assert_eq!(rig.slot("wal_status").await, "lost");
    rig.refuses(Some(&recorded), code::SLOT_INVALIDATED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_lost_to_its_size_limit_while_streaming_is_named() {
    let options = Options::default().with("max_slot_wal_keep_size", "1MB").with("max_wal_size", "32MB");
    let Some(rig) = Rig::start(options).await else { return };
    let begun = rig.streaming().await.stop().await.recorded();
    // Nothing is made durable, so nothing is confirmed and the slot falls behind.
    let mut running = rig.run_unsynced(Some(&begun), 4096);
    running.until(|r| r.health.contains_key("retained_wal_bytes")).await;
    write_much_log(&rig).await;
    let mut error = running.failure().await;
    // The server ends the connection first and gives the slot up after; then every start says so.
    while error.is_passing {
        error = rig.refusal(Some(&begun)).await;
    }
    assert_eq!(error.code, code::SLOT_INVALIDATED, "{error}");
}
