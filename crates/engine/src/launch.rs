//! Puts the workers together: writer, follower, hub, and the channels between them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, mpsc as sync_mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use writ_connectors::subscriber::Sender;
use writ_kernel::admission::{Clock as HybridClock, DRIFT_MAX, Sequencer, node};
use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::dispatch::{self, Dispatch, LaneId};
use writ_kernel::finding::Findings;
use writ_kernel::gate::machine::{Config as GateConfig, Gate};
use writ_kernel::route::Router;
use writ_kernel::settle::Settlement;
use writ_model::id::{Epoch, Offset, SourceName, TenantId};
use writ_model::mapping::Tables;
use writ_policy::Engine as Policy;
use writ_schema::registry::Registry;
use writ_store::log::{Log, LogReader, SegmentLog};
use writ_store::state::State;
use writ_store::vault::TenantSecrets;

use crate::assemble::LanePart;
use crate::audit::AuditWriter;
use crate::case::Cases;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::error::EngineError;
use crate::follower::{Follower, Wake};
use crate::handle::{Mailboxes, PushEntry, Shared};
use crate::hub::express::Lookout;
use crate::hub::jobs::Jobs;
use crate::hub::lanes::{self, Lane, Lanes};
use crate::hub::reader::{ColdReader, SharedVault};
use crate::hub::{Hub, Inbox};
use crate::opened::Store;
use crate::payload::Payloads;
use crate::recovery::{self, failed};
use crate::replay::{self, Recall};
use crate::retention::Keeper;
use crate::retention::janitor::Janitor;
use crate::saga::Sagas;
use crate::sweep::Sweep;
use crate::writer::quota::Quota;
use crate::writer::{FromHub, Pins, Scratch, Taken, Terms, Work, Writer, WriterHandle, random};

/// Commits that the hub may lag behind the writer.
const COMMITS_AHEAD: usize = 64;
/// Operators' requests in the queue.
const COMMANDS: usize = 64;

/// How long the gate waits for a policy verdict.
const POLICY_TIMEOUT: Duration = Duration::from_secs(5);

/// The audit log's name: opaque, stable, one per tenant.
pub(crate) fn origin(tenant: &TenantId) -> String {
    format!("writ.invalid/{tenant}/standard")
}

/// How each source's changes are taken.
fn terms(config: &Config) -> BTreeMap<SourceName, Terms> {
    let terms = |source: &config::Source| Terms { stale: source.stale, dedup_window: source.dedup_window.0 };
    config.sources.iter().map(|(name, source)| (name.clone(), terms(source))).collect()
}

/// How long the pushed changes of each source are remembered.
fn windows(config: &Config) -> Vec<(SourceName, Duration)> {
    config.sources.iter().map(|(name, source)| (name.clone(), source.dedup_window.0)).collect()
}

/// Every channel between the workers, both ends.
pub(crate) struct Wires {
    pub(crate) work: mpsc::UnboundedReceiver<Work>,
    pub(crate) wake: sync_mpsc::Sender<Wake>,
    pub(crate) wakes: sync_mpsc::Receiver<Wake>,
    pub(crate) facts: mpsc::UnboundedSender<crate::hub::Fact>,
    pub(crate) committed: mpsc::Sender<crate::hub::Committed>,
    pub(crate) inbox: Inbox,
    pub(crate) commands: mpsc::Sender<crate::hub::command::Command>,
    pub(crate) hub_stop: watch::Sender<bool>,
}

pub(crate) fn wires() -> (Wires, mpsc::UnboundedSender<Work>) {
    let (work_tx, work) = mpsc::unbounded_channel();
    let (wake, wakes) = sync_mpsc::channel();
    let (facts, facts_rx) = mpsc::unbounded_channel();
    let (committed, committed_rx) = mpsc::channel(COMMITS_AHEAD);
    let (commands, commands_rx) = mpsc::channel(COMMANDS);
    let (hub_stop, stop) = watch::channel(false);
    let inbox = Inbox { facts: facts_rx, committed: committed_rx, commands: commands_rx, stop };
    (Wires { work, wake, wakes, facts, committed, inbox, commands, hub_stop }, work_tx)
}

/// What several workers share.
pub(crate) struct Parts<'a> {
    config: &'a Config,
    clock: Clock,
    origin: String,
    epoch: Epoch,
    secrets: TenantSecrets,
    state: Arc<dyn State>,
    vault: SharedVault,
    router: Arc<Router>,
    payloads: Arc<Payloads>,
    cold: ColdReader,
    recall: Recall,
    keeper: Arc<Keeper>,
    /// What derived state has reached.
    applied: watch::Sender<Offset>,
    pub(crate) handle: WriterHandle,
}

/// What the writer judges changes by.
pub(crate) struct Judges {
    pub(crate) policy: Policy,
    pub(crate) registry: Arc<Registry>,
    pub(crate) mappings: BTreeMap<SourceName, Tables>,
}

impl<'a> Parts<'a> {
    /// Also gives the log back, which only the writer owns, and the audit log, which only the follower does.
    pub(crate) fn new(
        config: &'a Config,
        store: Store,
        (router, judge): (Arc<Router>, Policy),
        work: mpsc::UnboundedSender<Work>,
    ) -> (Self, SegmentLog, AuditWriter) {
        let Store { log, epoch, vault, secrets, state, audit } = store;
        let payloads = Arc::new(Payloads::new(log.end(), config.limits.recent_mib << 20));
        let vault: SharedVault = Arc::new(Mutex::new(Box::new(vault)));
        let cold =
            ColdReader::new(log.reader(), Arc::clone(&vault), Arc::clone(&router), Arc::clone(&payloads));
        let recall = Recall::new(replay::Shared {
            cold: cold.clone(),
            state: Arc::clone(&state),
            router: Arc::clone(&router),
            payloads: Arc::clone(&payloads),
            judge: Mutex::new(judge),
            card_hash_key: secrets.card_hash_key,
        });
        let keeper = Arc::new(Keeper::new(&config.retention, config.subscribers.keys().cloned().collect()));
        crate::metric::begins(log.start());
        let room_max = config.limits.intake_changes;
        let handle = WriterHandle { work, room: Arc::new(Semaphore::new(room_max)), room_max };
        let origin = origin(&config.tenant);
        let clock = Clock::start();
        let applied = watch::Sender::new(state.applied());
        let parts = Self {
            config,
            clock,
            origin,
            epoch,
            secrets,
            state,
            vault,
            router,
            payloads,
            cold,
            recall,
            keeper,
            applied,
            handle,
        };
        (parts, log, audit)
    }

    pub(crate) fn follower(
        &self,
        (log, audit): (&SegmentLog, AuditWriter),
        lanes: &[LanePart],
        wakes: sync_mpsc::Receiver<Wake>,
        facts: mpsc::UnboundedSender<crate::hub::Fact>,
        commands: mpsc::Sender<crate::hub::command::Command>,
    ) -> Follower {
        let names = (0..).zip(lanes).map(|(number, lane)| (lane.name.clone(), LaneId(number)));
        let reader: Box<dyn LogReader> = log.reader();
        Follower {
            log: reader,
            state: Arc::clone(&self.state),
            audit,
            wakes,
            facts,
            names: names.collect(),
            cold: self.cold.clone(),
            sweep: Sweep::new(self.cold.clone()),
            router: Arc::clone(&self.router),
            vault: Arc::clone(&self.vault),
            checkpoint_every: self.config.attest.checkpoint_every.0,
            janitor: Janitor::new(
                Arc::clone(&self.keeper),
                log.reader(),
                self.handle.clone(),
                windows(self.config),
                commands,
            ),
            applied: self.applied.clone(),
            published: Offset::ZERO,
        }
    }

    pub(crate) fn hub(
        &self,
        log: &SegmentLog,
        parts: Vec<LanePart>,
        facts: mpsc::UnboundedSender<crate::hub::Fact>,
    ) -> Result<Hub, EngineError> {
        let recovered = recovery::lanes(&parts, self.state.as_ref(), log.start(), log.end())?;
        let findings = self.state.findings().map_err(|error| failed("read findings", &error))?;
        let replays = recovery::replays(self.state.as_ref())?;
        let last = self.state.last_replay().map_err(|error| failed("count replays", &error))?;
        let key = DeliveryKey::new(self.secrets.delivery_key);
        let sender = Sender { store: key.store_id(), epoch: self.epoch };
        let settings = dispatch::Settings {
            epoch: self.epoch,
            key,
            seed: u64::from_le_bytes(random()?),
            bytes_max: self.config.limits.lanes_mib << 20,
        };
        let mut settle_effects = Vec::new();
        let hub = Hub {
            clock: self.clock,
            dispatch: Dispatch::new(parts.iter().map(lanes::settings).collect(), settings),
            settlement: Settlement::start(&mut settle_effects),
            findings: Findings::default(),
            lanes: Lanes::new(parts.into_iter().map(Lane::from).collect(), Arc::clone(&self.state)),
            jobs: Jobs::new(last),
            recall: self.recall.clone(),
            payloads: Arc::clone(&self.payloads),
            cold: self.cold.clone(),
            writer: self.handle.clone(),
            sender,
            facts,
            waiting: BTreeMap::new(),
            looking: BTreeMap::new(),
            lookout: Lookout {
                cold: self.cold.clone(),
                state: Arc::clone(&self.state),
                applied: self.applied.subscribe(),
            },
            attempts: JoinSet::new(),
            if_lost: HashMap::new(),
            dispatch_effects: Vec::new(),
            settle_effects,
            journal: Vec::new(),
        };
        Ok(hub.start(recovered, replays, findings))
    }

    /// The mailboxes of the lanes that have one, opened under this epoch.
    pub(crate) fn mailboxes(&self, lanes: &[LanePart]) -> Mailboxes {
        let mailbox = |lane: &LanePart| Some((lane.name.clone(), lane.subscriber.mailbox()?));
        let mailboxes: Mailboxes = lanes.iter().filter_map(mailbox).collect();
        mailboxes.values().for_each(|mailbox| mailbox.open(self.epoch));
        mailboxes
    }

    pub(crate) fn shared(
        &self,
        commands: mpsc::Sender<crate::hub::command::Command>,
        push: BTreeMap<SourceName, PushEntry>,
        mailboxes: Mailboxes,
    ) -> Result<Shared, EngineError> {
        let (state, vault) = (self.state.as_ref(), Arc::clone(&self.vault));
        let sagas = Sagas::new(state, vault, self.secrets.event_id_key)?;
        let cases = Cases::new(state, self.config.compliance.clone())?;
        Ok(Shared {
            tenant: self.config.tenant.clone(),
            writer: self.handle.clone(),
            commands,
            state: Arc::clone(&self.state),
            cold: self.cold.clone(),
            recall: self.recall.clone(),
            keeper: Arc::clone(&self.keeper),
            sagas,
            cases,
            store: DeliveryKey::new(self.secrets.delivery_key).store_id(),
            applied: self.applied.subscribe(),
            payloads: Arc::clone(&self.payloads),
            push,
            pull: BTreeMap::new(),
            subscribers: self.config.subscribers.keys().cloned().collect(),
            mailboxes,
            replay_rate: self.config.limits.replay_rate,
            is_stopping: std::sync::atomic::AtomicBool::new(false),
        })
    }

    fn gate(&self, policy: &Policy) -> Gate {
        Gate::new(GateConfig {
            policy_version: policy.version().clone(),
            ask_timeout: POLICY_TIMEOUT,
            card_hash_key: self.secrets.card_hash_key,
        })
    }

    pub(crate) fn writer(
        self,
        log: SegmentLog,
        judges: Judges,
        wake: sync_mpsc::Sender<Wake>,
        committed: mpsc::Sender<crate::hub::Committed>,
    ) -> Result<Writer, EngineError> {
        let sources = judges.mappings.keys();
        let covered = recovery::covered(sources.clone(), self.state.as_ref())?;
        let progress = recovery::progress(sources.clone(), self.state.as_ref())?;
        let accounting = recovery::accounting(sources, self.state.as_ref())?;
        let floor = recovery::clock_floor(&log)?;
        let runtime = tokio::runtime::Handle::current();
        let config = self.config;
        Ok(Writer {
            tenant: config.tenant.clone(),
            clock: self.clock,
            hlc: HybridClock::new(node(config.region.as_ref()), floor.clocks.hlc_millis, DRIFT_MAX),
            lamport: floor.clocks.lamport,
            region: config.region.clone(),
            terms: terms(config),
            began: log.end(),
            latest: floor.latest,
            runtime,
            sequencer: Sequencer::new(|slot| log.tail(slot)),
            gate: self.gate(&judges.policy),
            ticket: 0,
            policy: judges.policy,
            registry: judges.registry,
            mappings: judges.mappings,
            delivery_key: DeliveryKey::new(self.secrets.delivery_key),
            subscribers: config.subscribers.keys().cloned().collect(),
            settle_within: config.attest.settle_within.0,
            quota: Quota::new(&config.store),
            origin: self.origin,
            router: self.router,
            secrets: self.secrets,
            vault: self.vault,
            state: self.state,
            epoch: self.epoch,
            payloads: self.payloads,
            handle: self.handle,
            sweep: Sweep::new(self.cold),
            former: None,
            scratch: Scratch::default(),
            log: Box::new(log),
            covered,
            progress,
            accounting,
            taken: Taken::default(),
            failed_runs: BTreeMap::new(),
            carried: FromHub::default(),
            due: VecDeque::new(),
            late_loads: Vec::new(),
            pins: Pins::default(),
            wake,
            committed,
        })
    }
}
