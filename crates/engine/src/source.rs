//! Runs one pull source: feeds what it emits to the writer, tells it what is durable, runs it again after a
//! passing error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use writ_connectors::source::{Durable, Emit, Feed, PullSource, SourceError};
use writ_model::code;
use writ_model::control::SourceProgress;
use writ_model::id::SourceName;

use crate::error::EngineError;
use crate::metric;
use crate::writer::{Run, Submission, WriterHandle};

/// Batches between a source and the writer: one that waits for the writer's room and one behind it. Each is as
/// large as a source makes them, and everything that is in them waits in memory.
const EMIT_CAPACITY: usize = 1;

/// Waits between runs after passing errors: doubling from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Numbers runs of pull sources, over all sources.
static NEXT_RUN: AtomicU64 = AtomicU64::new(1);

/// What is known of a source while it runs; for status.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceStatus {
    /// `starting`, `snapshot`, `streaming`, `waiting`, `failed`, `stopped`.
    pub phase: &'static str,
    /// The last durable progress.
    pub progress: Option<SourceProgress>,
    /// Rows of the snapshot so far.
    pub snapshot_rows: u64,
    /// The last error, as printed.
    pub error: Option<String>,
    /// Health figures by name.
    pub health: std::collections::BTreeMap<&'static str, f64>,
}

/// One source and its channels.
pub(crate) struct Runner {
    pub(crate) name: SourceName,
    pub(crate) source: Box<dyn PullSource>,
    pub(crate) writer: WriterHandle,
    pub(crate) status: Arc<watch::Sender<SourceStatus>>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Runner {
    /// Runs until stopped, or until an error that waiting does not mend.
    pub(crate) async fn run(mut self, mut progress: Option<SourceProgress>) {
        let mut wait = FIRST_WAIT;
        loop {
            let (result, durable) = self.once(progress.clone()).await;
            if durable != progress {
                wait = FIRST_WAIT;
                progress = durable;
            }
            let Err(error) = result else {
                self.phase("stopped", None);
                return;
            };
            tracing::error!(source = %self.name, code = error.code.id, error = %error, "source stopped");
            metric::source_error(self.name.as_str(), error.code.id);
            let phase = if error.is_passing { "waiting" } else { "failed" };
            self.phase(phase, Some(error.to_string()));
            if !error.is_passing || self.pause(wait).await {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Waits; true when told to stop.
    async fn pause(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.stop.wait_for(|stop| *stop)).await.is_ok()
    }

    fn phase(&self, phase: &'static str, error: Option<String>) {
        self.status.send_modify(|status| {
            status.phase = phase;
            status.error = error;
        });
    }

    /// One run; also the progress that is durable at its end.
    async fn once(
        &mut self,
        from: Option<SourceProgress>,
    ) -> (Result<(), SourceError>, Option<SourceProgress>) {
        let (emit, emitted) = mpsc::channel(EMIT_CAPACITY);
        let through = from.as_ref().map(|p| (p.incarnation.clone(), p.position));
        let (durable_tx, durable) = watch::channel(Durable { through });
        self.phase("starting", None);
        let feed = Feed { emit, durable, stop: self.stop.clone() };
        let (done, completed) = mpsc::unbounded_channel();
        let number = NEXT_RUN.fetch_add(1, Ordering::Relaxed);
        let run = Run { source: self.name.clone(), number, done };
        let pump = Pump {
            name: self.name.clone(),
            writer: self.writer.clone(),
            status: Arc::clone(&self.status),
            durable: durable_tx,
            last: from.clone(),
        };
        let pumping = pump.run(emitted, run, completed);
        tokio::pin!(pumping);
        let running = self.source.run(from, feed);
        tokio::pin!(running);
        tokio::select! {
            result = &mut running => {
                let (last, refused) = pumping.await;
                (result.and(refused), last)
            }
            (last, refused) = &mut pumping => (refused, last),
        }
    }
}

/// Moves batches from the source to the writer, and durability back.
struct Pump {
    name: SourceName,
    writer: WriterHandle,
    status: Arc<watch::Sender<SourceStatus>>,
    durable: watch::Sender<Durable>,
    last: Option<SourceProgress>,
}

impl Pump {
    /// Runs until the source drops its end and everything it sent is durable, or until a commit of it failed.
    async fn run(
        mut self,
        mut emitted: mpsc::Receiver<Emit>,
        run: Run,
        mut completed: mpsc::UnboundedReceiver<Result<SourceProgress, EngineError>>,
    ) -> (Option<SourceProgress>, Result<(), SourceError>) {
        let mut run = Some(run);
        loop {
            tokio::select! {
                emit = emitted.recv(), if run.is_some() => match emit {
                    Some(emit) => self.pass_on(emit, run.as_ref()).await,
                    None => run = None,
                },
                done = completed.recv() => match done {
                    Some(Ok(progress)) => self.made_durable(progress),
                    Some(Err(error)) => return (self.last, Err(refused(&self.name, error))),
                    None => return (self.last, Ok(())),
                },
            }
        }
    }

    fn made_durable(&mut self, progress: SourceProgress) {
        let through = Some((progress.incarnation.clone(), progress.position));
        self.durable.send_replace(Durable { through });
        self.status.send_modify(|status| {
            status.phase = if progress.snapshot.is_some() { "snapshot" } else { "streaming" };
            status.progress = Some(progress.clone());
        });
        self.last = Some(progress);
    }

    async fn pass_on(&mut self, emit: Emit, run: Option<&Run>) {
        match emit {
            Emit::Changes { changes, progress } => {
                let submission =
                    Submission { source: self.name.clone(), changes, progress: Some(progress), reply: None };
                self.writer.submit(submission, run.cloned()).await;
            }
            Emit::Snapshot { rows, .. } => self.status.send_modify(|status| {
                status.phase = "snapshot";
                status.snapshot_rows = rows;
            }),
            Emit::Health { name, value } => {
                metric::source_health(self.name.as_str(), name, value);
                self.status.send_modify(|status| {
                    status.health.insert(name, value);
                });
            }
        }
    }
}

/// Changes of this source were not stored. Waiting mends a full disk; a mapping is mended by the operator.
fn refused(source: &SourceName, error: EngineError) -> SourceError {
    SourceError {
        is_passing: error.code != code::MAPPING_UNFIT,
        code: error.code,
        tried: format!("store changes of source {source}: {}", error.tried),
        cause: error.cause,
        remedy: error.remedy,
    }
}
