//! The engine under test: `writ run` as a child process, with everything on and a store of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::process::{Process, disk_bytes};
use super::wire::Wire;
use crate::demo::watch;
use crate::exit::{Failure, UNAVAILABLE};

/// How long a start and a drain may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The default policy bundle: the gate asks it about every event.
const POLICY: &str = include_str!("../../../../policies/default/policy.rego");
const POLICY_DATA: &str = include_str!("../../../../policies/default/data.json");

/// A test secret; the requests are signed as in production.
const SECRET: &str = "whsec_d3JpdC1iZW5jaC1ub3QtYS1zZWNyZXQtMzItYnl0ZXM=";

/// What the engine of a benchmark is to do.
pub(super) struct Setup<'a> {
    /// Addresses of the receivers; each is a webhook subscriber in batch mode.
    pub(super) receivers: &'a [String],
    /// Events in one request at most.
    pub(super) batch: usize,
    /// Further keys of every subscriber's `delivery`.
    pub(super) delivery: Value,
    /// The source, by the name `shop`.
    pub(super) source: Value,
}

impl<'a> Setup<'a> {
    /// Customers' CloudEvents from the HTTP intake, all to all.
    pub(super) fn from_intake(receivers: &'a [String], batch: usize) -> Self {
        let source = json!({
            "kind": "cloudevents",
            // The load's connections overtake one another, and every event counts.
            "stale": "forward",
            "tables": {
                "customers": {
                    "entity": "customer",
                    "key": ["id"],
                    "changes": { "email": ["email", "kind"] },
                },
            },
        });
        Self { receivers, batch, delivery: json!({}), source }
    }
}

/// A running engine; killed when dropped.
pub(super) struct Engine {
    child: Child,
    folder: TempDir,
    pub(super) address: String,
    pub(super) process: Process,
}

impl Engine {
    /// Starts on a new store and waits until it listens.
    pub(super) async fn start(folder: TempDir, setup: &Setup<'_>) -> Result<Self, Failure> {
        let policies = folder.path().join("policies");
        std::fs::create_dir_all(&policies)?;
        std::fs::write(policies.join("policy.rego"), POLICY)?;
        std::fs::write(policies.join("data.json"), POLICY_DATA)?;
        std::fs::write(folder.path().join("secret"), SECRET)?;
        // JSON is YAML.
        std::fs::write(folder.path().join("writ.yaml"), configuration(setup).to_string())?;
        Self::launch(folder).await
    }

    /// Starts once more on the store of a killed engine.
    pub(super) async fn again(killed: Stopped) -> Result<Self, Failure> {
        Self::launch(killed.folder).await
    }

    async fn launch(folder: TempDir) -> Result<Self, Failure> {
        let config = folder.path().join("writ.yaml");
        let log = folder.path().join("engine.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["run", "--log-json", "--config"])
            .arg(&config)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let process = Process(child.id().ok_or_else(|| trouble(&log, "the engine has ended"))?);
        let address = watch(LONGEST, async || listening(&log)).await;
        let address = address.ok_or_else(|| trouble(&log, "the engine does not listen"))?;
        Ok(Self { child, folder, address, process })
    }

    /// The metrics page's samples, by name and labels as printed.
    pub(super) async fn metrics(&self) -> Result<BTreeMap<String, f64>, Failure> {
        let page = Wire::connect(&self.address).await?.get("/metrics").await?;
        let text = String::from_utf8_lossy(&page);
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// Events that this run of the engine has made durable.
    pub(super) async fn events_stored(&self) -> Result<u64, Failure> {
        let samples = self.metrics().await?;
        let stored = samples.iter().filter(|(name, _)| name.starts_with("writ_events_stored_total"));
        Ok(whole(stored.map(|(_, value)| value).sum()))
    }

    /// SIGTERM and a graceful drain; gives the store's folder.
    pub(super) async fn stop(mut self) -> Result<Stopped, Failure> {
        let pid = self.process.0.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        match tokio::time::timeout(LONGEST, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(Stopped { folder: self.folder }),
            Ok(_) | Err(_) => Err(self.trouble("the engine did not drain")),
        }
    }

    /// SIGKILL.
    pub(super) async fn kill(mut self) -> Result<Stopped, Failure> {
        self.child.kill().await?;
        Ok(Stopped { folder: self.folder })
    }

    /// Bytes on disk by part of the store, while it runs.
    pub(super) fn disk_bytes(&self) -> Result<BTreeMap<String, u64>, Failure> {
        store_bytes(self.folder.path())
    }

    /// An error with the end of the engine's log.
    pub(super) fn trouble(&self, what: &str) -> Failure {
        trouble(&self.folder.path().join("engine.log"), what)
    }
}

/// The store that an engine left.
pub(super) struct Stopped {
    folder: TempDir,
}

impl Stopped {
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Bytes on disk by part of the store.
    pub(super) fn disk_bytes(&self) -> Result<BTreeMap<String, u64>, Failure> {
        store_bytes(self.folder.path())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count, printed as a whole number"
)]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

fn store_bytes(folder: &Path) -> Result<BTreeMap<String, u64>, Failure> {
    let mut bytes = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("data"))? {
        let entry = entry?;
        bytes.insert(entry.file_name().to_string_lossy().into_owned(), disk_bytes(&entry.path()));
    }
    Ok(bytes)
}

fn configuration(setup: &Setup<'_>) -> Value {
    let webhook = |(number, address): (usize, &String)| {
        let mut subscriber = json!({
            "kind": "webhook",
            "url": format!("http://{address}/events"),
            "mode": "batch",
            "batch_max": setup.batch,
            "secrets": ["file:secret"],
            "allow_addresses": ["127.0.0.0/8"],
            "delivery": { "batch_max": setup.batch },
        });
        for (key, value) in setup.delivery.as_object().into_iter().flatten() {
            subscriber["delivery"][key] = value.clone();
        }
        (format!("receiver{number:02}"), subscriber)
    };
    let subscribers: serde_json::Map<String, Value> =
        setup.receivers.iter().enumerate().map(webhook).collect();
    json!({
        "tenant": "bench",
        "store": { "path": "data" },
        "api": { "listen": "127.0.0.1:0", "body_bytes_max": 4 << 20 },
        "policies": "policies",
        "sources": { "shop": setup.source },
        "subscribers": subscribers,
    })
}

/// The address in the log's line that names it.
fn listening(log: &PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| Some(line.get("fields")?.get("address")?.as_str()?.to_owned()))
}

fn trouble(log: &Path, what: &str) -> Failure {
    const TAIL: usize = 12;
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let mut tail: Vec<&str> = log.lines().rev().take(TAIL).collect();
    tail.reverse();
    Failure::plain(format!("{what}; its log ends with\n{}", tail.join("\n")), UNAVAILABLE)
}
