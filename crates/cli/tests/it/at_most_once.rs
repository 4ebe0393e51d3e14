//! An advertising audience under fire: whatever happens, no addition reaches it twice, and what was lost is told.

use crate::first_change::{HEAD, TABLE, source};
use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Stage, cluster, until};
use writ_testkit::postgres::Options;

/// Kills of the engine.
const KILLS: usize = 10;

/// Customers that join between two kills.
const JOIN: usize = 40;

fn audience(receiver: &Receiver) -> String {
    format!(
        "subscribers:\n  ads:\n    kind: webhook\n    url: {}\n    mode: structured\n    \
         allow_addresses: [127.0.0.0/8]\n    guarantee: {{ email: at-most-once }}\n    \
         filters: [{{ suffix: {{ type: .email.v1 }} }}]\n    \
         delivery: {{ expires_after: 1h, retry_first: 20ms, retry_longest: 200ms, breaker_open: 100ms }}\n",
        receiver.url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_addition_is_sent_twice_whenever_the_engine_is_killed() {
    let Some(cluster) = cluster(&Options::default()) else { return };
    cluster.psql(TABLE).await;
    let ads = Receiver::start(Behaviour::Healthy).await;
    let mut stage = Stage::new(format!("{HEAD}{}{}", source(), audience(&ads))).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    stage.streams().await;
    for kill in 0..KILLS {
        let (first, last) = (kill * JOIN, (kill + 1) * JOIN - 1);
        let join = format!(
            "INSERT INTO customer SELECT n, 'c' || n || '@example.org' FROM generate_series({first}, {last}) n"
        );
        let before = ads.events();
        cluster.psql(&join).await;
        until("deliveries go on", async || (ads.events() > before).then_some(())).await;
        stage.kill().await;
        stage.start().await;
    }
    cluster.psql("INSERT INTO customer VALUES (100000, 'last@example.org')").await;
    let settled = async || {
        let arrived = ads.deliveries().iter().any(|one| one.subject == "customer/100000");
        let lane = stage.lane("ads").await?;
        (arrived && lane["waiting"] == 0 && lane["in_flight"] == 0).then_some(lane)
    };
    let lane = until("everything is settled", settled).await;
    assert_eq!(lane["guarantees"]["email"]["guarantee"], "at-most-once", "{lane}");
    assert_eq!(lane["dead_letters"], 0, "{lane}");
    assert_eq!(ads.deliveries().len(), ads.events(), "nothing came twice");
    let owed = KILLS * JOIN + 1;
    assert!(ads.events() <= owed && ads.events() > owed / 2, "{} of {owed} came", ads.events());
    assert!(stage.terminate().await.success(), "{}", stage.log());
    assert_eq!(ads.deliveries().len(), ads.events(), "nothing came twice");
    let audit = stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
}
