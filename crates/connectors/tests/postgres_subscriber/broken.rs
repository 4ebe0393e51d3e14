//! Servers and connections that die, at every side of the commit.

use serde_json::json;
use writ_model::delivery::{Answer, Fault};
use writ_testkit::postgres::Cluster;

use crate::rig::{Proxy, cluster, events, parcel, plain, subscriber, until};

/// Makes a commit wait until the test gives the lock back.
const WAITING_COMMIT: &str = "
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock(17); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON writ.events DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION hold();";

const WAITS: &str = "SELECT count(*) > 0 FROM pg_stat_activity \
    WHERE application_name = 'writ' AND wait_event = 'advisory' AND query = 'COMMIT'";

#[tokio::test]
async fn a_commit_whose_answer_is_lost_has_its_effect_once() {
    let Some(cluster) = cluster() else { return };
    let proxy = Proxy::before(&cluster).await;
    let subscriber = subscriber(&proxy.url, json!({}));
    assert_eq!(subscriber.deliver(parcel(vec![plain(1)])).await, Answer::Durable);
    proxy.arm();
    let lost = subscriber.deliver(parcel(vec![plain(2), plain(3)])).await;
    assert_eq!(lost, Answer::Failed(Fault::AnswerBroken));
    assert_eq!(events(&cluster).await, ["event-1", "event-2", "event-3"], "it was committed all the same");
    assert_eq!(subscriber.deliver(parcel(vec![plain(2), plain(3), plain(4)])).await, Answer::Durable);
    assert_eq!(events(&cluster).await, ["event-1", "event-2", "event-3", "event-4"]);
}

/// Delivers an event whose commit waits, ends it, and expects that nobody knows how it ended.
async fn ended_within_its_commit(cluster: &mut Cluster, end: impl AsyncFnOnce(&mut Cluster)) {
    let subscriber = subscriber(&cluster.url(), json!({}));
    subscriber.deliver(parcel(vec![plain(1)])).await;
    cluster.psql(WAITING_COMMIT).await;
    let holder = cluster.connect().await;
    holder.batch_execute("SELECT pg_advisory_lock(17)").await.expect("locks");
    let ending = async {
        until(cluster, WAITS).await;
        end(cluster).await;
    };
    let (answer, ()) = tokio::join!(subscriber.deliver(parcel(vec![plain(2)])), ending);
    assert_eq!(answer, Answer::Failed(Fault::AnswerBroken));
    drop(holder);
    cluster.psql("DROP TRIGGER hold ON writ.events").await;
    assert_eq!(events(cluster).await, ["event-1"]);
    assert_eq!(subscriber.deliver(parcel(vec![plain(2)])).await, Answer::Durable);
    assert_eq!(events(cluster).await, ["event-1", "event-2"]);
}

#[tokio::test]
async fn a_backend_that_is_terminated_within_the_commit_leaves_one_effect() {
    let Some(mut cluster) = cluster() else { return };
    ended_within_its_commit(&mut cluster, async |cluster: &mut Cluster| {
        let terminate =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writ'";
        cluster.psql(terminate).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_killed_within_the_commit_leaves_one_effect() {
    let Some(mut cluster) = cluster() else { return };
    ended_within_its_commit(&mut cluster, async |cluster: &mut Cluster| {
        cluster.kill();
        cluster.start_again();
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_is_no_connection_and_is_found_again() {
    let Some(mut cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    assert_eq!(subscriber.deliver(parcel(vec![plain(1)])).await, Answer::Durable);
    cluster.stop_immediate();
    let mut answers = vec![subscriber.deliver(parcel(vec![plain(2)])).await];
    answers.push(subscriber.deliver(parcel(vec![plain(2)])).await);
    // The idle session may be seen to be dead only when it is used.
    assert!(matches!(answers[0], Answer::Failed(Fault::SendBroken | Fault::Connect)), "{answers:?}");
    assert_eq!(answers[1], Answer::Failed(Fault::Connect));
    assert!(subscriber.check().await.is_err());
    cluster.start_again();
    assert_eq!(subscriber.deliver(parcel(vec![plain(2)])).await, Answer::Durable);
    assert_eq!(events(&cluster).await, ["event-1", "event-2"]);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_ends_by_its_own_time() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({"timeout_ms": 400}));
    subscriber.deliver(parcel(vec![plain(1)])).await;
    let other = cluster.connect().await;
    other.batch_execute("BEGIN; LOCK TABLE writ.events").await.expect("locks");
    let answer = subscriber.deliver(parcel(vec![plain(2)])).await;
    assert!(matches!(answer, Answer::Failed(Fault::Timeout | Fault::Conflict)), "{answer:?}");
    other.batch_execute("COMMIT").await.expect("unlocks");
    let mut answer = subscriber.deliver(parcel(vec![plain(2)])).await;
    while answer != Answer::Durable {
        answer = subscriber.deliver(parcel(vec![plain(2)])).await;
    }
    assert_eq!(events(&cluster).await, ["event-1", "event-2"]);
}
