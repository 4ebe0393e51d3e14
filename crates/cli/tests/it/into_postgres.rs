//! From one PostgreSQL into another under fire: Writ, the receiving server and its connections are killed again and
//! again, and every event has had its effect exactly once, in order for each subject.

use std::collections::BTreeMap;

use writ_testkit::postgres::{Cluster, Options};

use crate::first_change::{HEAD, TABLE, source};
use crate::stage::{Stage, cluster, until};

/// Rounds; in each of them Writ, the server and the connections are killed once.
const ROUNDS: usize = 10;

/// Customers of the workload.
const CUSTOMERS: usize = 20;

/// Changes of each customer in a round.
const CHANGES: usize = 6;

/// The receiving table.
const TARGET: &str = "CREATE SCHEMA crm; CREATE TABLE crm.customers (id bigint PRIMARY KEY, email text);";

struct Theatre {
    shop: Cluster,
    crm: Cluster,
    stage: Stage,
    /// The e-mail addresses that each customer has had, in order.
    had: BTreeMap<usize, Vec<String>>,
}

fn subscriber(mechanism: &str) -> String {
    format!(
        "subscribers:\n  crm:\n    kind: postgres\n    url: env:WRIT_CRM_URL\n    mechanism: {mechanism}\n    \
         guarantee: {{ email: exactly-once }}\n    \
         filters: [{{ suffix: {{ type: .email.v1 }} }}]\n    table: crm.customers\n    key: [id]\n    \
         columns: {{ email: email }}\n    timeout_ms: 5000\n    \
         delivery: {{ in_flight_max: 4, batch_max: 10, retry_first: 20ms, retry_longest: 300ms, \
         breaker_open: 200ms, attempts_max: 100000 }}\n"
    )
}

impl Theatre {
    async fn set(mechanism: &str) -> Option<Self> {
        let shop = cluster(&Options::default())?;
        let crm = cluster(&Options::default())?;
        shop.psql(TABLE).await;
        crm.psql(TARGET).await;
        let mut stage = Stage::new(format!("{HEAD}{}{}", source(), subscriber(mechanism))).await;
        stage.environment("WRIT_SHOP_URL", &shop.url());
        stage.environment("WRIT_CRM_URL", &crm.url());
        stage.start().await;
        stage.streams().await;
        Some(Self { shop, crm, stage, had: BTreeMap::new() })
    }

    /// Changes every customer's address so many times, each in a transaction of its own.
    async fn change(&mut self, times: usize) {
        for _ in 0..times {
            let mut sql = String::new();
            for id in 0..CUSTOMERS {
                let had = self.had.entry(id).or_default();
                let email = format!("c{id}.{}@example.org", had.len());
                sql += &if had.is_empty() {
                    format!("INSERT INTO customer (id, email) VALUES ({id}, '{email}');")
                } else {
                    format!("UPDATE customer SET email = '{email}' WHERE id = {id};")
                };
                had.push(email);
            }
            self.shop.psql(&sql).await;
        }
    }

    /// How many events have had their effect; `None` while the server is away.
    async fn effects(&self) -> usize {
        let there = self.crm.value("SELECT to_regclass('writ.events') IS NOT NULL").await;
        if there != "t" {
            return 0;
        }
        self.crm.value("SELECT count(*) FROM writ.events").await.parse().expect("a number")
    }

    fn owed(&self) -> usize {
        self.had.values().map(Vec::len).sum()
    }

    /// Waits until something more has had its effect: each kill falls among deliveries.
    async fn goes_on(&self) {
        let (before, owed) = (self.effects().await, self.owed());
        until("deliveries go on", async || (self.effects().await > before || before == owed).then_some(()))
            .await;
    }

    async fn round(&mut self) {
        self.change(CHANGES / 3).await;
        self.goes_on().await;
        self.stage.kill().await;
        self.stage.start().await;
        self.change(CHANGES / 3).await;
        self.goes_on().await;
        self.crm.kill();
        self.crm.start_again();
        self.change(CHANGES / 3).await;
        self.goes_on().await;
        let terminate =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writ'";
        self.crm.psql(terminate).await;
    }

    async fn settles(&self) {
        let owed = self.owed();
        until("everything has its effect", async || (self.effects().await >= owed).then_some(())).await;
    }

    /// Every address of every customer once, in the order in which the customer had them.
    async fn check(&self) {
        let rows = self
            .crm
            .psql("SELECT event->'data'->'key'->>0, event->'data'->'after'->>'email' FROM writ.events ORDER BY number")
            .await;
        let mut seen: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for row in rows {
            seen.entry(row[0].parse().expect("a number")).or_default().push(row[1].clone());
        }
        assert_eq!(seen, self.had);
        let rows = self.crm.psql("SELECT id, email FROM crm.customers").await;
        let last: BTreeMap<usize, String> =
            rows.into_iter().map(|row| (row[0].parse().expect("a number"), row[1].clone())).collect();
        let owed = self.had.iter().map(|(id, had)| (*id, had.last().cloned().unwrap_or_default()));
        assert_eq!(last, owed.collect());
        let left = self.crm.value("SELECT count(*) FROM pg_prepared_xacts").await;
        assert_eq!(left, "0", "no prepared transaction is left");
    }
}

async fn survives(mechanism: &str) {
    let Some(mut theatre) = Theatre::set(mechanism).await else { return };
    for _ in 0..ROUNDS {
        theatre.round().await;
    }
    theatre.settles().await;
    theatre.check().await;
    let lane = theatre.stage.lane("crm").await.expect("the engine answers");
    assert_eq!(lane["guarantees"]["email"]["mechanism"], mechanism, "{lane}");
    assert_eq!(lane["dead_letters"], 0, "{lane}");
    assert!(theatre.stage.terminate().await.success(), "{}", theatre.stage.log());
    theatre.check().await;
    let audit = theatre.stage.verify().await;
    assert_eq!(audit.code, Some(0), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_one_effect_in_order_whatever_is_killed_by_transactions() {
    survives("transactional").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_one_effect_in_order_whatever_is_killed_by_two_phases() {
    survives("two-phase").await;
}
