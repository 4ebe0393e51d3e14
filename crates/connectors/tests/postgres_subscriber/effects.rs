//! What a delivery does to the tables, once.

use serde_json::json;
use writ_connectors::contract;
use writ_model::delivery::Answer;
use writ_model::id::Offset;

use crate::rig::{CUSTOMERS, cluster, events, item, parcel, plain, subscriber, upserting};

#[tokio::test]
async fn it_keeps_the_contract_of_subscribers() {
    let Some(cluster) = cluster() else { return };
    contract::subscriber(subscriber(&cluster.url(), json!({}))).await;
}

#[tokio::test]
async fn a_delivery_id_has_one_effect_however_often_it_is_sent() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    for items in [vec![plain(1), plain(2)], vec![plain(2), plain(2), plain(3)], vec![plain(1)]] {
        assert_eq!(subscriber.deliver(parcel(items)).await, Answer::Durable);
    }
    assert_eq!(events(&cluster).await, ["event-1", "event-2", "event-3"]);
    assert_eq!(cluster.value("SELECT count(*) FROM writ.inbox").await, "3");
}

#[tokio::test]
async fn the_same_event_sent_side_by_side_has_one_effect() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let subscriber = std::sync::Arc::clone(&subscriber);
        attempts.spawn(async move { subscriber.deliver(parcel(vec![plain(1)])).await });
    }
    while let Some(answer) = attempts.join_next().await {
        assert_eq!(answer.expect("does not panic"), Answer::Durable);
    }
    assert_eq!(events(&cluster).await, ["event-1"]);
}

#[tokio::test]
async fn the_operators_table_follows_its_events() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(CUSTOMERS).await;
    cluster.psql("ALTER TABLE crm.customers ALTER email DROP NOT NULL").await;
    let subscriber = upserting(&cluster.url());
    let steps = [
        (json!({"email": "a@example.org", "unmapped": 1}), "1,a@example.org,"),
        (json!({"age": 30}), "1,a@example.org,30"),
        (json!({"email": "b@example.org"}), "1,b@example.org,30"),
        (serde_json::Value::Null, "1,,30"),
    ];
    for (number, (after, expected)) in (1..).zip(steps) {
        let answer = subscriber.deliver(parcel(vec![item(number, 1, after)])).await;
        assert_eq!(answer, Answer::Durable, "{number}");
        let rows = cluster.psql("SELECT id, email, age FROM crm.customers").await;
        assert_eq!(rows.iter().map(|row| row.join(",")).collect::<Vec<_>>(), [expected]);
    }
}

#[tokio::test]
async fn only_what_cannot_come_again_is_forgotten() {
    let Some(cluster) = cluster() else { return };
    let settled_below = |below| {
        let mut parcel = parcel(vec![plain(9)]);
        parcel.settled_below = Offset(below);
        parcel
    };
    let first = subscriber(&cluster.url(), json!({"inbox_days": 10}));
    let items = (1..=4).map(plain).collect();
    assert_eq!(first.deliver(parcel(items)).await, Answer::Durable);
    cluster.psql("UPDATE writ.inbox SET taken_at = now() - interval '11 days' WHERE log_offset <> 2").await;
    // The first attempt of a run prunes.
    let next = subscriber(&cluster.url(), json!({"inbox_days": 10}));
    assert_eq!(next.deliver(settled_below(4)).await, Answer::Durable);
    let left = cluster.psql("SELECT log_offset FROM writ.inbox ORDER BY 1").await;
    assert_eq!(left.concat(), ["2", "4", "9"], "1 and 3 were old and settled, 2 is young, 4 may come again");
}

#[tokio::test]
async fn a_repeat_is_remembered_from_then_on() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    subscriber.deliver(parcel(vec![plain(1)])).await;
    cluster.psql("UPDATE writ.inbox SET taken_at = now() - interval '100 days'").await;
    subscriber.deliver(parcel(vec![plain(1)])).await;
    assert_eq!(cluster.value("SELECT taken_at > now() - interval '1 day' FROM writ.inbox").await, "t");
}

#[tokio::test]
async fn a_commit_that_is_answered_survives_although_the_role_would_not_wait_for_it() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    assert_eq!(subscriber.deliver(parcel(vec![plain(1)])).await, Answer::Durable);
    cluster
        .psql(
            "ALTER ROLE postgres SET synchronous_commit = off;
             ALTER ROLE postgres SET default_transaction_isolation = 'serializable';
             CREATE TABLE seen (synchronous text, isolation text);
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               INSERT INTO public.seen VALUES (current_setting('synchronous_commit'),
                 current_setting('transaction_isolation'));
               RETURN NEW; END $$;
             CREATE TRIGGER look BEFORE INSERT ON writ.events FOR EACH ROW EXECUTE FUNCTION look()",
        )
        .await;
    let fresh = crate::rig::subscriber(&cluster.url(), json!({}));
    assert_eq!(fresh.deliver(parcel(vec![plain(2)])).await, Answer::Durable);
    assert_eq!(cluster.psql("SELECT * FROM seen").await, [["on", "read committed"]]);
}
