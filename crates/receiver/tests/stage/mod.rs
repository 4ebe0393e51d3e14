//! An engine with its API in this process, and what the example under test has recorded.

pub(crate) mod process;
pub(crate) mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use writ_api::{App, Recorder, Tokens};
use writ_engine::config::{Config, Scope};
use writ_engine::run::{Running, Secrets};

/// No wait is longer; a healthy one is far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at another process, where there is nothing to wait on.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) const CONSUMER_TOKEN: &str = "token-of-the-crm";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SHOP_TOKEN: &str = "token-of-the-shop";

/// The folder, and the engine once it runs.
pub(crate) struct Stage {
    folder: TempDir,
    engine: Option<(Running, SocketAddr)>,
    stop: watch::Sender<bool>,
}

/// One row of the example's own records.
struct Effect {
    event: String,
    subject: String,
    email: String,
}

impl Stage {
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hook"), WEBHOOK_SECRET).unwrap();
        Self { folder, engine: None, stop: watch::Sender::new(false) }
    }

    /// An engine whose subscriber `crm` is pulled from.
    pub(crate) async fn start_pulled(&mut self) {
        self.start(json!({ "kind": "pull", "lease_ms": 1000 })).await;
    }

    /// An engine whose subscriber `crm` is sent to.
    pub(crate) async fn start_webhook(&mut self, address: SocketAddr) {
        let url = format!("http://{address}/events");
        let keys = json!({ "kind": "webhook", "url": url, "secrets": ["file:hook"], "allow_addresses": ["127.0.0.1"] });
        self.start(keys).await;
    }

    async fn start(&mut self, mut subscriber: Value) {
        // Whatever was killed comes again at once, and as often as it takes.
        subscriber["delivery"] = json!({
            "batch_max": 10, "retry_first": "1ms", "retry_longest": "20ms", "breaker_open": "1ms",
            "attempts_max": 10_000,
        });
        let tables =
            json!({ "t": { "entity": "customer", "key": ["id"], "changes": { "email": ["email"] } } });
        let config: Config = serde_json::from_value(json!({
            "tenant": "acme",
            "store": { "path": self.path("data"), "segment_mib": 1 },
            "sources": { "events": { "kind": "cloudevents", "tables": tables } },
            "subscribers": { "crm": subscriber },
        }))
        .unwrap();
        let secrets = Secrets { base: self.folder.path().to_owned() };
        let running = writ_engine::run::start(config, &secrets).await.unwrap();
        let mut tokens = Tokens::default();
        tokens.add("shop", &SecretString::from(SHOP_TOKEN), &[Scope::Ingest]);
        let name = running.handle.subscribers()[0].clone();
        tokens.add_consumer("crm", &SecretString::from(CONSUMER_TOKEN), &name);
        let server = writ_api::bind("127.0.0.1:0", true).await.unwrap();
        let address = server.address().unwrap();
        let app = App {
            engine: running.handle.clone(),
            tokens: Arc::new(tokens),
            body_bytes_max: 1 << 20,
            recorder: Recorder::install(),
        };
        tokio::spawn(server.run(app, self.stop.subscribe()));
        self.engine = Some((running, address));
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.engine.as_ref().unwrap().1
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends so many changes of so many customers to the intake.
    pub(crate) async fn push(&self, events: usize, subjects: usize) {
        let change = |number: usize| {
            json!({
                "specversion": "1.0", "id": number.to_string(), "source": "/shop",
                "type": "writ.customer.email.v1", "subject": format!("customer/{}", number % subjects),
                "datacontenttype": "application/json",
                "data": { "before": null, "after": { "email": format!("{number}@example.org") } },
            })
        };
        let body = Value::from((0..events).map(change).collect::<Vec<_>>()).to_string();
        let request = format!(
            "POST /v1/intake/events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             authorization: Bearer {SHOP_TOKEN}\r\ncontent-type: application/cloudevents-batch+json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.api()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    /// Waits until every event that the example applied is acknowledged, and nothing more waits.
    pub(crate) async fn settled(&self, events: usize) {
        let engine = &self.engine.as_ref().unwrap().0.handle;
        let settled = async {
            loop {
                let waiting = engine.status().await.subscribers[0].waiting;
                if waiting == 0 && self.effects().len() >= events {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled)
            .await
            .unwrap_or_else(|_| panic!("never settled: {}", self.log()));
    }

    fn effects(&self) -> Vec<Effect> {
        let database = Connection::open(self.path("crm.db")).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        let rows = database.prepare("SELECT event, subject, email FROM effects ORDER BY number");
        // The example creates the table at its start.
        let Ok(mut rows) = rows else { return Vec::new() };
        let effect = |row: &rusqlite::Row<'_>| {
            Ok(Effect { event: row.get(0)?, subject: row.get(1)?, email: row.get(2)? })
        };
        rows.query_map([], effect).unwrap().map(Result::unwrap).collect()
    }

    /// Every change was applied, none twice, each customer's in order.
    pub(crate) fn each_effect_happened_once(&self, events: usize, subjects: usize) {
        let effects = self.effects();
        let different: BTreeSet<&String> = effects.iter().map(|effect| &effect.event).collect();
        assert_eq!((effects.len(), different.len()), (events, events), "{}", self.log());
        let mut by_subject: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
        for effect in &effects {
            let number = effect.email.split('@').next().unwrap().parse().unwrap();
            by_subject.entry(&effect.subject).or_default().push(number);
        }
        assert_eq!(by_subject.len(), subjects);
        assert!(by_subject.values().all(|numbers| numbers.is_sorted()), "{by_subject:?}");
    }

    /// Deliveries that came again after their effect.
    pub(crate) fn repeats(&self) -> usize {
        self.log().lines().filter(|line| line.to_lowercase().starts_with("repeated ")).count()
    }

    /// What the example has printed, over all its runs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("example.log")).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
