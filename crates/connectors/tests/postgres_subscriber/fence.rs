//! A former owner of a lane, which does not know that it is one.

use serde_json::json;
use writ_connectors::subscriber::Sender;
use writ_model::delivery::{Answer, Fault};
use writ_model::id::{Epoch, StoreId};

use crate::rig::{cluster, events, parcel, parcel_of, plain, subscriber};

#[tokio::test]
async fn a_former_owner_is_refused_on_old_sessions_and_on_new_ones() {
    let Some(cluster) = cluster() else { return };
    let former = subscriber(&cluster.url(), json!({}));
    let latter = subscriber(&cluster.url(), json!({}));
    assert_eq!(former.deliver(parcel_of(3, vec![plain(1)])).await, Answer::Durable);
    assert_eq!(latter.deliver(parcel_of(4, vec![plain(2)])).await, Answer::Durable);
    assert_eq!(former.deliver(parcel_of(3, vec![plain(3)])).await, Answer::Failed(Fault::Fenced));
    let restarted = subscriber(&cluster.url(), json!({}));
    assert_eq!(restarted.deliver(parcel_of(3, vec![plain(3)])).await, Answer::Failed(Fault::Fenced));
    assert_eq!(latter.deliver(parcel_of(4, vec![plain(4)])).await, Answer::Durable);
    assert_eq!(events(&cluster).await, ["event-1", "event-2", "event-4"]);
}

#[tokio::test]
async fn a_new_owner_waits_for_what_the_former_one_is_committing() {
    let Some(cluster) = cluster() else { return };
    let former = cluster.connect().await;
    let latter = subscriber(&cluster.url(), json!({}));
    latter.deliver(parcel_of(3, vec![plain(1)])).await;
    // As a transaction of the former owner stands between its fence and its commit.
    former.batch_execute("BEGIN; SELECT epoch FROM writ.owner FOR SHARE").await.expect("holds");
    let fresh = subscriber(&cluster.url(), json!({}));
    let mut delivery = fresh.deliver(parcel_of(4, vec![plain(2)]));
    let waits = crate::rig::until(
        &cluster,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'writ' AND wait_event_type = 'Lock'",
    );
    tokio::select! {
        answer = &mut delivery => panic!("it did not wait: {answer:?}"),
        () = waits => {}
    }
    former.batch_execute("COMMIT").await.expect("ends");
    assert_eq!(delivery.await, Answer::Durable);
}

#[tokio::test]
async fn stores_that_share_a_database_do_not_fence_each_other() {
    let Some(cluster) = cluster() else { return };
    let subscriber = subscriber(&cluster.url(), json!({}));
    assert_eq!(subscriber.deliver(parcel_of(9, vec![plain(1)])).await, Answer::Durable);
    let mut other = parcel(vec![plain(1)]);
    other.sender = Sender { store: StoreId([8; 8]), epoch: Epoch(1) };
    assert_eq!(subscriber.deliver(other).await, Answer::Durable);
    assert_eq!(events(&cluster).await, ["event-1", "event-1"], "their delivery ids are their own");
}
