//! The running source: channels, acknowledgements, stopping, being dropped.

use tokio::sync::mpsc;
use writ_model::change::Change;

use super::tests::{CUSTOMERS, Shop};
use super::*;
use crate::secret::Secrets;

/// The engine's ends of a feed.
struct Engine {
    emitted: mpsc::Receiver<Emit>,
    durable: watch::Sender<Durable>,
    stop: watch::Sender<bool>,
}

fn feed() -> (Feed, Engine) {
    let (emit, emitted) = mpsc::channel(1);
    let (durable_sender, durable) = watch::channel(Durable::default());
    let (stop_sender, stop) = watch::channel(false);
    (Feed { emit, durable, stop }, Engine { emitted, durable: durable_sender, stop: stop_sender })
}

impl Engine {
    async fn next_changes(&mut self) -> (Vec<Change>, SourceProgress) {
        loop {
            match self.emitted.recv().await.expect("the source runs") {
                Emit::Changes { changes, progress } => return (changes, progress),
                Emit::Snapshot { .. } | Emit::Health { .. } => {}
            }
        }
    }
}

fn source_of(shop: &Shop) -> Box<dyn PullSource> {
    let tenant = writ_model::id::TenantId::new("t").expect("name");
    let secrets = Secrets { base: shop.folder.path().to_owned() };
    let context = Context { tenant: &tenant, name: "shop", tables: &shop.tables, secrets: &secrets };
    build(&context, serde_json::json!({"path": "shop.db", "poll_ms": 1})).expect("builds")
}

#[tokio::test]
async fn the_running_source_streams_acknowledges_and_stops_when_told() {
    let shop = Shop::new(CUSTOMERS);
    let mut source = source_of(&shop);
    let (feed, mut engine) = feed();
    let run = tokio::spawn(async move { source.run(None, feed).await });
    let (snapshot, _) = engine.next_changes().await;
    assert_eq!(snapshot, []);
    shop.write("INSERT INTO customers(id) VALUES (1)");
    let (seen, progress) = engine.next_changes().await;
    assert_eq!(seen.len(), 1);
    let through = Some((progress.incarnation, progress.position));
    engine.durable.send(Durable { through }).expect("the source listens");
    engine.stop.send(true).expect("the source listens");
    while engine.emitted.recv().await.is_some() {}
    run.await.expect("joins").expect("stops well");
    let left = shop.writer.query_row("SELECT count(*) FROM _writ_changes", [], |row| row.get::<_, i64>(0));
    assert_eq!(left, Ok(0), "what was durable is acknowledged on the way out");
}

#[tokio::test]
async fn a_dropped_run_loses_nothing_and_holds_no_lock() {
    let shop = Shop::new(CUSTOMERS);
    shop.write("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO customers(id) SELECT i FROM n");
    let (feed_one, mut engine) = feed();
    let mut source = source_of(&shop);
    let run = tokio::spawn(async move { source.run(None, feed_one).await });
    let (_, progress) = engine.next_changes().await;
    run.abort();
    assert!(run.await.expect_err("aborted").is_cancelled());
    shop.write("INSERT INTO customers(id) VALUES (5000)");
    let (feed_two, mut engine) = feed();
    let mut source = source_of(&shop);
    let run = tokio::spawn(async move { source.run(Some(progress), feed_two).await });
    let mut keys = std::collections::BTreeSet::new();
    while keys.len() < 2001 {
        keys.extend(engine.next_changes().await.0.into_iter().map(|change| change.key));
    }
    engine.stop.send(true).expect("the source listens");
    while engine.emitted.recv().await.is_some() {}
    run.await.expect("joins").expect("stops well");
}

#[tokio::test]
async fn a_source_whose_engine_is_gone_ends_with_a_passing_error() {
    let shop = Shop::new(CUSTOMERS);
    let (feed, engine) = feed();
    drop(engine);
    let error = source_of(&shop).run(None, feed).await.expect_err("ends");
    assert!(error.is_passing);
}
