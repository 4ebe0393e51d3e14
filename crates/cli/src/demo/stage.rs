//! The demo's stage: a folder, a shop, three receivers, and the engine as a child process.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::shop::Shop;
use super::story::{Audit, Report, watch};
use crate::client::Client;
use crate::command::audit;
use crate::exit::{Failure, UNAVAILABLE};
use crate::sandbox::{Behaviour, Delivery, Receiver};

const LONGEST: Duration = Duration::from_secs(20);

/// Two customers, each with an e-mail address, a phone number and a postal address, and what one of them agreed to.
const SNAPSHOT_EVENTS: usize = 7;

/// Everything on stage.
pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) shop: Shop,
    pub(crate) crm: Receiver,
    pub(crate) esp: Receiver,
    pub(crate) loyalty: Receiver,
    /// Two that keep a list of whom not to write to; they get profile updates too, by the hundred.
    pub(crate) sms: Receiver,
    pub(crate) dialer: Receiver,
    pub(crate) api: Client,
    /// The API as another person asks it.
    pub(crate) counsel: Client,
    /// Under which dialer signs what it did.
    dialer_key: Ed25519KeyPair,
    port: u16,
    engine: Option<Child>,
}

impl Stage {
    /// Sets everything up and starts the engine; `loyalty` is down.
    pub(crate) async fn set(report: &Report) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("writ-demo-").tempdir()?;
        let port = free_port().await?;
        let as_person = |name: &str| person(folder.path(), port, name);
        let (api, counsel) = (as_person("ada")?, as_person("grace")?);
        let mut stage = Self {
            shop: Shop::open(folder.path())?,
            crm: Receiver::start(Behaviour::Healthy).await?,
            esp: Receiver::start(Behaviour::Healthy).await?,
            loyalty: Receiver::down().await?,
            sms: Receiver::keeping(Behaviour::Healthy, is_consent).await?,
            dialer: Receiver::keeping(Behaviour::Healthy, is_consent).await?,
            api,
            counsel,
            dialer_key: key()?,
            folder,
            port,
            engine: None,
        };
        stage.start(None).await?;
        let has_all = |receiver: &Receiver| receiver.deliveries().len() >= SNAPSHOT_EVENTS;
        let ready = watch(LONGEST, async || (has_all(&stage.crm) && has_all(&stage.esp)).then_some(())).await;
        if ready.is_none() {
            return Err(stage.trouble("the snapshot of the shop did not arrive"));
        }
        report.line(
            "  A SQLite shop with two customers; crm and esp over HTTP, an archive file, loyalty is down.",
        );
        Ok(stage)
    }

    /// What dialer would sign, signed.
    pub(crate) fn sign_as_dialer(&self, statement: &str) -> String {
        STANDARD.encode(self.dialer_key.sign(statement.as_bytes()))
    }

    pub(crate) fn throttle_esp(&self, requests: u32) {
        self.esp.behave(Behaviour::Throttling(requests));
    }

    pub(crate) fn receiver(&self, name: &str) -> &Receiver {
        match name {
            "esp" => &self.esp,
            "loyalty" => &self.loyalty,
            "sms" => &self.sms,
            "dialer" => &self.dialer,
            _ => &self.crm,
        }
    }

    /// Starts the engine, with a bound on the log where one is given, and waits until it answers.
    pub(crate) async fn start(&mut self, log_bytes_max: Option<u64>) -> Result<(), Failure> {
        let config = self.folder.path().join("writ.yaml");
        std::fs::write(&config, self.config(log_bytes_max))?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("engine.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.engine = Some(child);
        let answers = watch(LONGEST, async || self.api.get("/v1/status").await.ok()).await;
        answers.map(drop).ok_or_else(|| self.trouble("the engine does not answer"))
    }

    fn config(&self, log_bytes_max: Option<u64>) -> String {
        let bound = log_bytes_max.map(|bytes| format!("  log_bytes_max: {bytes}\n")).unwrap_or_default();
        let webhook = |name: &str, receiver: &Receiver| {
            format!(
                "  {name}:\n    kind: webhook\n    url: {}\n    mode: structured\n    allow_addresses: [127.0.0.0/8]\n    \
                 filters: [{{ not: {{ exact: {{ changetype: tier }} }} }}]\n    \
                 delivery: {{ retry_first: 100ms, retry_longest: 1s, breaker_open: 500ms, attempts_max: 100 }}\n",
                receiver.url()
            )
        };
        let list = |name: &str, receiver: &Receiver| {
            format!(
                "  {name}:\n    kind: webhook\n    url: {}\n    mode: batch\n    allow_addresses: [127.0.0.0/8]\n    \
                 filters: [{{ any: [{{ exact: {{ changetype: tier }} }}, {{ exact: {{ changetype: consent }} }}, \
                 {{ exact: {{ changetype: suppression }} }}, {{ exact: {{ changetype: erasure }} }}] }}]\n    \
                 delivery: {{ batch_max: 100, linger: 20ms, in_flight_max: 1, \
                 answers: [{{ status: 404, change_types: [erasure], then: acknowledged }}] }}\n",
                receiver.url()
            )
        };
        let token = |name: &str| {
            format!(
                "    - {{ name: {name}, secret: \"file:{name}.token\", scopes: [ingest, read, operate] }}\n"
            )
        };
        let (person, counsel) = (token("ada"), token("grace"));
        let key = STANDARD.encode(self.dialer_key.public_key());
        format!(
            "tenant: demo\nstore:\n  path: data\n{bound}api:\n  listen: 127.0.0.1:{}\n  tokens:\n\
             {person}{counsel}\
             compliance:\n  recipients:\n    crm: {{ says: outcome }}\n    esp: {{ says: outcome }}\n    \
             loyalty: {{ says: outcome }}\n    sms: {{ says: outcome }}\n    dialer: {{ key: \"{key}\" }}\n\
             attest:\n  checkpoint_every: 200ms\n  settle_within: 10m\n\
             sources:\n  shop:\n    kind: sqlite\n    path: {}\n    poll_ms: 10\n    tables:\n      customers:\n        \
             entity: customer\n        key: [id]\n        location: home_store\n        changes:\n          \
             email: [email]\n          phone: [phone]\n          address: [city, postal_code]\n          \
             payment_method: {{ token: payment_token }}\n          \
             tier: [tier]\n          \
             consent: {{ class: consent_class, channel: consent_channel, status: sms_status }}\n\
             subscribers:\n{}{}{}{}{}  archive:\n    kind: file\n    path: {}\n    \
             filters: [{{ not: {{ exact: {{ changetype: tier }} }} }}]\n",
            self.port,
            self.shop.path().display(),
            webhook("crm", &self.crm),
            webhook("esp", &self.esp),
            webhook("loyalty", &self.loyalty),
            list("sms", &self.sms),
            list("dialer", &self.dialer),
            self.archive().display(),
        )
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("archive.jsonl")
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.engine.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGTERM and a graceful drain.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.engine.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        }
        let status = tokio::time::timeout(LONGEST, child.wait()).await;
        match status {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) | Err(_) => Err(self.trouble("the engine did not drain")),
        }
    }

    /// The engine stops in good order, then its audit log is verified without it.
    pub(crate) async fn verify(&mut self, report: &Report) -> Result<Audit, Failure> {
        let finished = watch(LONGEST, async || {
            let status = self.api.get("/v1/status").await.ok()?;
            let lanes = status["subscribers"].as_array()?;
            lanes.iter().all(|lane| lane["waiting"] == 0 && lane["in_flight"] == 0).then_some(())
        })
        .await;
        if finished.is_none() {
            return Err(self.trouble("the lanes did not come to rest"));
        }
        self.stop().await?;
        report.line("\nThe engine has stopped; `writ audit verify`:");
        let audit = audit::verify_folder(&self.folder.path().join("data/audit"))?;
        report.line(&format!("  {}", audit.text));
        Ok(audit)
    }

    /// The archive holds this delivery's event.
    pub(crate) fn archived(&self, delivery: &Delivery) -> bool {
        std::fs::read_to_string(self.archive()).is_ok_and(|text| text.contains(&delivery.event_id))
    }

    /// The event's trace, once it shows an acknowledgement of each of these subscribers.
    pub(crate) async fn trace_until(
        &self,
        event_id: &str,
        subscribers: &[&str],
        longest: Duration,
    ) -> Result<Option<Value>, Failure> {
        Ok(watch(longest, async || {
            let trace = self.api.get(&format!("/v1/events/{event_id}")).await.ok()?;
            let settled = |name: &&str| trace["acknowledgements"][*name]["settled"] == "acknowledged";
            subscribers.iter().all(settled).then_some(trace)
        })
        .await)
    }

    /// One lane of the engine's status.
    pub(crate) async fn lane(&self, name: &str) -> Result<Value, Failure> {
        let status = self.api.get("/v1/status").await?;
        let lanes = status["subscribers"].as_array().cloned().unwrap_or_default();
        Ok(lanes.into_iter().find(|lane| lane["subscriber"] == name).unwrap_or(Value::Null))
    }

    /// What the shop source last complained of.
    pub(crate) async fn source_error(&self) -> Option<String> {
        let status = self.api.get("/v1/status").await.ok()?;
        status["sources"][0]["error"].as_str().map(str::to_owned)
    }

    /// Bytes that the log holds, while the engine is stopped.
    pub(crate) fn log_bytes(&self) -> Result<u64, Failure> {
        writ_engine::run::log_bytes(&self.data()).map_err(Failure::from)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Files of the store in which any of these texts occurs, as it is.
    pub(crate) fn files_with(&self, texts: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        let holds = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            texts.iter().any(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        };
        Ok(files(&self.data())?.into_iter().filter(holds).collect())
    }

    pub(crate) fn file_count(&self) -> Result<usize, Failure> {
        Ok(files(&self.data())?.len())
    }

    /// Keeps the folder and says where it is.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    fn trouble(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(self.folder.path().join("engine.log")).unwrap_or_default();
        let mut tail: Vec<&str> = log.lines().rev().take(12).collect();
        tail.reverse();
        Failure::plain(format!("{what}; the engine's log ends with\n{}", tail.join("\n")), UNAVAILABLE)
    }
}

/// Makes a token of this name, and a client that holds it.
fn person(folder: &Path, port: u16, name: &str) -> Result<Client, Failure> {
    let token = format!("{name}-{}", STANDARD.encode(random()?));
    let file = folder.join(format!("{name}.token"));
    std::fs::write(&file, &token)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    Ok(Client::with_token(&format!("127.0.0.1:{port}"), &token))
}

fn key() -> Result<Ed25519KeyPair, Failure> {
    let failed = |_| Failure::plain("a signing key cannot be made", UNAVAILABLE);
    Ed25519KeyPair::from_seed_unchecked(&random()?).map_err(failed)
}

fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::plain(error, UNAVAILABLE))?;
    Ok(bytes)
}

fn is_consent(delivery: &Delivery) -> bool {
    delivery.after("channel").is_some()
}

async fn free_port() -> Result<u16, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.port())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
