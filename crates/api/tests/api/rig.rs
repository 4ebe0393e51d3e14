//! The stage: an engine with its API on a free port, and what every test sends to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use writ_api::{App, Patience, Recorder, Tokens};
use writ_engine::config::{Config, Scope};
use writ_engine::run::Running;
use writ_engine::run::Secrets;
use writ_model::id::SubscriberName;

use crate::client::{Answer, Ask, PATIENCE};

/// One token per scope.
pub(crate) const INGEST: &str = "token-of-the-shop";
pub(crate) const READ: &str = "token-of-the-auditor";
pub(crate) const OPERATE: &str = "token-of-the-operator";

/// The consumers' tokens of the pulled subscribers `till` and `desk`.
pub(crate) const TILL: &str = "token-of-the-till";
pub(crate) const DESK: &str = "token-of-the-desk";

/// The app secret of the Shopify source.
const SHOPIFY_SECRET: &str = "not-a-real-app-secret";

/// Largest body that the rig's API takes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// How long the rig's API waits for a head or a body.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// Everything on stage; the folder goes with it.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    running: Option<Running>,
    stop: watch::Sender<bool>,
    patience: Patience,
    config: Config,
    folder: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Patience::default()).await
    }

    pub(crate) async fn start_with(patience: Patience) -> Self {
        Self::start_configured(patience, |_| {}).await
    }

    /// With two subscribers that are pulled from, `till` and `desk`. What no consumer takes of theirs stays in the
    /// log, so other tests do without them.
    pub(crate) async fn start_pulled() -> Self {
        let add = |config: &mut Config| {
            // A lease that failed comes again at once.
            let delivery = |batch_max: usize| json!({ "batch_max": batch_max, "retry_first": "1ms", "breaker_open": "1ms" });
            for (name, keys) in [
                ("till", json!({ "kind": "pull", "lease_ms": 1000, "delivery": delivery(10) })),
                ("desk", json!({ "kind": "pull", "consumers_max": 1, "delivery": delivery(2) })),
            ] {
                let subscriber = serde_json::from_value(keys).unwrap();
                config.subscribers.insert(SubscriberName::new(name).unwrap(), subscriber);
            }
        };
        Self::start_configured(Patience::default(), add).await
    }

    /// With a configuration that differs from the usual one.
    pub(crate) async fn start_configured(patience: Patience, change: impl FnOnce(&mut Config)) -> Self {
        logs();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shopify.secret"), SHOPIFY_SECRET).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/writ.rego"), POLICY).unwrap();
        let mut config = config(&folder);
        change(&mut config);
        let (running, address, stop) = raise(&folder, config.clone(), patience).await;
        Self { address, running: Some(running), stop, patience, config, folder }
    }

    /// Stops engine and API, and starts both again on the same store.
    pub(crate) async fn restart(&mut self) {
        self.stop_engine().await;
        self.stop.send_replace(true);
        let (running, address, stop) = raise(&self.folder, self.config.clone(), self.patience).await;
        (self.running, self.address, self.stop) = (Some(running), address, stop);
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, method, path)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).token(READ).send().await
    }

    /// Asks until the answer is as wanted: derived state follows the log.
    pub(crate) async fn get_until(&self, path: &str, is_wanted: impl Fn(&Answer) -> bool) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if is_wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} never was as wanted"))
    }

    /// One structured CloudEvent.
    pub(crate) async fn push(&self, event: &Value) -> Answer {
        self.intake("events", "application/cloudevents+json", event.to_string().as_bytes()).await
    }

    pub(crate) async fn push_batch(&self, events: &[Value]) -> Answer {
        let body = json!(events).to_string();
        self.intake("events", "application/cloudevents-batch+json", body.as_bytes()).await
    }

    pub(crate) async fn intake(&self, source: &str, media_type: &str, body: &[u8]) -> Answer {
        let ask = self.ask("POST", &format!("/v1/intake/{source}")).token(INGEST);
        ask.header("content-type", media_type).body(body).send().await
    }

    /// A webhook as Shopify signs it.
    pub(crate) async fn shopify(&self, topic: &str, body: &str) -> Answer {
        self.shopify_signed(topic, body, SHOPIFY_SECRET).await
    }

    pub(crate) async fn shopify_signed(&self, topic: &str, body: &str, secret: &str) -> Answer {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, body.as_bytes()));
        let ask = self.ask("POST", "/v1/intake/shop").header("content-type", "application/json");
        let ask = ask.header("x-shopify-topic", topic).header("x-shopify-hmac-sha256", &signature);
        ask.body(body).send().await
    }

    /// The log's end: grows with everything that is stored, control facts included.
    pub(crate) async fn log_end(&self) -> u64 {
        self.get("/v1/status").await.json()["log_end"].as_u64().unwrap()
    }

    /// Stops the engine; the API stays.
    pub(crate) async fn stop_engine(&mut self) {
        let running = self.running.take().unwrap();
        tokio::time::timeout(PATIENCE, running.stop()).await.expect("the engine drains in time");
    }
}

async fn raise(
    folder: &TempDir,
    config: Config,
    patience: Patience,
) -> (Running, SocketAddr, watch::Sender<bool>) {
    let secrets = Secrets { base: folder.path().to_path_buf() };
    let running = writ_engine::run::start(config, &secrets).await.unwrap();
    let server = writ_api::bind("127.0.0.1:0", true).await.unwrap().with_patience(patience);
    let address = server.address().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (engine, recorder) = (running.handle.clone(), recorder());
    let app = App { engine, tokens: Arc::new(tokens()), body_bytes_max: BODY_BYTES_MAX, recorder };
    tokio::spawn(server.run(app, stopped));
    (running, address, stop)
}

fn tokens() -> Tokens {
    let mut tokens = Tokens::default();
    tokens.add("shop", &SecretString::from(INGEST), &[Scope::Ingest]);
    tokens.add("auditor", &SecretString::from(READ), &[Scope::Read]);
    tokens.add("operator", &SecretString::from(OPERATE), &[Scope::Operate]);
    for (name, secret) in [("till", TILL), ("desk", DESK)] {
        let subscriber = SubscriberName::new(name).unwrap();
        tokens.add_consumer(name, &SecretString::from(secret), &subscriber);
    }
    tokens
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// `held@` and `refused@` addresses are held and refused.
const POLICY: &str = r#"package writ
import rego.v1
default decision := {"answer": "clear"}
decision := {"answer": "hold", "reason": "wait"} if startswith(input.data.after.email, "held@")
decision := {"answer": "refuse", "reason": "no"} if startswith(input.data.after.email, "refused@")
"#;

fn config(folder: &TempDir) -> Config {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config = json!({
        "tenant": "acme",
        "store": { "path": path("data"), "segment_mib": 1 },
        "policies": path("policies"),
        "sources": {
            "events": {
                "kind": "cloudevents",
                "tables": { "com.shop.customer": {
                    "entity": "customer", "key": ["id"], "changes": { "email": ["email"], "phone": ["phone"] },
                } },
            },
            "shop": { "kind": "shopify", "secrets": ["file:shopify.secret"] },
        },
        "subscribers": { "archive": { "kind": "file", "path": path("archive.jsonl") } },
    });
    serde_json::from_value(config).unwrap()
}

/// A typed change of customer `key`'s e-mail address.
pub(crate) fn email(id: &str, key: &str, address: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/shop", "type": "writ.customer.email.v1",
        "subject": format!("customer/{key}"), "datacontenttype": "application/json",
        "data": { "before": null, "after": { "email": address } },
    })
}

/// One per process; every rig of this process counts in it.
fn recorder() -> Recorder {
    static RECORDER: OnceLock<Recorder> = OnceLock::new();
    RECORDER.get_or_init(Recorder::install).clone()
}

/// Every log line of this process, at the most talkative level.
pub(crate) fn logs() -> &'static Logs {
    static LOGS: OnceLock<Logs> = OnceLock::new();
    LOGS.get_or_init(|| {
        let logs = Logs::default();
        let lines = logs.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(move || lines.clone()).init();
        logs
    })
}

/// A log in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
