//! One row of the user's PostgreSQL reaches one webhook and one file, and the audit log proves it.

use writ_testkit::postgres::Options;

use crate::receivers::{Behaviour, Receiver};
use crate::stage::{Stage, cluster, until};

pub(crate) const TABLE: &str =
    "CREATE TABLE customer (id bigint PRIMARY KEY, email text, phone text, city text)";

/// A `postgres` source over [`TABLE`].
pub(crate) fn source() -> &'static str {
    "sources:\n  shop:\n    kind: postgres\n    url: env:WRIT_SHOP_URL\n    slot: writ\n    tables:\n      \
     public.customer:\n        entity: customer\n        key: [id]\n        changes:\n          email: [email]\n          \
     phone: [phone]\n          address: [city]\n"
}

/// A webhook that retries quickly, so that tests need not wait.
pub(crate) fn webhook(name: &str, receiver: &Receiver) -> String {
    format!(
        "  {name}:\n    kind: webhook\n    url: {}\n    mode: structured\n    allow_addresses: [127.0.0.0/8]\n    \
         delivery: {{ retry_first: 50ms, retry_longest: 500ms, breaker_open: 200ms, attempts_max: 1000 }}\n",
        receiver.url()
    )
}

/// Everything above `sources`.
pub(crate) const HEAD: &str = "tenant: acme\nstore:\n  path: data\n  segment_mib: 16\napi:\n  listen: 127.0.0.1:@PORT@\n\
                               attest:\n  checkpoint_every: 200ms\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_row_reaches_a_webhook_and_a_file_once_and_is_attested() {
    let Some(cluster) = cluster(&Options::default()) else { return };
    cluster.psql(TABLE).await;
    cluster.psql("INSERT INTO customer VALUES (17, 'ada@example.org', NULL, 'Graz')").await;
    let crm = Receiver::start(Behaviour::Healthy).await;
    let archive = "  archive:\n    kind: file\n    path: archive.jsonl\n";
    let mut stage =
        Stage::new(format!("{HEAD}{}subscribers:\n{}{archive}", source(), webhook("crm", &crm))).await;
    stage.environment("WRIT_SHOP_URL", &cluster.url());
    stage.start().await;
    stage.streams().await;
    cluster.psql("UPDATE customer SET email = 'ada@example.com' WHERE id = 17").await;
    until("three events arrive", async || (crm.events() == 3).then_some(())).await;
    let deliveries = crm.deliveries();
    let last = deliveries.last().expect("three events arrived");
    assert_eq!((last.event_type.as_str(), last.subject.as_str()), ("writ.customer.email.v1", "customer/17"));
    assert_eq!(last.after.as_ref().and_then(|after| after["email"].as_str()), Some("ada@example.com"));
    let archived = async || {
        let text = std::fs::read_to_string(stage.path("archive.jsonl")).ok()?;
        (text.lines().count() == 3).then_some(())
    };
    until("the archive has them, too", archived).await;
    assert!(stage.terminate().await.success(), "{}", stage.log());
    assert!(stage.verify().await.succeeded().contains("sound"));
}
