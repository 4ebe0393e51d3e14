//! Starts the engine: opens the store, catches up, starts writer, follower, hub and sources; stops them in
//! order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc as sync_mpsc};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use writ_connectors::secret::Secrets;
use writ_kernel::admission::{Clock as HybridClock, DRIFT_MAX, Sequencer};
use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::dispatch::{self, Dispatch, LaneId};
use writ_kernel::gate::machine::{Config as GateConfig, Gate};
use writ_kernel::settle::Settlement;
use writ_model::code;
use writ_model::id::TenantId;
use writ_store::disk::RealDisk;
use writ_store::log::{Log, Opened, Options, SegmentLog};
use writ_store::state::{FjallState, State};
use writ_store::vault::{FjallVault, Master, TenantSecrets};

use crate::assemble::{self, Assembled, Pull};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::EngineError;
use crate::follower::{Follower, Wake};
use crate::handle::{EngineHandle, Shared};
use crate::hub::lanes::{self, Lane, Lanes};
use crate::hub::reader::{ColdReader, SharedVault};
use crate::hub::{Hub, Inbox};
use crate::payload::Payloads;
use crate::audit::AuditWriter;
use crate::recovery::{self, failed};
use crate::source::{Runner, SourceStatus};
use crate::writer::quota::Quota;
use crate::writer::{Work, Writer, WriterHandle, random};

/// Commits that the hub may lag behind the writer.
const COMMITS_AHEAD: usize = 64;
/// Operators' requests in the queue.
const COMMANDS: usize = 64;

/// The opened store.
struct Store {
    log: SegmentLog,
    epoch: writ_model::id::Epoch,
    vault: FjallVault,
    secrets: TenantSecrets,
    state: Arc<dyn State>,
}

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
    failure: oneshot::Receiver<EngineError>,
}

/// Opens everything and starts. On an error nothing runs.
pub async fn start(config: Config, secrets: &Secrets) -> Result<Running, EngineError> {
    let assembled = assemble::assemble(&config, secrets).map_err(first)?;
    let store = {
        let config = config.clone();
        let opened = tokio::task::spawn_blocking(move || open(&config)).await;
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

fn open(config: &Config) -> Result<Store, EngineError> {
    let path = &config.store.path;
    std::fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
    let options = Options { segment_bytes: u64::from(config.store.segment_mib) << 20, ..Options::default() };
    let opened = SegmentLog::open(Arc::new(RealDisk), &path.join("log"), options);
    let Opened { log, recovery } = opened.map_err(|error| EngineError::from_read(&error, path))?;
    if let Some(torn) = &recovery.torn {
        tracing::warn!(segment = torn.segment, at = torn.at, "a torn last commit was cut off; it was never acknowledged");
    }
    let vault = FjallVault::open(&path.join("vault"), writ_store::vault::Open { master: Master::File });
    let mut vault = vault.map_err(|error| {
        EngineError::new(error.code(), "open the key vault", &error, "restore vault and master key from the same backup")
    })?;
    let state = FjallState::open(&path.join("state")).map_err(|error| {
        EngineError::new(error.code(), "open derived state", &error, "stop the other engine, or remove the state folder: it is rebuilt")
    })?;
    let secrets = vault.tenant_secrets().clone();
    let mut reader = log.reader();
    recovery::catch_up_state(&state, reader.as_mut())?;
    recovery::catch_up_vault(&mut vault, &secrets, reader.as_mut())?;
    Ok(Store { log, epoch: recovery.epoch, vault, secrets, state: Arc::new(state) })
}

fn unwritable(path: &Path, error: &std::io::Error) -> EngineError {
    let tried = format!("create {}", path.display());
    EngineError::new(code::STORE_READ_ONLY, &tried, error, "choose a folder that this user may write")
}

/// Channels that only the start needs all of.
struct Wires {
    work: mpsc::UnboundedReceiver<Work>,
    wake: sync_mpsc::Sender<Wake>,
    wakes: sync_mpsc::Receiver<Wake>,
    facts: mpsc::UnboundedSender<crate::hub::Fact>,
    committed: mpsc::Sender<crate::hub::Committed>,
    inbox: Inbox,
    commands: mpsc::Sender<crate::hub::command::Command>,
    hub_stop: watch::Sender<bool>,
}

fn wires() -> (Wires, mpsc::UnboundedSender<Work>) {
    let (work_tx, work) = mpsc::unbounded_channel();
    let (wake, wakes) = sync_mpsc::channel();
    let (facts, facts_rx) = mpsc::unbounded_channel();
    let (committed, committed_rx) = mpsc::channel(COMMITS_AHEAD);
    let (commands, commands_rx) = mpsc::channel(COMMANDS);
    let (hub_stop, stop) = watch::channel(false);
    let inbox = Inbox { facts: facts_rx, committed: committed_rx, commands: commands_rx, stop };
    (Wires { work, wake, wakes, facts, committed, inbox, commands, hub_stop }, work_tx)
}

fn launch(config: &Config, assembled: Assembled, store: Store) -> Result<Running, EngineError> {
    let (wires, work) = wires();
    let room_max = config.limits.intake_changes;
    let writer = WriterHandle { work, room: Arc::new(Semaphore::new(room_max)), room_max };
    let clock = Clock::start();
    let payloads = Arc::new(Payloads::new(store.log.end(), config.limits.recent_mib << 20));
    let origin = origin(&config.tenant);
    let audit = AuditWriter::open(&config.store.path, &origin, &store.secrets, &store.log)?;
    let recovered = recovery::lanes(&assembled.lanes, store.state.as_ref(), store.log.start())?;
    let floor = recovery::clock_floor(&store.log)?;
    let replays = store.state.replays().map_err(|error| failed("read replays", &error))?;
    let vault: SharedVault = Arc::new(Mutex::new(Box::new(store.vault)));
    let cold = ColdReader::new(
        store.log.reader(),
        Arc::clone(&vault),
        Arc::clone(&assembled.router),
        Arc::clone(&payloads),
    );
    let names = (0..).zip(&assembled.lanes).map(|(number, lane)| (lane.name.to_string(), LaneId(number)));
    let follower = Follower {
        log: store.log.reader(),
        state: Arc::clone(&store.state),
        audit,
        wakes: wires.wakes,
        facts: wires.facts.clone(),
        names: names.collect(),
        cold: cold.clone(),
        vault: Arc::clone(&vault),
        checkpoint_every: config.attest.checkpoint_every.0,
    };
    let settings = dispatch::Settings {
        epoch: store.epoch,
        key: DeliveryKey::new(store.secrets.delivery_key),
        seed: u64::from_le_bytes(random()?),
        bytes_max: config.limits.lanes_mib << 20,
    };
    let lane_configs = assembled.lanes.iter().map(lanes::settings).collect();
    let mut settle_effects = Vec::new();
    let hub = Hub {
        clock,
        dispatch: Dispatch::new(lane_configs, settings),
        settlement: Settlement::start(&mut settle_effects),
        lanes: Lanes::new(assembled.lanes.into_iter().map(Lane::from).collect(), Arc::clone(&store.state)),
        payloads: Arc::clone(&payloads),
        cold: cold.clone(),
        writer: writer.clone(),
        facts: wires.facts,
        waiting: BTreeMap::new(),
        attempts: JoinSet::new(),
        dispatch_effects: Vec::new(),
        settle_effects,
        journal: Vec::new(),
    };
    let hub = hub.start(recovered, &replays);
    let shared = Shared {
        tenant: config.tenant.clone(),
        writer: writer.clone(),
        commands: wires.commands,
        state: Arc::clone(&store.state),
        cold: cold.clone(),
        payloads: Arc::clone(&payloads),
        push: assembled.push,
        pull: BTreeMap::new(),
        subscribers: config.subscribers.keys().cloned().collect(),
    };
    let log: Box<dyn Log> = Box::new(store.log);
    let gate = GateConfig {
        policy_version: assembled.policy.version().clone(),
        ask_timeout: POLICY_TIMEOUT,
        card_hash_key: store.secrets.card_hash_key,
    };
    let delivery_key = DeliveryKey::new(store.secrets.delivery_key);
    let sources = assembled.mappings.keys();
    let covered = recovery::covered(sources.clone(), store.state.as_ref())?;
    let accounting = recovery::accounting(sources, store.state.as_ref())?;
    let thread = Writer {
        tenant: config.tenant.clone(),
        origin,
        clock,
        hlc: HybridClock::new(NODE, floor, DRIFT_MAX),
        sequencer: Sequencer::new(|slot| log.tail(slot)),
        gate: Gate::new(gate),
        ticket: 0,
        policy: assembled.policy,
        registry: assembled.registry,
        router: assembled.router,
        mappings: assembled.mappings,
        secrets: store.secrets,
        vault,
        state: Arc::clone(&store.state),
        log,
        epoch: store.epoch,
        payloads,
        settle_within: config.attest.settle_within.0,
        quota: Quota::new(&config.store.path.join("log"), config.store.log_bytes_max),
        covered,
        taken: BTreeMap::new(),
        accounting,
        delivery_key,
        subscribers: config.subscribers.keys().cloned().collect(),
        failed_runs: std::collections::BTreeSet::new(),
        carried: Vec::new(),
        carried_leaves: Vec::new(),
        wake: wires.wake,
        committed: wires.committed,
        handle: writer.clone(),
        cold,
    };
    let (failed_tx, failure) = oneshot::channel();
    let threads = vec![
        spawn("writ-writer", move || report(thread.run(wires.work), failed_tx))?,
        spawn("writ-follower", move || follower.run())?,
    ];
    let hub = tokio::spawn(hub.run(wires.inbox));
    let stop = watch::Sender::new(false);
    let mut running = Running {
        handle: EngineHandle { shared: Arc::new(shared) },
        stop,
        sources: JoinSet::new(),
        hub,
        hub_stop: wires.hub_stop,
        writer,
        threads,
        failure,
    };
    running.start_sources(assembled.pull, store.state.as_ref())?;
    Ok(running)
}

/// The clock's node number; one engine per store, so one node.
const NODE: u16 = 0;

/// How long the gate waits for a policy verdict.
const POLICY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// The audit log's name: opaque, stable, one per tenant.
fn origin(tenant: &TenantId) -> String {
    format!("writ.invalid/{tenant}/standard")
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| failed(&format!("start thread {name}"), &error))
}

fn report(result: Result<(), EngineError>, failed: oneshot::Sender<EngineError>) {
    if let Err(error) = result {
        tracing::error!(code = error.code.id, error = %error, "the writer stopped");
        drop(failed.send(error));
    }
}

impl Running {
    fn start_sources(&mut self, pull: Vec<Pull>, state: &dyn State) -> Result<(), EngineError> {
        let mut reports = BTreeMap::new();
        for Pull { name, kind, source } in pull {
            let progress = state.source(&name).map_err(|error| failed("read source progress", &error))?;
            let status = Arc::new(watch::Sender::new(SourceStatus { phase: "starting", ..Default::default() }));
            reports.insert(name.clone(), (kind, status.subscribe()));
            let runner =
                Runner { name, source, writer: self.writer.clone(), status, stop: self.stop.subscribe() };
            self.sources.spawn(runner.run(progress));
        }
        let shared = Arc::get_mut(&mut self.handle.shared);
        shared.expect("the handle is not shared before the start has returned").pull = reports;
        Ok(())
    }

    /// Waits until the writer stops with an error; for ever when it does not.
    pub async fn failed(&mut self) -> EngineError {
        match (&mut self.failure).await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }

    /// Drains: sources stop, attempts in flight end, everything queued is committed, state and audit log are
    /// published.
    pub async fn stop(mut self) {
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
