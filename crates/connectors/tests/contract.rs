//! Every connector of the registry against the contract suites.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use writ_connectors::contract;
use writ_connectors::descriptor::{Build, Context, Descriptor};
use writ_connectors::mailbox::Words;
use writ_connectors::registry::{ALL, Side, find};
use writ_connectors::secret::Secrets;
use writ_connectors::source::PullSource;
use writ_connectors::subscriber::Subscriber;
use writ_model::delivery::Word;
use writ_model::id::TenantId;
use writ_model::mapping::Tables;

/// One file per form that a connector of this build takes a secret in.
const SECRETS: [(&str, &str); 2] = [
    ("hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("url", "postgres://writ:hunter2@127.0.0.1:5432/shop"),
];

struct Place {
    folder: tempfile::TempDir,
    tenant: TenantId,
    tables: Tables,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for (name, secret) in SECRETS {
            std::fs::write(folder.path().join(name), secret).expect("write");
        }
        let tables = serde_json::from_value(serde_json::json!({
            "customers": {"entity": "customer", "key": ["id"], "changes": {"email": ["email"]}},
        }));
        Self { folder, tenant: TenantId::new("t").expect("name"), tables: tables.expect("mapping") }
    }

    fn with<T>(&self, use_it: impl FnOnce(&Context<'_>) -> T) -> T {
        let secrets = Secrets { base: self.folder.path().to_owned() };
        let context = Context { tenant: &self.tenant, name: "it", tables: &self.tables, secrets: &secrets };
        use_it(&context)
    }

    fn subscriber(&self, name: &str, config: Value) -> Arc<dyn Subscriber> {
        let Some(Build::Subscriber(build)) = find(name, Side::Subscriber).map(|d| d.build) else {
            panic!("{name}")
        };
        self.with(|context| build(context, config)).expect("builds").into()
    }
}

fn replaced(value: &Value, file: &str) -> Value {
    match value {
        Value::String(text) if text.starts_with("env:") => format!("file:{file}").into(),
        Value::Array(items) => items.iter().map(|item| replaced(item, file)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), replaced(value, file)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// The example with references to a secret in the form that it takes.
fn example(descriptor: &Descriptor, place: &Place) -> Value {
    let written: Value = serde_saphyr::from_str(descriptor.example).expect("the example is YAML");
    let builds = |config: &Value| {
        place.with(|context| match descriptor.build {
            Build::Pull(build) => build(context, config.clone()).is_ok(),
            Build::Push(build) => build(context, config.clone()).is_ok(),
            Build::Subscriber(build) => build(context, config.clone()).is_ok(),
        })
    };
    let forms = SECRETS.iter().map(|(file, _)| replaced(&written, file));
    forms.clone().find(builds).or_else(|| forms.into_iter().next()).expect("one form")
}

#[test]
fn every_descriptor_keeps_the_contract() {
    for descriptor in ALL {
        let place = Place::new();
        let example = example(descriptor, &place);
        place.with(|context| contract::descriptor(descriptor, &example, context));
    }
}

#[test]
fn every_example_fits_its_schema() {
    for descriptor in ALL {
        let written: Value = serde_saphyr::from_str(descriptor.example).expect("the example is YAML");
        let written = if written.is_null() { serde_json::json!({}) } else { written };
        let schema = jsonschema::validator_for(&(descriptor.config_schema)()).expect("the schema is one");
        assert!(schema.is_valid(&written), "{}", descriptor.name);
    }
}

#[test]
fn the_registry_is_in_order_and_finds_by_name_and_side() {
    let order = |d: &&Descriptor| (d.side() == Side::Subscriber, d.name);
    assert!(ALL.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
    for descriptor in ALL {
        let found = find(descriptor.name, descriptor.side()).expect("found");
        assert_eq!(found.summary, descriptor.summary);
    }
    assert!(find("sqlite", Side::Subscriber).is_none());
}

struct Shop(Place);

impl contract::Upstream for Shop {
    fn source(&self) -> Box<dyn PullSource> {
        let Some(Build::Pull(build)) = find("sqlite", Side::Source).map(|d| d.build) else {
            panic!("registered")
        };
        self.0
            .with(|context| build(context, serde_json::json!({"path": "shop.db", "poll_ms": 1})))
            .expect("builds")
    }

    fn change(&self, count: usize) {
        let writer = rusqlite::Connection::open(self.0.folder.path().join("shop.db")).expect("opens");
        writer.busy_timeout(Duration::from_secs(5)).expect("waits");
        for _ in 0..count {
            writer.execute("INSERT INTO customers(email) VALUES ('ada@example.org')", []).expect("writes");
        }
    }
}

#[tokio::test]
async fn sqlite_keeps_the_contract_of_pull_sources() {
    let place = Place::new();
    let database = rusqlite::Connection::open(place.folder.path().join("shop.db")).expect("opens");
    let schema = "PRAGMA synchronous = OFF; CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT);";
    database.execute_batch(schema).expect("schema");
    contract::pull(&Shop(place)).await;
}

#[tokio::test]
async fn file_keeps_the_contract_of_subscribers() {
    let place = Place::new();
    contract::subscriber(place.subscriber("file", serde_json::json!({"path": "out.jsonl"}))).await;
}

#[tokio::test]
async fn pull_keeps_the_contract_of_subscribers_when_a_consumer_takes_everything() {
    let subscriber = Place::new().subscriber("pull", serde_json::json!({}));
    let mailbox = subscriber.mailbox().expect("it is pulled from");
    let consumer = mailbox.enter().expect("room");
    let all = Words { items: Vec::new(), rest: Some(Word::Acknowledged) };
    let consuming = tokio::spawn(async move {
        while let Ok(lease) = consumer.take(usize::MAX, Duration::from_secs(60)).await {
            // A lease whose offer was dropped is refused, and comes again.
            lease.map(|lease| mailbox.answer(lease.id, &all)).transpose().ok();
        }
    });
    contract::subscriber(subscriber).await;
    consuming.abort();
}

#[test]
fn only_a_subscriber_that_is_pulled_from_has_a_mailbox() {
    let has = |name, config| Place::new().subscriber(name, config).mailbox().is_some();
    assert!(has("pull", serde_json::json!({"lease_ms": 1000, "consumers_max": 128})));
    assert!(!has("file", serde_json::json!({"path": "out.jsonl"})));
}

#[test]
fn a_lease_or_a_crowd_out_of_bounds_is_refused_with_its_key() {
    let Some(Build::Subscriber(build)) = find("pull", Side::Subscriber).map(|d| d.build) else {
        panic!("registered")
    };
    for (key, value) in
        [("lease_ms", 999), ("lease_ms", 3_600_001), ("consumers_max", 0), ("consumers_max", 129)]
    {
        let refused = Place::new().with(|context| build(context, serde_json::json!({key: value})));
        assert_eq!(refused.err().map(|error| error.key).as_deref(), Some(key), "{value}");
    }
}

/// Takes every request on every connection.
async fn take_everything(listener: tokio::net::TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
                while let Some(length) = whole_request(&bytes) {
                    bytes.drain(..length);
                    if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

fn whole_request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    (bytes.len() >= head + length).then_some(head + length)
}

#[tokio::test]
async fn webhook_keeps_the_contract_of_subscribers_in_every_mode() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let port = listener.local_addr().expect("address").port();
    let server = tokio::spawn(take_everything(listener));
    for mode in ["binary", "structured", "batch"] {
        let config = serde_json::json!({
            "url": format!("http://127.0.0.1:{port}/"), "mode": mode, "allow_addresses": ["127.0.0.1"],
            "secrets": ["file:hook"],
        });
        contract::subscriber(Place::new().subscriber("webhook", config)).await;
    }
    server.abort();
}
