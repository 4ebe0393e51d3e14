//! Positions: unique, in order, the same again after a restart.

use std::collections::BTreeSet;

use writ_model::change::{Change, RowChange};
use writ_model::id::Position;
use writ_testkit::postgres::Options;

use crate::rig::{Rig, eventually, text, value};

fn places(changes: &[Change]) -> Vec<Position> {
    changes.iter().map(|change| change.position).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_position_resumes_with_exactly_what_follows() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let begun = rig.streaming().await.stop().await.recorded();
    let mut whole = rig.run_unsynced(Some(&begun), 64);
    for round in 1..=12 {
        let sql = format!(
            "BEGIN; INSERT INTO customer VALUES ({round}, 'a', ''); \
             UPDATE customer SET email = 'b' WHERE id = {round}; COMMIT"
        );
        rig.cluster.psql(&sql).await;
        whole.until_changes(2 * round).await;
    }
    let whole = whole.stop().await;
    assert!(whole.progress.len() >= 12);
    // Each run confirms only where it starts, so the slot never passes the next position.
    for recorded in &whole.progress {
        let expected: Vec<Change> =
            whole.changes.iter().filter(|change| change.position > recorded.position).cloned().collect();
        let mut resumed = rig.run_unsynced(Some(recorded), 64);
        resumed.until_changes(expected.len()).await;
        let resumed = resumed.stop().await;
        assert!(resumed.changes == expected, "from {}", recorded.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_rows_of_one_copy_have_two_thousand_positions() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    // COPY and multi-row INSERT share log records; psql's COPY FROM PROGRAM needs no client support.
    rig.cluster.psql("COPY customer FROM PROGRAM 'seq -f \"%.0f,a,b\" 2000' WITH (FORMAT csv)").await;
    running.until_changes(2000).await;
    let unique: BTreeSet<Position> = places(&running.changes).into_iter().collect();
    assert_eq!(unique.len(), 2000);
    assert_eq!(unique.iter().map(|place| place.commit).collect::<BTreeSet<_>>().len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_inside_a_large_transaction_numbers_its_rows_as_before() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let begun = rig.streaming().await.stop().await.recorded();
    rig.cluster.psql("INSERT INTO customer SELECT i, 'a', '' FROM generate_series(1, 5000) i").await;
    let mut first = rig.run_unsynced(Some(&begun), 1);
    first.until_changes(2000).await;
    assert_eq!(first.recorded().position, begun.position, "progress waits for the commit");
    let taken = first.changes.clone();
    first.abort().await;
    eventually("the slot is free", async || rig.slot("active").await == "f").await;
    let mut second = rig.run_unsynced(Some(&begun), 64);
    second.until_changes(5000).await;
    assert!(second.changes[..taken.len()] == taken[..]);
    second.until(|r| r.recorded().position > begun.position).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_transactions_come_whole_and_in_commit_order() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    let (long, short) = (rig.cluster.connect().await, rig.cluster.connect().await);
    long.batch_execute("BEGIN; INSERT INTO customer VALUES (1, 'long', '')").await.expect("begun");
    short.batch_execute("INSERT INTO customer VALUES (2, 'short', '')").await.expect("written");
    running.until_changes(1).await;
    // What is read and confirmed meanwhile must not pass the open transaction by.
    running.until(|r| r.health.contains_key("retained_wal_bytes")).await;
    long.batch_execute("INSERT INTO customer VALUES (3, 'long', ''); COMMIT").await.expect("committed");
    running.until_changes(3).await;
    let keys: Vec<_> = running.changes.iter().map(|change| change.key.0[0].as_str()).collect();
    assert_eq!(keys, ["2", "1", "3"]);
    assert_ne!(running.changes[0].transaction, running.changes[1].transaction);
    assert_eq!(running.changes[1].transaction, running.changes[2].transaction);
    assert!(places(&running.changes).is_sorted());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_survives_a_restart_of_the_source() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    let long = rig.cluster.connect().await;
    long.batch_execute("BEGIN; INSERT INTO customer VALUES (1, 'long', '')").await.expect("begun");
    rig.cluster.psql("INSERT INTO customer VALUES (2, 'short', '')").await;
    running.until_changes(1).await;
    let stopped = running.stop().await;
    let mut again = rig.run(Some(&stopped.recorded()));
    long.batch_execute("COMMIT").await.expect("committed");
    again.until_changes(1).await;
    assert_eq!(value(&again.changes[0], "email"), text("long"));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_never_comes() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql("BEGIN; INSERT INTO customer VALUES (1, 'gone', ''); ROLLBACK").await;
    let nested = "BEGIN; INSERT INTO customer VALUES (2, 'kept', ''); SAVEPOINT s; \
                  INSERT INTO customer VALUES (3, 'gone', ''); ROLLBACK TO s; \
                  SAVEPOINT t; INSERT INTO customer VALUES (4, 'kept', ''); RELEASE t; COMMIT";
    rig.cluster.psql(nested).await;
    running.until_email("4", "kept").await;
    let keys: Vec<_> = running.changes.iter().map(|change| change.key.0[0].as_str()).collect();
    assert_eq!(keys, ["2", "4"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_comes_when_it_is_committed() {
    let Some(rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql("BEGIN; INSERT INTO customer VALUES (1, 'prepared', ''); PREPARE TRANSACTION 'p'").await;
    rig.cluster.psql("INSERT INTO customer VALUES (2, 'plain', '')").await;
    running.until_changes(1).await;
    rig.cluster.psql("COMMIT PREPARED 'p'").await;
    running.until_changes(2).await;
    let emails: Vec<_> = running.changes.iter().map(|change| value(change, "email")).collect();
    assert_eq!(emails, [text("plain"), text("prepared")]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_nothing_but_time() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'before', '')").await;
    running.until_changes(1).await;
    let recorded = running.recorded();
    rig.cluster.kill();
    let error = running.failure().await;
    assert!(error.is_passing, "{error}");
    assert!(rig.refusal(Some(&recorded)).await.is_passing, "a server that is down may come back");
    rig.cluster.start_again();
    rig.cluster.psql("INSERT INTO customer VALUES (2, 'after', '')").await;
    let mut again = rig.run(Some(&recorded));
    again.until_changes(1).await;
    assert_eq!(again.kinds(), [RowChange::Insert]);
    assert_eq!(again.changes[0].key.0, ["2"]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_restart_of_the_server_costs_nothing_but_time() {
    let Some(mut rig) = Rig::start(Options::default()).await else { return };
    let mut running = rig.streaming().await;
    let recorded = running.recorded();
    rig.cluster.restart();
    assert!(running.failure().await.is_passing);
    rig.cluster.psql("INSERT INTO customer VALUES (1, 'after', '')").await;
    let mut again = rig.run(Some(&recorded));
    again.until_email("1", "after").await;
    again.stop().await;
}
