//! Two-phase: what is prepared, ended, listed, and left alone.

use serde_json::json;
use writ_connectors::subscriber::Subscriber;
use writ_model::delivery::{Answer, AttemptId, Branch, Fault, Resolution, Verdict};
use writ_model::id::Epoch;
use writ_testkit::postgres::{Cluster, Options};

use crate::rig::{CUSTOMERS, cluster, events, item, parcel, parcel_of, plain, subscriber, upserting};

fn branch(attempt: u64) -> Branch {
    Branch { epoch: Epoch(1), attempt: AttemptId(attempt) }
}

fn two_phase(cluster: &Cluster) -> std::sync::Arc<dyn Subscriber> {
    subscriber(&cluster.url(), json!({"mechanism": "two-phase", "timeout_ms": 2_000}))
}

#[tokio::test]
async fn a_prepared_attempt_has_its_effect_when_it_is_committed_and_none_when_it_is_not() {
    let Some(cluster) = cluster() else { return };
    let subscriber = two_phase(&cluster);
    let sender = parcel(Vec::new()).sender;
    assert_eq!(subscriber.prepare(parcel(vec![plain(1)]), branch(1)).await, Answer::Durable);
    assert_eq!(subscriber.prepare(parcel(vec![plain(2)]), branch(2)).await, Answer::Durable);
    assert_eq!(events(&cluster).await, [] as [&str; 0]);
    assert_eq!(subscriber.branches(sender).await, Ok(vec![branch(1), branch(2)]));
    assert_eq!(subscriber.resolve(sender, branch(1), Verdict::Commit).await, Resolution::Done);
    assert_eq!(subscriber.resolve(sender, branch(2), Verdict::RollBack).await, Resolution::Done);
    assert_eq!(events(&cluster).await, ["event-1"]);
    for verdict in [Verdict::Commit, Verdict::RollBack] {
        assert_eq!(subscriber.resolve(sender, branch(1), verdict).await, Resolution::Unknown);
    }
    // What was committed is in the inbox, whoever asks.
    assert_eq!(subscriber.prepare(parcel(vec![plain(1)]), branch(3)).await, Answer::Durable);
    assert_eq!(subscriber.resolve(sender, branch(3), Verdict::Commit).await, Resolution::Done);
    assert_eq!(events(&cluster).await, ["event-1"]);
}

#[tokio::test]
async fn branches_survive_the_servers_death_and_are_found_by_a_later_owner() {
    let Some(mut cluster) = cluster() else { return };
    let former = two_phase(&cluster);
    assert_eq!(former.prepare(parcel(vec![plain(1)]), branch(1)).await, Answer::Durable);
    cluster.kill();
    cluster.start_again();
    let latter = two_phase(&cluster);
    let sender = parcel_of(2, Vec::new()).sender;
    assert_eq!(latter.branches(sender).await, Ok(vec![branch(1)]));
    // Until it has ended, nobody claims the lane or delivers the same event.
    let blocked = latter.prepare(parcel_of(2, vec![plain(1)]), branch(1)).await;
    assert!(matches!(blocked, Answer::Failed(Fault::Conflict | Fault::Timeout)), "{blocked:?}");
    assert_eq!(latter.resolve(sender, branch(1), Verdict::Commit).await, Resolution::Done);
    let next = Branch { epoch: Epoch(2), attempt: AttemptId(1) };
    assert_eq!(latter.prepare(parcel_of(2, vec![plain(1), plain(2)]), next).await, Answer::Durable);
    assert_eq!(latter.resolve(sender, next, Verdict::Commit).await, Resolution::Done);
    assert_eq!(events(&cluster).await, ["event-1", "event-2"]);
    let fenced = former.prepare(parcel(vec![plain(3)]), branch(2)).await;
    assert!(matches!(fenced, Answer::Failed(Fault::Fenced | Fault::SendBroken)), "{fenced:?}");
}

#[tokio::test]
async fn what_others_have_prepared_is_neither_listed_nor_touched() {
    let Some(cluster) = cluster() else { return };
    let subscriber = two_phase(&cluster);
    let sender = parcel(Vec::new()).sender;
    subscriber.prepare(parcel(vec![plain(1)]), branch(1)).await;
    for gid in ["theirs", "writ:0808080808080808:crm:1:1", "writ:0707070707070707:crm-2:1:1"] {
        let sql = format!("BEGIN; CREATE TABLE \"{gid}\" (a int); PREPARE TRANSACTION '{gid}'");
        cluster.connect().await.batch_execute(&sql).await.expect("prepares");
    }
    assert_eq!(subscriber.branches(sender).await, Ok(vec![branch(1)]));
    assert_eq!(subscriber.resolve(sender, branch(1), Verdict::RollBack).await, Resolution::Done);
    assert_eq!(subscriber.branches(sender).await, Ok(Vec::new()));
    assert_eq!(cluster.value("SELECT count(*) FROM pg_prepared_xacts").await, "3");
}

#[tokio::test]
async fn a_batch_with_a_refused_item_prepares_the_others_and_one_of_refusals_prepares_nothing() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(CUSTOMERS).await;
    let subscriber = upserting(&cluster.url());
    let sender = parcel(Vec::new()).sender;
    let bad = |number| item(number, 9, json!({"email": null}));
    let refused = Answer::Failed(Fault::Refused);
    let answer = subscriber.prepare(parcel(vec![plain(1), bad(2)]), branch(1)).await;
    assert_eq!(answer, Answer::PerItem(vec![Answer::Durable, refused.clone()]));
    let answer = subscriber.prepare(parcel(vec![bad(3)]), branch(2)).await;
    assert_eq!(answer, Answer::PerItem(vec![refused]));
    assert_eq!(subscriber.branches(sender).await, Ok(vec![branch(1)]));
    assert_eq!(subscriber.resolve(sender, branch(1), Verdict::Commit).await, Resolution::Done);
    assert_eq!(events(&cluster).await, ["event-1"]);
}

#[tokio::test]
async fn a_server_that_keeps_no_prepared_transactions_is_not_ready_and_the_look_says_why() {
    let options = Options::default().with("max_prepared_transactions", "0");
    let Some(cluster) = Cluster::start(&options) else { return };
    let subscriber = two_phase(&cluster);
    let said = subscriber.check().await.expect_err("it cannot work");
    assert!(said.contains("max_prepared_transactions"), "{said}");
    let answer = subscriber.prepare(parcel(vec![plain(1)]), branch(1)).await;
    assert_eq!(answer, Answer::Failed(Fault::Unready));
}
