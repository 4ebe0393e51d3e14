//! Starts the engine and stops it in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use writ_model::code;
use writ_store::state::State;

pub use writ_connectors::secret::Secrets;

use crate::assemble::{self, Assembled, Pull};
use crate::config::Config;
use crate::error::EngineError;
use crate::handle::EngineHandle;
use crate::launch::{Judges, Parts, wires};
use crate::opened::{self, Store};
use crate::recovery::failed;
use crate::source::{Runner, SourceStatus};
use crate::writer::{Work, WriterHandle};

/// A running engine.
pub struct Running {
    /// For the API.
    pub handle: EngineHandle,
    stop: watch::Sender<bool>,
    sources: JoinSet<()>,
    hub: tokio::task::JoinHandle<()>,
    hub_stop: watch::Sender<bool>,
    writer: WriterHandle,
    threads: Vec<JoinHandle<()>>,
    failure: mpsc::UnboundedReceiver<EngineError>,
}

/// Opens everything and starts. On an error nothing runs.
pub async fn start(config: Config, secrets: &Secrets) -> Result<Running, EngineError> {
    let assembled = assemble::assemble(&config, secrets).map_err(first)?;
    let store = {
        let config = config.clone();
        let opened = tokio::task::spawn_blocking(move || opened::open(&config)).await;
        opened.map_err(|error| failed("open the store", &error))??
    };
    launch(&config, assembled, store)
}

/// `writ check` shows all of them; a start stops at the first.
fn first(mut errors: Vec<EngineError>) -> EngineError {
    for error in errors.iter().skip(1) {
        tracing::error!(code = error.code.id, error = %error, "configuration");
    }
    errors.swap_remove(0)
}

fn launch(config: &Config, assembled: Assembled, store: Store) -> Result<Running, EngineError> {
    let Assembled { pull, push, lanes, router, registry, policy, recall, mappings, policy_test_failures: _ } =
        assembled;
    for lane in &lanes {
        for fallback in &lane.fallbacks {
            tracing::warn!(subscriber = %lane.name, fallback, "at-least-once stands in for a default guarantee");
        }
    }
    let (wires, work) = wires();
    let state = Arc::clone(&store.state);
    let (parts, log, audit) = Parts::new(config, store, (router, recall), work);
    let commands = wires.commands.clone();
    let follower = parts.follower((&log, audit), &lanes, wires.wakes, wires.facts.clone(), commands);
    let mailboxes = parts.mailboxes(&lanes);
    let hub = parts.hub(&log, lanes, wires.facts)?;
    let shared = parts.shared(wires.commands, push, mailboxes)?;
    let handle = parts.handle.clone();
    let writer = parts.writer(log, Judges { policy, registry, mappings }, wires.wake, wires.committed)?;
    let (failed, failure) = mpsc::unbounded_channel();
    let alarm = |worker| Alarm { worker, failed: failed.clone(), is_armed: true };
    let (of_writer, of_follower, of_hub) = (alarm("the writer"), alarm("the follower"), alarm("the hub"));
    let threads = vec![
        spawn("writ-writer", move || of_writer.watch(writer.run(wires.work)))?,
        spawn("writ-follower", move || of_follower.watch(follower.run()))?,
    ];
    let hub = async move {
        hub.run(wires.inbox).await;
        of_hub.watch(Ok(()));
    };
    let mut running = Running {
        handle: EngineHandle { shared: Arc::new(shared) },
        stop: watch::Sender::new(false),
        sources: JoinSet::new(),
        hub: tokio::spawn(hub),
        hub_stop: wires.hub_stop,
        writer: handle,
        threads,
        failure,
    };
    running.start_sources(pull, state.as_ref())?;
    Ok(running)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| failed(&format!("start thread {name}"), &error))
}

/// Tells that a worker ended which should not have: with an error, or, being dropped unheard, by a panic.
struct Alarm {
    worker: &'static str,
    failed: mpsc::UnboundedSender<EngineError>,
    is_armed: bool,
}

impl Alarm {
    fn watch(mut self, result: Result<(), EngineError>) {
        self.is_armed = false;
        if let Err(error) = result {
            tracing::error!(code = error.code.id, error = %error, "{} stopped", self.worker);
            drop(self.failed.send(error));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.is_armed {
            let cause = format!("{} ended unexpectedly", self.worker);
            let remedy = "start it again: it recovers from the log; then report this";
            drop(self.failed.send(EngineError::new(code::SYNC_FAILED, "run the engine", cause, remedy)));
        }
    }
}

impl Running {
    fn start_sources(&mut self, pull: Vec<Pull>, state: &dyn State) -> Result<(), EngineError> {
        let mut reports = BTreeMap::new();
        for Pull { name, kind, source } in pull {
            let progress = state.source(&name).map_err(|error| failed("read source progress", &error))?;
            let status =
                Arc::new(watch::Sender::new(SourceStatus { phase: "starting", ..Default::default() }));
            reports.insert(name.clone(), (kind, status.subscribe()));
            let runner =
                Runner { name, source, writer: self.writer.clone(), status, stop: self.stop.subscribe() };
            self.sources.spawn(runner.run(progress));
        }
        let shared = Arc::get_mut(&mut self.handle.shared);
        shared.expect("the handle is not shared before the start has returned").pull = reports;
        self.sources.spawn(crate::saga::drive(self.handle.clone(), self.stop.subscribe()));
        self.sources.spawn(crate::case::drive(self.handle.clone(), self.stop.subscribe()));
        Ok(())
    }

    /// Waits until a worker stops that should not; for ever when none does.
    pub async fn failed(&mut self) -> EngineError {
        match self.failure.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Drains: sources stop, attempts in flight end, everything queued is committed, state and audit log are
    /// published.
    pub async fn stop(mut self) {
        self.handle.shared.is_stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
        while self.sources.join_next().await.is_some() {}
        self.hub_stop.send_replace(true);
        drop(self.hub.await);
        self.writer.send(Work::Stop);
        let joined = tokio::task::spawn_blocking(move || {
            self.threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        drop(joined.await);
    }
}

/// Bytes that the log in a store takes on disk.
pub fn log_bytes(store: &Path) -> Result<u64, EngineError> {
    crate::writer::quota::used(&store.join("log")).map_err(|error| failed("read the log's folder", &error))
}
