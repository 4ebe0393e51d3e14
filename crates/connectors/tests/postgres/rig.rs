//! A cluster, a source, and an engine in miniature: it takes what the source emits, calls it durable at once
//! or when told to, and remembers the progress.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use writ_connectors::descriptor::{Build, Context};
use writ_connectors::secret::Secrets;
use writ_connectors::source::{Durable, Emit, Feed, PullSource, SourceError};
use writ_connectors::sources::postgres::DESCRIPTOR;
use writ_model::change::{Change, RowChange};
use writ_model::code::Code;
use writ_model::control::SourceProgress;
use writ_model::id::TenantId;
use writ_model::value::Value;
use writ_testkit::postgres::{Cluster, Options};

/// No wait of a test is longer; a healthy one is far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The slot's name in every test.
pub(crate) const SLOT: &str = "writ_shop";

/// A cluster and what configures a source on it.
pub(crate) struct Rig {
    pub(crate) cluster: Cluster,
    pub(crate) mapping: serde_json::Value,
    pub(crate) keys: serde_json::Value,
    folder: tempfile::TempDir,
}

impl Rig {
    /// A cluster with `public.customer (id int primary key, email text, note text)` mapped.
    pub(crate) async fn start(options: Options) -> Option<Self> {
        let cluster = Cluster::start(&options)?;
        cluster.psql("CREATE TABLE customer (id int PRIMARY KEY, email text, note text)").await;
        let mapping = serde_json::json!({"public.customer":
            {"entity": "customer", "key": ["id"], "changes": {"email": ["email"], "preference": ["note"]}}});
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("url"), cluster.url()).expect("write the URL");
        Some(Self { cluster, mapping, keys: serde_json::json!({"url": "file:url"}), folder })
    }

    /// Sets one of the source's keys.
    pub(crate) fn key(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.keys[name] = value.into();
    }

    /// Sets the URL that the source connects to.
    pub(crate) fn url(&self, url: &str) {
        std::fs::write(self.folder.path().join("url"), url).expect("write the URL");
    }

    /// Gives the server a certificate for `localhost`; false, with a line, where `openssl` is not installed.
    pub(crate) async fn serve_tls(&self) -> bool {
        let data = self.cluster.folder().join("data");
        let (key, certificate) = (data.join("server.key"), data.join("server.crt"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED, NOTHING PROVEN: openssl makes no certificate here");
            return false;
        }
        let owner = std::fs::metadata(&data).expect("data folder").uid();
        std::os::unix::fs::chown(&key, Some(owner), None).expect("hand the key over");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("guard the key");
        self.cluster.psql("ALTER SYSTEM SET ssl = on").await;
        self.cluster.psql("SELECT pg_reload_conf()").await;
        true
    }

    /// The source as configured now.
    pub(crate) fn source(&self) -> Box<dyn PullSource> {
        let Build::Pull(build) = DESCRIPTOR.build else { panic!("a pull source") };
        let context = Context {
            tenant: &TenantId::new("acme").expect("name"),
            name: "shop",
            tables: &serde_json::from_value(self.mapping.clone()).expect("mapping"),
            secrets: &Secrets { base: self.folder.path().to_owned() },
        };
        build(&context, self.keys.clone()).expect("a source")
    }

    /// Runs the source; everything emitted is durable at once.
    pub(crate) fn run(&self, from: Option<&SourceProgress>) -> Running {
        Running::start(self.source(), from.cloned(), Sync::AtOnce, 64)
    }

    /// Runs the source; nothing is durable until told.
    pub(crate) fn run_unsynced(&self, from: Option<&SourceProgress>, room: usize) -> Running {
        Running::start(self.source(), from.cloned(), Sync::WhenTold, room)
    }

    /// Runs the source from the beginning until the empty snapshot is over; gives the stream.
    pub(crate) async fn streaming(&self) -> Running {
        let mut running = self.run(None);
        running.until_streaming().await;
        running
    }

    /// The error that a start ends with.
    pub(crate) async fn refusal(&self, from: Option<&SourceProgress>) -> SourceError {
        let mut running = self.run(from);
        running.failure().await
    }

    /// Expects a start to be refused with this code.
    pub(crate) async fn refuses(&self, from: Option<&SourceProgress>, code: Code) {
        let error = self.refusal(from).await;
        assert_eq!(error.code, code, "{error}");
        assert!(!error.is_passing, "{error}");
    }

    /// A figure of the slot.
    pub(crate) async fn slot(&self, column: &str) -> String {
        self.cluster
            .value(&format!("SELECT {column} FROM pg_replication_slots WHERE slot_name = '{SLOT}'"))
            .await
    }
}

/// When the engine in miniature syncs.
#[derive(Clone, Copy, PartialEq)]
enum Sync {
    AtOnce,
    WhenTold,
}

/// A source at work.
pub(crate) struct Running {
    emitted: mpsc::Receiver<Emit>,
    durable: watch::Sender<Durable>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), SourceError>>,
    sync: Sync,
    /// All changes so far.
    pub(crate) changes: Vec<Change>,
    /// All progress so far.
    pub(crate) progress: Vec<SourceProgress>,
    /// The last figure of each name.
    pub(crate) health: BTreeMap<&'static str, f64>,
}

impl Running {
    fn start(mut source: Box<dyn PullSource>, from: Option<SourceProgress>, sync: Sync, room: usize) -> Self {
        let (emit, emitted) = mpsc::channel(room);
        let through = from.as_ref().map(|p| (p.incarnation.clone(), p.position));
        let (durable, durable_seen) = watch::channel(Durable { through });
        let (stop, stop_seen) = watch::channel(false);
        let feed = Feed { emit, durable: durable_seen, stop: stop_seen };
        let task = tokio::spawn(async move { source.run(from, feed).await });
        Self {
            emitted,
            durable,
            stop,
            task,
            sync,
            changes: vec![],
            progress: vec![],
            health: BTreeMap::new(),
        }
    }

    /// The last progress.
    pub(crate) fn recorded(&self) -> SourceProgress {
        self.progress.last().expect("progress").clone()
    }

    /// Takes one emit; false when the source has ended.
    pub(crate) async fn take(&mut self) -> bool {
        let next = tokio::time::timeout(PATIENCE, self.emitted.recv()).await.expect("an emit in time");
        let Some(emit) = next else { return false };
        match emit {
            Emit::Changes { changes, progress } => {
                self.changes.extend(changes);
                self.progress.push(progress);
                // The reservation must be durable before the source goes on.
                if self.sync == Sync::AtOnce || self.recorded().snapshot.as_deref() == Some("reserved") {
                    self.sync();
                }
            }
            Emit::Health { name, value } => {
                self.health.insert(name, value);
            }
            Emit::Snapshot { .. } => {}
        }
        true
    }

    /// Makes everything taken so far durable.
    pub(crate) fn sync(&mut self) {
        let last = self.recorded();
        self.durable.send_replace(Durable { through: Some((last.incarnation, last.position)) });
    }

    /// Takes emits until `is_enough`.
    pub(crate) async fn until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            if !self.take().await {
                let ended = (&mut self.task).await.expect("no panic");
                panic!("the source ended early: {ended:?}");
            }
        }
    }

    /// Takes emits until the stream's first progress.
    pub(crate) async fn until_streaming(&mut self) {
        self.until(|r| r.progress.last().is_some_and(|p| p.snapshot.is_none())).await;
    }

    /// Takes emits until `count` changes are there.
    pub(crate) async fn until_changes(&mut self, count: usize) {
        self.until(|r| r.changes.len() >= count).await;
    }

    /// Takes emits until the record with this key shows this e-mail address.
    pub(crate) async fn until_email(&mut self, id: &str, email: &str) {
        let is_it = |c: &Change| c.key.0 == [id] && value(c, "email") == Some(Value::Text(email.to_owned()));
        self.until(|r| r.changes.iter().any(is_it)).await;
    }

    /// The error that the source ends with.
    pub(crate) async fn failure(&mut self) -> SourceError {
        while self.take().await {}
        (&mut self.task).await.expect("no panic").expect_err("the source fails")
    }

    /// Stops the source in an orderly way.
    pub(crate) async fn stop(mut self) -> Self {
        self.stop.send_replace(true);
        while self.take().await {}
        (&mut self.task).await.expect("no panic").expect("an orderly end");
        self
    }

    /// Drops the source at whatever await it stands.
    pub(crate) async fn abort(self) -> Vec<SourceProgress> {
        self.task.abort();
        let _cancelled = self.task.await;
        self.progress
    }

    /// The kinds of the changes so far.
    pub(crate) fn kinds(&self) -> Vec<RowChange> {
        self.changes.iter().map(|change| change.row).collect()
    }
}

/// A column after the change, where it was seen.
pub(crate) fn value(change: &Change, column: &str) -> Option<Value> {
    change.after.as_ref()?.get(column).cloned()
}

/// A text value.
pub(crate) fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

/// Asks until the answer fits; for what the server does in its own time.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("in time: {what}"));
}
