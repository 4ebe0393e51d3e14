//! What a look finds and leaves as it is, and what a first delivery makes.

use serde_json::json;
use writ_model::delivery::{Answer, Fault};

use crate::rig::{cluster, parcel, plain, subscriber, upserting};

#[tokio::test]
async fn a_look_changes_nothing_and_says_what_is_missing() {
    let Some(cluster) = cluster() else { return };
    assert_eq!(subscriber(&cluster.url(), json!({})).check().await, Ok(()));
    assert_eq!(cluster.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'writ'").await, "0");
    let said = upserting(&cluster.url()).check().await.expect_err("the table is missing");
    assert!(said.contains("\"crm\".\"customers\"") && said.contains("42P01"), "{said}");
    let said = subscriber(&cluster.url(), json!({"create": false})).check().await.expect_err("no tables");
    assert!(said.contains("create is false"), "{said}");
    cluster.psql("CREATE ROLE plain LOGIN; REVOKE CREATE ON DATABASE postgres FROM PUBLIC").await;
    let url = cluster.url().replace("postgres@", "plain@");
    let said = subscriber(&url, json!({})).check().await.expect_err("no right");
    assert!(said.contains("may not create"), "{said}");
    let answer = subscriber(&url, json!({})).deliver(parcel(vec![plain(1)])).await;
    assert_eq!(answer, Answer::Failed(Fault::Unready));
}

#[tokio::test]
async fn a_role_with_no_right_to_create_delivers_into_tables_that_are_there() {
    let Some(cluster) = cluster() else { return };
    subscriber(&cluster.url(), json!({})).deliver(parcel(vec![plain(1)])).await;
    cluster
        .psql(
            "CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA writ TO plain; GRANT INSERT ON writ.events TO plain;
             GRANT SELECT, INSERT, UPDATE, DELETE ON writ.inbox, writ.owner TO plain",
        )
        .await;
    let url = cluster.url().replace("postgres@", "plain@");
    let subscriber = subscriber(&url, json!({"create": false}));
    assert_eq!(subscriber.check().await, Ok(()));
    assert_eq!(subscriber.deliver(parcel(vec![plain(2)])).await, Answer::Durable);
}

#[tokio::test]
async fn first_deliveries_side_by_side_make_the_tables_once() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    let mut attempts = tokio::task::JoinSet::new();
    for number in 1..=6 {
        let subscriber = std::sync::Arc::clone(&subscriber);
        attempts.spawn(async move { subscriber.deliver(parcel(vec![plain(number)])).await });
    }
    while let Some(answer) = attempts.join_next().await {
        assert_eq!(answer.expect("does not panic"), Answer::Durable);
    }
    assert_eq!(cluster.value("SELECT count(*) FROM writ.events").await, "6");
}
