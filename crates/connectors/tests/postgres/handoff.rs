//! From snapshot to stream.

use std::collections::BTreeMap;

use writ_model::change::{Change, RowChange};
use writ_model::code;
use writ_model::value::Value;
use writ_testkit::postgres::Options;

use crate::rig::{Rig, SLOT, eventually, value};

/// The table as the changes tell it; a change that does not follow from the ones before is a loss or a repeat.
fn replay(changes: &[Change]) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for change in changes {
        let key = change.key.0[0].clone();
        let known = rows.contains_key(&key);
        match change.row {
            RowChange::Upsert | RowChange::Insert => assert!(!known, "{:?} repeats {key}", change.row),
            RowChange::Update | RowChange::Delete => assert!(known, "{:?} of unknown {key}", change.row),
        }
        match value(change, "email") {
            Some(email) => rows.insert(key, email),
            None => rows.remove(&key),
        };
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handoff_under_writes_loses_and_repeats_nothing() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster
        .psql("INSERT INTO customer SELECT i, 'v0', repeat('x', 200) FROM generate_series(1, 6000) i")
        .await;
    let mut writers = Vec::new();
    for writer in 0..3 {
        let client = rig.cluster.connect().await;
        writers.push(tokio::spawn(async move {
            for round in 0..400 {
                let (old, new) = (1 + (round * 13 + writer * 2000) % 6000, 10_000 + writer * 1000 + round);
                let sql = format!(
                    "BEGIN; UPDATE customer SET email = email || '.' WHERE id = {old}; \
                     INSERT INTO customer VALUES ({new}, 'new', ''); COMMIT; \
                     DELETE FROM customer WHERE id = {new} AND id % 3 = 0"
                );
                client.simple_query(&sql).await.expect("written");
            }
        }));
    }
    let mut running = rig.run(None);
    running.until(|r| r.changes.iter().filter(|c| c.row != RowChange::Upsert).count() > 100).await;
    for writer in writers {
        writer.await.expect("writer");
    }
    rig.cluster.psql("INSERT INTO customer VALUES (99999, 'last', '')").await;
    running.until_email("99999", "last").await;
    let told = replay(&running.changes);
    let held = rig.cluster.psql("SELECT id, email FROM customer").await;
    let held: BTreeMap<String, Value> =
        held.into_iter().map(|row| (row[0].clone(), Value::Text(row[1].clone()))).collect();
    assert!(told == held, "{} told, {} held", told.len(), held.len());
    let mut positions: Vec<_> = running.changes.iter().map(|c| c.position).collect();
    positions.dedup();
    assert_eq!(positions.len(), running.changes.len(), "positions are unique");
    assert!(positions.is_sorted(), "positions rise from the snapshot through the stream");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_snapshot_begins_again_with_a_new_slot() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("INSERT INTO customer SELECT i, 'v0', '' FROM generate_series(1, 3000) i").await;
    let mut first = rig.run(None);
    first.until_changes(500).await;
    let recorded = first.recorded();
    assert!(recorded.snapshot.is_some());
    first.abort().await;
    rig.cluster.psql("UPDATE customer SET email = 'v1' WHERE id = 1").await;
    let mut again = rig.run(Some(&recorded));
    again.until_streaming().await;
    assert_eq!(again.changes.len(), 3000);
    assert_ne!(again.recorded().incarnation, recorded.incarnation);
    assert!(again.changes.iter().any(|c| value(c, "email") == Some(Value::Text("v1".into()))));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_this_store_did_not_make_is_not_touched() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql(&format!("SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")).await;
    rig.refuses(None, code::SOURCE_IDENTITY).await;
    assert_eq!(rig.slot("active").await, "f");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_only_changes_are_told() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.key("snapshot", "never");
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'old', '')").await;
    let mut running = rig.streaming().await;
    rig.cluster.psql("INSERT INTO customer VALUES (2, 'new', '')").await;
    running.until_changes(1).await;
    assert_eq!(running.kinds(), [RowChange::Insert]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_slot_name_starts_anew() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'a', '')").await;
    let first = rig.streaming().await.stop().await;
    rig.key("slot", "writ_shop_2");
    let mut second = rig.run(Some(&first.recorded()));
    second.until_streaming().await;
    assert_eq!(second.kinds(), [RowChange::Upsert]);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_slot_that_waits_for_a_transaction() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let long = rig.cluster.connect().await;
    long.batch_execute("BEGIN; INSERT INTO customer VALUES (1, 'long', '')").await.expect("begun");
    let mut first = rig.run(None);
    first.until(|r| !r.progress.is_empty()).await;
    let waits = "SELECT count(*) FROM pg_replication_slots";
    eventually("the slot is in the making", async || rig.cluster.value(waits).await == "1").await;
    let recorded = first.stop().await.recorded();
    long.batch_execute("COMMIT").await.expect("committed");
    let mut again = rig.run(Some(&recorded));
    again.until_streaming().await;
    assert_eq!(again.kinds(), [RowChange::Upsert]);
    again.stop().await;
}
