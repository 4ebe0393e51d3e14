//! Rows that the database refuses, and transactions that it gives up.

use serde_json::json;
use writ_model::delivery::{Answer, Fault};

use crate::rig::{CUSTOMERS, cluster, events, item, parcel, plain, until, upserting};

fn refused() -> Answer {
    Answer::Failed(Fault::Refused)
}

#[tokio::test]
async fn a_refused_item_is_undone_alone_and_the_later_ones_of_its_subject_wait() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(CUSTOMERS).await;
    let subscriber = upserting(&cluster.url());
    let items = vec![
        plain(1),
        item(2, 2, json!({"email": "a@example.org", "age": "not a number"})),
        plain(3),
        item(4, 2, json!({"email": "later@example.org"})),
        item(5, 5, json!({"email": null})),
        item(6, 6, json!({"email": "nul\u{0}"})),
        plain(7),
    ];
    let answer = subscriber.deliver(parcel(items)).await;
    let behind = Answer::Failed(Fault::SendBroken);
    let expected =
        [Answer::Durable, refused(), Answer::Durable, behind, refused(), refused(), Answer::Durable];
    assert_eq!(answer, Answer::PerItem(expected.into()));
    assert_eq!(events(&cluster).await, ["event-1", "event-3", "event-7"]);
    let inbox = cluster.psql("SELECT log_offset FROM writ.inbox ORDER BY 1").await;
    assert_eq!(inbox.concat(), ["1", "3", "7"], "what is refused is not in the inbox");
}

#[tokio::test]
async fn a_deadlock_is_given_up_as_a_whole_and_has_its_effect_when_sent_again() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(CUSTOMERS).await;
    cluster.psql("INSERT INTO crm.customers VALUES (1, 'a'), (2, 'b')").await;
    let subscriber = upserting(&cluster.url());
    subscriber.deliver(parcel(vec![plain(9)])).await;
    let other = cluster.connect().await;
    // This session never looks for a deadlock itself, so the subscriber's is the one that is given up.
    let lock = "SET deadlock_timeout = '1h'; BEGIN; SELECT * FROM crm.customers WHERE id = 2 FOR UPDATE";
    other.batch_execute(lock).await.expect("locks");
    let crossing = async {
        until(&cluster, "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'writ' AND wait_event_type = 'Lock'").await;
        other.batch_execute("UPDATE crm.customers SET email = 'other' WHERE id = 1; COMMIT").await
    };
    let (answer, crossed) = tokio::join!(subscriber.deliver(parcel(vec![plain(1), plain(2)])), crossing);
    assert_eq!(answer, Answer::Failed(Fault::Conflict));
    crossed.expect("the other session goes on");
    assert_eq!(events(&cluster).await, ["event-9"]);
    assert_eq!(subscriber.deliver(parcel(vec![plain(1), plain(2)])).await, Answer::Durable);
    assert_eq!(events(&cluster).await, ["event-9", "event-1", "event-2"]);
}

#[tokio::test]
async fn a_serialization_failure_is_no_rejection() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(CUSTOMERS).await;
    let raises = |state: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
        )
    };
    cluster.psql(&raises("40001")).await;
    cluster.psql("CREATE TRIGGER no BEFORE INSERT ON crm.customers FOR EACH ROW EXECUTE FUNCTION no()").await;
    let subscriber = upserting(&cluster.url());
    let answer = subscriber.deliver(parcel(vec![plain(1), plain(2)])).await;
    assert_eq!(answer, Answer::Failed(Fault::Conflict));
    cluster.psql(&raises("P0001")).await;
    let answer = subscriber.deliver(parcel(vec![plain(1)])).await;
    assert_eq!(answer, Answer::PerItem(vec![refused()]), "a trigger that refuses a row means it");
    cluster.psql("DROP TABLE crm.customers").await;
    let answer = subscriber.deliver(parcel(vec![plain(1)])).await;
    assert_eq!(answer, Answer::Failed(Fault::Unready), "a missing table is the operator's trouble");
    assert_eq!(events(&cluster).await, [] as [&str; 0]);
}
