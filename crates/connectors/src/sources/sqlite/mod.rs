//! Source `sqlite`: captures an embedded SQLite database through triggers and an outbox table (ADR 0016).
//!
//! This file has the configuration and the asynchronous loop; `session.rs` decides what is read next.

mod ddl;
mod fault;
mod install;
mod session;
mod table;
mod value;

#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use writ_model::code;
use writ_model::control::SourceProgress;
use writ_model::id::SourceName;

pub use install::uninstall;
use session::{Next, Plan, Session};

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::settings;
use crate::source::{BoxFuture, Durable, Emit, Feed, PullSource, SourceError};

/// How long to wait for a lock where configuration does not say.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds of `poll_ms` and `busy_timeout_ms`.
const MILLIS: std::ops::RangeInclusive<u64> = 1..=60_000;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "sqlite",
    summary: "an embedded SQLite database, captured through triggers",
    stability: "stable",
    secrets: &[],
    example: "\
# The database file; relative paths start at the folder of writ.yaml.
path: shop.db
# How often to look for changes. Looking costs two small reads.
poll_ms: 100
",
    mechanisms: &[],
    config_schema,
    build: Build::Pull(build),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    path: PathBuf,
    #[serde(default = "default_poll_ms")]
    poll_ms: u64,
    #[serde(default = "default_busy_timeout_ms")]
    busy_timeout_ms: u64,
    #[serde(default = "default_wal")]
    wal: bool,
}

fn default_poll_ms() -> u64 {
    100
}

fn default_busy_timeout_ms() -> u64 {
    5_000
}

fn default_wal() -> bool {
    true
}

fn config_schema() -> serde_json::Value {
    let millis = |default: u64, description: &str| {
        serde_json::json!({
            "type": "integer", "minimum": MILLIS.start(), "maximum": MILLIS.end(),
            "default": default, "description": description,
        })
    };
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["path"],
        "properties": {
            "path": {"type": "string", "minLength": 1, "description": "The database file."},
            "poll_ms": millis(default_poll_ms(), "Milliseconds between two looks for changes."),
            "busy_timeout_ms": millis(default_busy_timeout_ms(), "Milliseconds to wait for a lock."),
            "wal": {
                "type": "boolean", "default": true,
                "description": "Switch the database to write-ahead logging, so that a snapshot blocks no writer.",
            },
        },
    })
}

fn build(context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn PullSource>, ConfigError> {
    let given: Settings = settings::read(config)?;
    let source = SourceName::new(context.name)
        .map_err(|error| settings::invalid("name", error.to_string(), "choose another name"))?;
    if given.path.as_os_str().is_empty() {
        return Err(settings::invalid("path", "the path is empty", "name the database file"));
    }
    for (key, millis) in [("poll_ms", given.poll_ms), ("busy_timeout_ms", given.busy_timeout_ms)] {
        if !MILLIS.contains(&millis) {
            let cause = format!("{millis} is not within {} to {}", MILLIS.start(), MILLIS.end());
            return Err(settings::invalid(key, cause, "choose a value within"));
        }
    }
    let plan = Plan {
        source,
        path: context.secrets.base.join(&given.path),
        tables: context.tables.clone(),
        busy_timeout: Duration::from_millis(given.busy_timeout_ms),
        is_wal: given.wal,
    };
    Ok(Box::new(Sqlite { plan, poll: Duration::from_millis(given.poll_ms) }))
}

/// One captured database.
struct Sqlite {
    plan: Plan,
    poll: Duration,
}

impl PullSource for Sqlite {
    fn run<'a>(
        &'a mut self,
        from: Option<SourceProgress>,
        feed: Feed,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let plan = self.plan.clone();
            let session = blocking(move || Session::open(plan, from.as_ref())).await??;
            Pump { session: Some(session), feed, poll: self.poll, acknowledged: Durable::default() }
                .run()
                .await
        })
    }

    fn check<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<String>, SourceError>> {
        let plan = self.plan.clone();
        Box::pin(async move { blocking(move || inspect(&plan)).await? })
    }
}

/// Looks without changing anything; what comes back are warnings.
fn inspect(plan: &Plan) -> Result<Vec<String>, SourceError> {
    let connection = install::open(&plan.path, plan.busy_timeout)?;
    let tables = install::fit(&connection, &plan.path, &plan.tables)?;
    let mut warnings = Vec::new();
    for table in &tables {
        if !table.is_key_unique {
            warnings.push(format!("table {}: the key columns are not unique", table.mapped_as));
        }
        if table.has_other_unique {
            warnings.push(format!(
                "table {}: INSERT OR REPLACE that displaces a row through another unique column hides that \
                 row's delete, unless the application sets PRAGMA recursive_triggers = ON",
                table.mapped_as
            ));
        }
    }
    Ok(warnings)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| SourceError {
        code: code::SOURCE_UNREACHABLE,
        tried: "read the database".to_owned(),
        cause: "the reading task ended early".to_owned(),
        remedy: "none needed: the source is run again".to_owned(),
        is_passing: true,
    })
}

/// Moves batches from the session to the engine, and acknowledgements back.
struct Pump {
    /// Away while a blocking step has it.
    session: Option<Session>,
    feed: Feed,
    poll: Duration,
    acknowledged: Durable,
}

impl Pump {
    async fn run(mut self) -> Result<(), SourceError> {
        while !*self.feed.stop.borrow() {
            if self.feed.emit.is_closed() {
                return Err(engine_gone());
            }
            self.acknowledge().await?;
            match self.step(Session::next).await? {
                Next::Batch(batch) => {
                    if let Some((table, rows, total)) = batch.snapshot {
                        self.emit(Emit::Snapshot { table, rows, total: Some(total) }).await?;
                    }
                    self.emit(Emit::Changes { changes: batch.changes, progress: batch.progress }).await?;
                }
                Next::Idle => self.wait().await,
            }
        }
        self.acknowledge().await
    }

    async fn step<T, F>(&mut self, work: F) -> Result<T, SourceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, SourceError> + Send + 'static,
    {
        let mut session = self.session.take().expect("every step brings the session back");
        let (session, done) = blocking(move || {
            let done = work(&mut session);
            (session, done)
        })
        .await?;
        self.session = Some(session);
        done
    }

    async fn acknowledge(&mut self) -> Result<(), SourceError> {
        let durable = self.feed.durable.borrow_and_update().clone();
        if durable == self.acknowledged {
            return Ok(());
        }
        let Some((incarnation, position)) = durable.through.clone() else { return Ok(()) };
        let retained = self
            .step(move |session| {
                if incarnation == *session.incarnation() {
                    session.acknowledge(position)?;
                }
                session.retained()
            })
            .await?;
        self.acknowledged = durable;
        self.emit(Emit::Health { name: "retained_changes", value: retained as f64 }).await
    }

    /// Sends, unless the engine stops: then what was not sent is read again from the durable progress.
    async fn emit(&mut self, emit: Emit) -> Result<(), SourceError> {
        let Feed { emit: sender, stop, .. } = &mut self.feed;
        tokio::select! {
            biased;
            sent = sender.send(emit) => sent.map_err(|_| engine_gone()),
            () = told_to_stop(stop) => Ok(()),
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(self.poll) => {}
            () = told_to_stop(&mut self.feed.stop) => {}
            Ok(()) = self.feed.durable.changed() => {}
            () = self.feed.emit.closed() => {}
        }
    }
}

/// Returns when the engine says stop, and never when it is gone without a word.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn engine_gone() -> SourceError {
    SourceError {
        code: code::SOURCE_UNREACHABLE,
        tried: "hand over changes".to_owned(),
        cause: "the engine no longer takes them".to_owned(),
        remedy: "none needed: the source is run again".to_owned(),
        is_passing: true,
    }
}
