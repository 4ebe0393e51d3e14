//! The running engine, as the API and the command line use it.

mod cases;
mod causality;
pub(crate) mod replays;
mod retention;
mod sagas;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
pub use writ_connectors::mailbox::{Consumer, Lease, LeaseId, Mailbox, Refused, Words};
pub use writ_connectors::source::{Intake, IntakeError, PushSource};
pub use writ_connectors::subscriber::ParcelItem;
use writ_model::case::Case;
use writ_model::change::Change;
use writ_model::code;
use writ_model::control::{DeadLetter, Withheld};
use writ_model::delivery::Acknowledgement;
use writ_model::finding::Finding;
use writ_model::guarantee::Promise;
use writ_model::id::{EventId, Offset, SourceName, StoreId, SubjectId, SubscriberName, TenantId};
use writ_model::lineage::{CausalityToken, Standing};
use writ_model::saga::Saga;
use writ_model::taxonomy::ChangeType;
use writ_model::time::Timestamp;
use writ_store::state::State;

use crate::case::Cases;
use crate::error::EngineError;
use crate::hub::command::Command;
use crate::hub::reader::{ColdReader, Unreadable};
use crate::payload::Payloads;
use crate::replay::Recall;
use crate::retention::Keeper;
use crate::saga::Sagas;
use crate::source::SourceStatus;
use crate::writer::{Submission, WriterHandle};

pub(crate) use replays::replay_at_rest;

pub use crate::hub::jobs::ReplayStatus;
pub use crate::hub::replays::{Ordered, ReplayRequest};
pub use crate::replay::Plan;
pub use crate::retention::{RetentionReport, SegmentReport};
pub use crate::writer::Admitted;
pub use cases::{CaseRequest, Said};
pub use causality::{Seen, SeenBy};
pub use retention::HoldRequest;
pub use sagas::SagaRequest;
pub use writ_kernel::case::Step;
pub use writ_kernel::dispatch::replay::Act;

/// How long a push waits for room before it is told to come back.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// One lane, as `writ status` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct LaneStatus {
    /// The subscriber.
    pub subscriber: String,
    /// Its connector.
    pub kind: String,
    /// What it is promised, by change type.
    pub guarantees: BTreeMap<ChangeType, Promise>,
    /// `running`, `paused` or `gone`.
    pub state: &'static str,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Everything below is settled.
    pub watermark: Offset,
    /// Offsets between the watermark and the log's end.
    pub lag: u64,
    /// Events held ready or in retry.
    pub waiting: usize,
    /// Their stored bytes.
    pub bytes: usize,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Subjects parked in the dead letters.
    pub parked_subjects: usize,
    /// Dead letters.
    pub dead_letters: u64,
    /// The last failure's cause.
    pub last_failure: Option<String>,
}

/// One source, as `writ status` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// Its connector.
    pub kind: String,
    /// `pushed` for intake, else the runner's phase.
    pub phase: &'static str,
    /// The durable position.
    pub position: Option<String>,
    /// Rows of the snapshot so far.
    pub snapshot_rows: u64,
    /// The last error.
    pub error: Option<String>,
    /// Health figures.
    pub health: BTreeMap<&'static str, f64>,
}

/// The whole of `writ status`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whose engine.
    pub tenant: TenantId,
    /// The oldest offset that the log holds.
    pub log_start: Offset,
    /// The log's committed end.
    pub log_end: Offset,
    /// What derived state has reached.
    pub state_applied: Offset,
    /// Sources.
    pub sources: Vec<SourceReport>,
    /// Lanes.
    pub subscribers: Vec<LaneStatus>,
    /// Open findings, the worst first.
    pub findings: Vec<Finding>,
    /// Sagas that have not ended.
    pub sagas: Vec<Saga>,
    /// Privacy cases that have not ended.
    pub cases: Vec<Case>,
}

/// One event's life, as `writ trace` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Trace {
    /// Where in the log.
    pub offset: Offset,
    /// Its id.
    pub event_id: EventId,
    /// What it was about.
    pub change_type: String,
    /// What happened.
    pub operation: String,
    /// The source.
    pub source: String,
    /// The subject's internal id.
    pub subject_id: SubjectId,
    /// Number in its slot.
    pub sequence: String,
    /// Number among its subject's events.
    pub subject_sequence: String,
    /// Its logical clock.
    pub lamport: String,
    /// Stale, or concurrent with what was applied before it; absent when newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// When the source committed it.
    pub time: Timestamp,
    /// When Writ admitted it.
    pub recorded_at: Timestamp,
    /// The gate's decision: class, policy, schema.
    pub class: String,
    /// The policy in force.
    pub policy: String,
    /// The schema it fits.
    pub schema: String,
    /// Index of its intent leaf.
    pub intent_index: u64,
    /// The subscribers it was routed to.
    pub routed_to: Vec<String>,
    /// How it settled so far.
    pub acknowledgements: BTreeMap<String, Acknowledgement>,
    /// The payload's key was destroyed.
    pub is_shredded: bool,
}

/// What became of pushed changes.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// In the order of the changes.
    pub admitted: Vec<Admitted>,
    /// Presented with a read, it is not answered from before these changes.
    pub causality: CausalityToken,
}

/// A push source as the intake uses it.
#[derive(Clone)]
pub struct PushEntry {
    /// Its connector.
    pub kind: String,
    /// Decodes requests.
    pub source: Arc<dyn PushSource>,
}

/// The subscribers that are pulled from.
pub(crate) type Mailboxes = BTreeMap<SubscriberName, Arc<Mailbox>>;

/// Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) tenant: TenantId,
    pub(crate) writer: WriterHandle,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) cold: ColdReader,
    pub(crate) recall: Recall,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) sagas: Sagas,
    pub(crate) cases: Cases,
    pub(crate) store: StoreId,
    /// What derived state has reached.
    pub(crate) applied: watch::Receiver<Offset>,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) push: BTreeMap<SourceName, PushEntry>,
    pub(crate) pull: BTreeMap<SourceName, (String, watch::Receiver<SourceStatus>)>,
    pub(crate) subscribers: Vec<SubscriberName>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) replay_rate: NonZeroU32,
    pub(crate) is_stopping: AtomicBool,
}

impl EngineHandle {
    /// A push source by name.
    pub fn push_source(&self, name: &str) -> Option<(SourceName, PushEntry)> {
        let name = SourceName::new(name).ok()?;
        self.shared.push.get(&name).map(|entry| (name.clone(), entry.clone()))
    }

    /// The engine takes changes and operators' acts: it is neither draining nor stopped by an error.
    pub fn is_running(&self) -> bool {
        !self.shared.is_stopping.load(Ordering::Acquire) && !self.shared.writer.work.is_closed()
    }

    /// Hands changes to the writer and waits for the sync. When it returns `Ok`, what was accepted survives a
    /// power cut. After an error all of it may be sent again: what was stored nevertheless is a duplicate then.
    pub async fn submit(&self, source: SourceName, changes: Vec<Change>) -> Result<Submitted, EngineError> {
        if !self.is_running() {
            return Err(busy("the engine is stopping"));
        }
        let (reply, answer) = oneshot::channel();
        let submission = Submission { source, changes, progress: None, reply: Some(reply) };
        let queued = tokio::time::timeout(ROOM_WAIT, self.shared.writer.submit(submission, None)).await;
        queued.map_err(|_| busy("the intake is full"))?;
        let stored = answer.await.map_err(|_| busy("the engine is stopping"))??;
        let causality = CausalityToken { store: self.shared.store, through: stored.through };
        Ok(Submitted { admitted: stored.admitted, causality })
    }

    /// Sources and lanes as they are now.
    pub async fn status(&self) -> Report {
        let (reply, answer) = oneshot::channel();
        drop(self.shared.commands.send(Command::Status(reply)).await);
        Report {
            tenant: self.shared.tenant.clone(),
            log_start: self.shared.cold.start(),
            log_end: self.shared.payloads.end(),
            state_applied: self.shared.state.applied(),
            sources: self.sources(),
            subscribers: answer.await.unwrap_or_default(),
            findings: self.findings().unwrap_or_default(),
            sagas: self.shared.sagas.open.all(),
            cases: self.shared.cases.open.all(),
        }
    }

    fn sources(&self) -> Vec<SourceReport> {
        let pull = self.shared.pull.iter().map(|(name, (kind, status))| {
            let status = status.borrow();
            SourceReport {
                source: name.to_string(),
                kind: kind.clone(),
                phase: status.phase,
                position: status.progress.as_ref().map(|p| p.position.to_string()),
                snapshot_rows: status.snapshot_rows,
                error: status.error.clone(),
                health: status.health.clone(),
            }
        });
        let push = self.shared.push.iter().map(|(name, entry)| SourceReport {
            source: name.to_string(),
            kind: entry.kind.clone(),
            phase: "pushed",
            position: None,
            snapshot_rows: 0,
            error: None,
            health: BTreeMap::new(),
        });
        pull.chain(push).collect()
    }

    /// Pauses (`true`) or resumes a subscriber; false when there is none of this name.
    pub async fn pause(&self, subscriber: &str, is_paused: bool) -> bool {
        let (done, answer) = oneshot::channel();
        let name = subscriber.to_owned();
        let command = if is_paused { Command::Pause(name, done) } else { Command::Resume(name, done) };
        drop(self.shared.commands.send(command).await);
        answer.await.unwrap_or(false)
    }

    /// Redrives one subject's dead letters at one subscriber.
    pub async fn redrive(&self, subscriber: &str, subject: SubjectId, actor: &str) -> bool {
        let (done, answer) = oneshot::channel();
        let (subscriber, actor) = (subscriber.to_owned(), actor.to_owned());
        drop(self.shared.commands.send(Command::Redrive { subscriber, subject, actor, done }).await);
        answer.await.unwrap_or(false)
    }

    /// Discards one subject's dead letters at one subscriber.
    pub async fn discard(&self, subscriber: &str, subject: SubjectId, actor: &str) -> bool {
        let (done, answer) = oneshot::channel();
        let (subscriber, actor) = (subscriber.to_owned(), actor.to_owned());
        drop(self.shared.commands.send(Command::Discard { subscriber, subject, actor, done }).await);
        answer.await.unwrap_or(false)
    }

    /// Open findings, the worst first; a moment behind what was found.
    pub fn findings(&self) -> Result<Vec<Finding>, EngineError> {
        let mut findings = self.shared.state.findings().map_err(state_failed)?;
        findings.sort_by_key(|finding| (finding.severity, finding.opened_at));
        Ok(findings)
    }

    /// The log's committed end.
    pub fn log_end(&self) -> Offset {
        self.shared.payloads.end()
    }

    /// Dead letters of one subscriber.
    pub fn dead_letters(
        &self,
        subscriber: &str,
        after: Option<(SubjectId, Offset)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, EngineError> {
        let name = self.known(subscriber)?;
        self.shared.state.dead_letters(name, after, limit).map_err(state_failed)
    }

    fn known(&self, subscriber: &str) -> Result<&SubscriberName, EngineError> {
        let found = self.shared.subscribers.iter().find(|name| name.as_str() == subscriber);
        found.ok_or_else(|| unknown_subscriber(subscriber))
    }

    /// Names of the configured subscribers.
    pub fn subscribers(&self) -> &[SubscriberName] {
        &self.shared.subscribers
    }

    /// Where the consumers of a subscriber come for its events.
    pub fn mailbox(&self, subscriber: &str) -> Result<&Arc<Mailbox>, EngineError> {
        let name = self.known(subscriber)?;
        self.shared.mailboxes.get(name).ok_or_else(|| not_pulled(subscriber))
    }

    /// Events outside the stream.
    pub fn withheld(&self, after: Option<EventId>, limit: usize) -> Result<Vec<Withheld>, EngineError> {
        self.shared.state.withheld(after, limit).map_err(state_failed)
    }

    /// One event's life.
    pub async fn trace_event(&self, event_id: EventId) -> Result<Option<Trace>, EngineError> {
        let Some(offset) = self.shared.state.find_event(event_id).map_err(state_failed)? else {
            return Ok(None);
        };
        self.trace_offset(offset).await
    }

    /// A subject's events, oldest first.
    pub async fn trace_subject(
        &self,
        subject: SubjectId,
        after: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<Trace>, EngineError> {
        let offsets = self.shared.state.events_of(subject, after, limit).map_err(state_failed)?;
        let mut traces = Vec::with_capacity(offsets.len());
        for offset in offsets {
            traces.extend(self.trace_offset(offset).await?);
        }
        Ok(traces)
    }

    pub(crate) async fn trace_offset(&self, offset: Offset) -> Result<Option<Trace>, EngineError> {
        let event = self.shared.cold.event(offset).await.map_err(|Unreadable| unreadable(offset))?;
        let Some(event) = event else { return Ok(None) };
        let settled = self.shared.state.acknowledgements(offset).map_err(state_failed)?;
        let name = |lane: &writ_kernel::dispatch::LaneId| {
            self.shared.subscribers.get(usize::from(lane.0)).map(ToString::to_string)
        };
        Ok(Some(Trace {
            offset,
            event_id: event.header.event_id,
            change_type: event.header.change_type.to_string(),
            operation: event.header.operation.to_string(),
            source: event.header.source.to_string(),
            subject_id: event.header.subject_id,
            sequence: event.placement.sequence.to_string(),
            subject_sequence: event.placement.ordinals.subject.to_string(),
            lamport: event.placement.ordinals.lamport.to_string(),
            standing: event.header.lineage.as_ref().and_then(|lineage| lineage.standing),
            time: event.header.time,
            recorded_at: event.header.recorded_at,
            class: event.decision.class.to_string(),
            policy: event.decision.policy.0.to_string(),
            schema: event.decision.schema.clone(),
            intent_index: event.intent_index,
            routed_to: event.lanes.iter().filter_map(name).collect(),
            acknowledgements: settled.into_iter().map(|(who, how)| (who.to_string(), how)).collect(),
            is_shredded: event.view().is_none(),
        }))
    }
}

fn busy(cause: &str) -> EngineError {
    EngineError::new(code::INTAKE_BUSY, "store pushed changes", cause, "send the same request again later")
}

pub(crate) fn state_failed(error: writ_store::error::StateError) -> EngineError {
    EngineError::new(
        code::SYNC_FAILED,
        "read derived state",
        error,
        "restart the engine; state is rebuilt from the log",
    )
}

fn unknown_subscriber(name: &str) -> EngineError {
    let tried = format!("find subscriber {name:?}");
    EngineError::new(code::SUBSCRIBER_UNKNOWN, &tried, "not configured", "see `writ status` for the names")
}

fn not_pulled(name: &str) -> EngineError {
    let tried = format!("find the events of subscriber {name:?} to be taken");
    let remedy = "events are sent to it; configure a subscriber of kind `pull` to take them instead";
    EngineError::new(code::NOT_PULLED, &tried, "it is not pulled from", remedy)
}

fn unreadable(offset: Offset) -> EngineError {
    let tried = format!("read the event at offset {offset}");
    EngineError::new(
        code::SYNC_FAILED,
        &tried,
        "log or vault did not give it; see the engine's log",
        "ask again",
    )
}
