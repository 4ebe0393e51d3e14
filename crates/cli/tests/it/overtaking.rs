//! Express events get past what a subscriber that is behind has not read, over a kill too.

use writ_testkit::postgres::Options;

use crate::faults::{Scene, config};
use crate::first_change::HEAD;
use crate::receivers::{Delivery, Receiver};
use crate::stage::until;

/// Customers, each with two events; the lane reads eight events ahead.
const CUSTOMERS: i64 = 100;
const WINDOW: usize = 8;

fn narrow(receiver: &Receiver) -> String {
    format!(
        "  late:\n    kind: webhook\n    url: {}\n    mode: structured\n    allow_addresses: [127.0.0.0/8]\n    \
         delivery: {{ window_max: {WINDOW}, in_flight_max: 1, retry_first: 50ms, retry_longest: 200ms, \
         breaker_open: 100ms, attempts_max: 100000 }}\n",
        receiver.url()
    )
}

impl Scene {
    async fn erase(&self, customer: i64) {
        let subject = self.subject(customer);
        let erase = ["saga", "erase", &subject, "--reason", "asked", "--keep-keys", "24h", "--yes", "--json"];
        self.stage.writ(&erase).await.succeeded();
    }

    /// Waits until the lane has taken so many events before their turn.
    async fn ahead(&self, events: usize) {
        let holds = async || {
            let lane = self.stage.lane("late").await?;
            (lane["waiting"] == WINDOW + events).then_some(())
        };
        until(&format!("{events} erasures are taken before their turn"), holds).await;
    }
}

fn erasures(deliveries: &[Delivery]) -> Vec<&str> {
    let told = deliveries.iter().filter(|one| one.event_type.contains("erasure"));
    told.map(|one| one.subject.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasures_reach_a_subscriber_that_was_down_before_what_it_has_not_read() {
    let Some(mut scene) = Scene::set(&Options::default()).await else { return };
    let mut late = Receiver::dead().await;
    scene.stage.reconfigure(config(HEAD, &scene.crm) + &narrow(&late));
    scene.stage.start().await;
    scene.stage.streams().await;
    scene.add(1..CUSTOMERS + 1).await;
    scene.arrived(CUSTOMERS as usize).await;
    scene.erase(CUSTOMERS).await;
    scene.ahead(1).await;
    // After a kill nothing of it is in memory: the log is searched.
    scene.stage.kill().await;
    scene.stage.start().await;
    scene.ahead(1).await;
    scene.erase(CUSTOMERS - 1).await;
    scene.ahead(2).await;
    late.come_up().await;
    let all = 2 * (CUSTOMERS as usize - 2) + 2;
    until("it has everything", async || (late.deliveries().len() >= all).then_some(())).await;
    let deliveries = late.deliveries();
    // One of its window may have been under way when it came up.
    let first = erasures(&deliveries[..3]);
    assert_eq!(first, ["customer/100", "customer/99"], "{:?}", &deliveries[..3]);
    assert_eq!(
        (deliveries.len(), erasures(&deliveries).len()),
        (all, 2),
        "each once, and no data of the erased"
    );
    assert!(scene.stage.terminate().await.success(), "{}", scene.stage.log());
    assert!(scene.stage.verify().await.succeeded().contains("sound"));
}
