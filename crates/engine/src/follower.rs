//! The follower thread: behind the commits, derives state and publishes the audit log.
//!
//! It reads the log like any reader, so a restart simply goes on from what state and tiles already hold. Its
//! errors stop nothing: the log is the truth, and the next start catches up. They are logged and counted.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use writ_kernel::dispatch::{self, LaneId};
use writ_kernel::settle::Open;
use writ_model::id::{Offset, SubjectId, SubscriberName};
use writ_store::log::{LogReader, Record};
use writ_store::state::{OpenEvent, State};

use crate::audit::AuditWriter;
use crate::hub::Fact;
use crate::hub::lanes::dead_letter_items;
use crate::hub::reader::{ColdReader, SharedVault};
use crate::metric;

/// Bytes read in one step.
const STEP_BYTES: usize = 4 << 20;

/// State is synced this often; what it lags by is applied again after a crash.
const SYNC_EVERY: Duration = Duration::from_secs(2);

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
    pub(crate) names: BTreeMap<String, LaneId>,
    pub(crate) cold: ColdReader,
    pub(crate) vault: SharedVault,
    pub(crate) checkpoint_every: Duration,
}

impl Follower {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let (mut synced, mut published) = (Instant::now(), Instant::now());
        loop {
            let due = self.checkpoint_every.min(SYNC_EVERY);
            let wake = match self.wakes.recv_timeout(due) {
                Ok(wake) => wake,
                Err(RecvTimeoutError::Timeout) => Wake::Grown,
                Err(RecvTimeoutError::Disconnected) => Wake::Stop,
            };
            self.follow();
            match wake {
                Wake::Grown => {}
                Wake::Load { from, limit } => self.load(from, limit),
                Wake::DeadLetters { lane, subject } => self.dead_letters(lane, subject),
                Wake::Stop => return self.finish(),
            }
            if published.elapsed() >= self.checkpoint_every {
                self.publish();
                published = Instant::now();
            }
            if synced.elapsed() >= SYNC_EVERY {
                self.sync();
                synced = Instant::now();
            }
        }
    }

    /// Applies everything that is committed.
    fn follow(&mut self) {
        loop {
            let records = match self.log.read(self.state.applied(), STEP_BYTES) {
                Ok(records) => records,
                Err(error) => return failed("read the log", &error),
            };
            let Some(last) = records.last().map(Record::offset) else { return };
            if let Err(error) = self.audit.take(&records) {
                return failed("write tiles", &error);
            }
            if let Err(error) = self.state.apply(&records, last.next()) {
                return failed("apply to state", &error);
            }
            metric::applied(last.next());
        }
    }

    fn load(&self, from: Offset, limit: usize) {
        let open = self.state.open_events(from, limit + 1).unwrap_or_else(|error| {
            failed("load open events", &error);
            Vec::new()
        });
        let more = open.len() > limit;
        let open = open.into_iter().take(limit).map(|event| self.open(event)).collect();
        let fact = writ_kernel::settle::Fact::Loaded { open, more };
        drop(self.facts.send(Fact::Settle(fact)));
    }

    fn open(&self, event: OpenEvent) -> Open {
        let lanes = self.cold.load(event.offset).map(|event| event.lanes.clone()).unwrap_or_default();
        let lane = |name: &SubscriberName| self.names.get(name.as_str()).copied();
        let settled = event.settled.into_iter().filter_map(|(who, how)| Some((lane(&who)?, how))).collect();
        let OpenEvent { offset, event_id, intent_index, settle_by, .. } = event;
        Open { offset, event_id, intent_index, settle_by, lanes, settled }
    }

    fn dead_letters(&self, lane: LaneId, subject: SubjectId) {
        let name = self.names.iter().find(|(_, id)| **id == lane).map(|(name, _)| name.as_str());
        let items = name.map(|name| dead_letter_items(self.state.as_ref(), &self.cold, name, subject));
        let fact = dispatch::Fact::DeadLettersRead(lane, subject, items.unwrap_or_default());
        drop(self.facts.send(Fact::Dispatch(fact)));
    }

    fn publish(&mut self) {
        if let Err(error) = self.audit.publish() {
            failed("publish a checkpoint", &error);
        }
    }

    fn sync(&self) {
        if let Err(error) = self.state.sync() {
            failed("sync state", &error);
        }
        let synced = self.vault.lock().unwrap_or_else(PoisonError::into_inner).sync();
        if let Err(error) = synced {
            failed("sync last-known states", &error);
        }
    }

    fn finish(mut self) {
        self.follow();
        self.publish();
        self.sync();
    }
}

fn failed(tried: &'static str, error: &dyn std::fmt::Display) {
    metric::follower_error(tried);
    tracing::error!(tried, error = %error, "follower failed; it goes on at the next commit");
}
