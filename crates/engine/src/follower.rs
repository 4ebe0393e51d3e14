//! The follower thread: behind the commits, derives state and publishes the audit log.
//!
//! It reads the log like any reader, so a restart simply goes on from what state and tiles already hold. An
//! error stops nothing at first: the log is the truth, and what was asked for is answered when it is caught up.
//! One that stays ends the engine, for only a new opening of state and audit log mends that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use writ_kernel::dispatch::{self, LaneId};
use writ_kernel::route::Router;
use writ_kernel::settle::{self, Open};
use writ_model::code::{self, Code};
use writ_model::id::{Offset, SubjectId, SubscriberName};
use writ_store::log::{LogReader, Record};
use writ_store::state::{OpenEvent, State};

use crate::audit::AuditWriter;
use crate::error::EngineError;
use crate::hub::Fact;
use crate::hub::lanes::{dead_letter_items, wanted};
use crate::hub::reader::{ColdReader, SharedVault, Unreadable};
use crate::metric;
use crate::retention::janitor::Janitor;
use crate::sweep::Sweep;

/// Bytes read in one step.
const STEP_BYTES: usize = 4 << 20;

/// It looks at the log no more often than this when nothing wakes it.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// State is synced this often; what it lags by is applied again after a crash.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// Failing for so long, the follower gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What wakes the follower.
pub(crate) enum Wake {
    /// The log grew.
    Grown,
    /// Settlement wants open events; everything journaled before this wake is committed.
    Load { from: Offset, limit: usize },
    /// A lane wants one subject's dead letters; likewise.
    DeadLetters { lane: LaneId, subject: SubjectId },
    /// Finish: apply all, publish, sync.
    Stop,
}

/// Owns the audit log's directory; shares the state.
pub(crate) struct Follower {
    pub(crate) log: Box<dyn LogReader>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) audit: AuditWriter,
    pub(crate) wakes: Receiver<Wake>,
    pub(crate) facts: tokio::sync::mpsc::UnboundedSender<Fact>,
    pub(crate) names: BTreeMap<SubscriberName, LaneId>,
    pub(crate) cold: ColdReader,
    pub(crate) sweep: Sweep,
    pub(crate) router: Arc<Router>,
    pub(crate) vault: SharedVault,
    pub(crate) checkpoint_every: Duration,
    pub(crate) janitor: Janitor,
    /// Tells what derived state has reached.
    pub(crate) applied: watch::Sender<Offset>,
    /// Everything below is in a published checkpoint.
    pub(crate) published: Offset,
}

impl Follower {
    /// Runs until told to stop, or until it has failed for too long.
    pub(crate) fn run(mut self) -> Result<(), EngineError> {
        let (mut synced, mut published) = (Instant::now(), Instant::now());
        let mut asked = VecDeque::new();
        let mut failing: Option<Instant> = None;
        loop {
            let wake = self.wait();
            let is_last = matches!(wake, Wake::Stop);
            if matches!(wake, Wake::Load { .. } | Wake::DeadLetters { .. }) {
                asked.push_back(wake);
            }
            let mut result = self.follow().and_then(|()| self.answer(&mut asked));
            if is_last || published.elapsed() >= self.checkpoint_every {
                result = result.and(self.publish());
                published = Instant::now();
            }
            if is_last || synced.elapsed() >= SYNC_EVERY {
                result = result.and(self.sync());
                synced = Instant::now();
            }
            match result {
                Ok(()) => failing = None,
                Err(Failed(error)) if failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE => {
                    return Err(error);
                }
                Err(Failed(error)) => {
                    tracing::error!(code = error.code.id, error = %error, "follower failed")
                }
            }
            if is_last {
                return Ok(());
            }
            self.janitor.step(self.state.as_ref());
        }
    }

    fn wait(&self) -> Wake {
        match self.wakes.recv_timeout(self.checkpoint_every.clamp(SHORTEST_WAIT, SYNC_EVERY)) {
            Ok(wake) => wake,
            Err(RecvTimeoutError::Timeout) => Wake::Grown,
            Err(RecvTimeoutError::Disconnected) => Wake::Stop,
        }
    }

    /// Applies everything that is committed.
    fn follow(&mut self) -> Result<(), Failed> {
        loop {
            let read = self.log.read(self.state.applied(), STEP_BYTES);
            let records = read.map_err(|error| Failed::when("read the log", error.code(), &error))?;
            let Some(last) = records.last().map(Record::offset) else { return Ok(()) };
            let taken = self.audit.take(&records);
            taken.map_err(|error| Failed::when("write the audit log", error.code(), &error))?;
            let applied = self.state.apply(&records, last.next());
            applied.map_err(|error| Failed::when("apply the log to state", error.code(), &error))?;
            metric::applied(last.next());
            self.applied.send_replace(last.next());
        }
    }

    /// Answers what was asked, in order. Only when all that is committed is applied: an answer out of stale
    /// or unreadable state would pass for the whole truth.
    fn answer(&mut self, asked: &mut VecDeque<Wake>) -> Result<(), Failed> {
        while let Some(wake) = asked.front() {
            let fact = match wake {
                Wake::Load { from, limit } => Fact::Settle(self.load(*from, *limit)?),
                Wake::DeadLetters { lane, subject } => Fact::Dispatch(self.dead_letters(*lane, *subject)?),
                Wake::Grown | Wake::Stop => unreachable!("nothing is asked"),
            };
            drop(self.facts.send(fact));
            asked.pop_front();
        }
        Ok(())
    }

    fn load(&mut self, from: Offset, limit: usize) -> Result<settle::Fact, Failed> {
        let found = self.state.open_events(from, limit + 1);
        let found = found.map_err(|error| Failed::when("load open events", error.code(), &error))?;
        let more = found.len() > limit;
        let mut open = Vec::with_capacity(found.len().min(limit));
        for event in found.into_iter().take(limit) {
            open.push(self.open(event)?);
        }
        Ok(settle::Fact::Loaded { open, more })
    }

    fn open(&mut self, event: OpenEvent) -> Result<Open, Failed> {
        let stored = self.sweep.event(event.offset).map_err(|Unreadable| Failed::unreadable())?;
        let lanes =
            stored.map(|passed| wanted(&self.router, &passed.header, passed.class)).unwrap_or_default();
        let settled = event.settled.into_iter().filter_map(|(who, how)| Some((*self.names.get(&who)?, how)));
        let settled = settled.collect();
        let OpenEvent { offset, event_id, intent_index, settle_by, .. } = event;
        Ok(Open { offset, event_id, intent_index, settle_by, lanes, settled })
    }

    fn dead_letters(&self, lane: LaneId, subject: SubjectId) -> Result<dispatch::Fact, Failed> {
        let name = self.names.iter().find(|(_, id)| **id == lane).map(|(name, _)| name);
        let name = name.expect("lanes that park have a configured subscriber");
        let items = dead_letter_items(self.state.as_ref(), &self.cold, name, subject);
        let items = items.map_err(|Unreadable| Failed::unreadable())?;
        Ok(dispatch::Fact::DeadLettersRead(lane, subject, items))
    }

    fn publish(&mut self) -> Result<(), Failed> {
        let applied = self.state.applied();
        let published = self.audit.publish();
        published.map_err(|error| Failed::when("publish a checkpoint", error.code(), &error))?;
        self.published = applied;
        Ok(())
    }

    fn sync(&self) -> Result<(), Failed> {
        let applied = self.state.applied();
        let synced = self.state.sync();
        synced.map_err(|error| Failed::when("sync state", error.code(), &error))?;
        let mut vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = vault.remembered();
        let synced = vault.sync();
        drop(vault);
        synced.map_err(|error| Failed::when("sync last-known states", error.code(), &error))?;
        self.janitor.durable(applied.min(remembered).min(self.published));
        Ok(())
    }
}

/// One step failed; counted.
struct Failed(EngineError);

impl Failed {
    fn when(tried: &'static str, code: Code, error: &dyn std::fmt::Display) -> Self {
        metric::follower_error(tried);
        let remedy = "check the disk; if it stays, start the engine again: it catches up from the log";
        Self(EngineError::new(code, tried, error, remedy))
    }

    fn unreadable() -> Self {
        Self::when("read an event", code::SYNC_FAILED, &"log or vault did not give it; see above")
    }
}
