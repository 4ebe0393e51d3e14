//! The writer's loop: take what is queued, build a commit, append it, and only then move lasting state on and
//! tell everybody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use writ_kernel::admission::{self, Clock as HybridClock, Sequencer};
use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::gate::machine::Gate;
use writ_kernel::route::Router;
use writ_model::control::{Covered, SourceProgress};
use writ_model::id::{Epoch, Offset, Region, SourceName, SubscriberName, TenantId};
use writ_model::lineage::Lamport;
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_policy::Engine as Policy;
use writ_schema::registry::Registry;
use writ_store::error::AppendError;
use writ_store::log::Log;
use writ_store::state::{Nearby, State};
use writ_store::vault::{TenantSecrets, Vault};

use super::batch::{Batch, Deferred, FromHub, Reply, Waiter};
use super::failure::{append_failed, is_passing, misfit, vault_failed};
use super::finals::Scratch;
use super::quota::Quota;
use super::taken::Taken;
use super::weight::weight;
use super::{Admitted, CHANGES_PER_COMMIT, Due, Run, Stored, Submission, Terms, Work, WriterHandle};
use crate::clock::{self, Clock};
use crate::error::EngineError;
use crate::follower::Wake;
use crate::hub::Committed;
use crate::hub::reader::SharedVault;
use crate::metric;
use crate::payload::Payloads;
use crate::sweep::Sweep;

/// What the hub asked for in a commit that was refused is tried again after this, though nothing else comes.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the hub journals waits so long for changes that it can be committed with: a commit of its own would hold
/// up those that come while it is synced. Far less than what a lane gathers before it tells.
const FOR_COMPANY: Duration = Duration::from_millis(10);

/// Final leaves of one commit, or an eighth of those that are due when there are many: when a subscriber that was dead
/// catches up, thousands are due at once, and changes must not wait for all of them.
const FINALS_PER_COMMIT: usize = 256;
const FINALS_SHARE: usize = 8;

/// With more final leaves waiting, no further open events are loaded: each waits with how it settled at every
/// subscriber, and a subscriber that catches up settles them faster than they are written.
const DUE_MAX: usize = 4096;

/// Everything the writer owns or reads.
pub(crate) struct Writer {
    pub(crate) tenant: TenantId,
    pub(crate) origin: String,
    pub(crate) clock: Clock,
    pub(crate) hlc: HybridClock,
    /// The last logical clock value.
    pub(crate) lamport: Lamport,
    /// Where these changes enter, where that is configured.
    pub(crate) region: Option<Region>,
    pub(crate) sequencer: Sequencer,
    pub(crate) gate: Gate,
    pub(crate) ticket: u64,
    pub(crate) policy: Policy,
    pub(crate) registry: Arc<Registry>,
    pub(crate) router: Arc<Router>,
    pub(crate) mappings: BTreeMap<SourceName, Tables>,
    /// How changes are taken, by source.
    pub(crate) terms: BTreeMap<SourceName, Terms>,
    pub(crate) secrets: TenantSecrets,
    pub(crate) delivery_key: DeliveryKey,
    pub(crate) subscribers: Vec<SubscriberName>,
    pub(crate) vault: SharedVault,
    pub(crate) state: Arc<dyn State>,
    pub(crate) log: Box<dyn Log>,
    pub(crate) epoch: Epoch,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) settle_within: Duration,
    pub(crate) quota: Quota,
    pub(crate) covered: BTreeMap<SourceName, Covered>,
    /// How far each source is durable.
    pub(crate) progress: BTreeMap<SourceName, SourceProgress>,
    pub(crate) taken: Taken,
    pub(crate) accounting: BTreeMap<SourceName, u64>,
    /// The last run of each source of which something was refused.
    pub(crate) failed_runs: BTreeMap<SourceName, u64>,
    pub(crate) carried: FromHub,
    /// Events whose final leaves wait for a commit.
    pub(crate) due: VecDeque<Due>,
    /// Loads that wait until fewer final leaves do: each brings more of them.
    pub(crate) late_loads: Vec<Deferred>,
    pub(crate) pins: super::Pins,
    /// The log's end when this run began.
    pub(crate) began: Offset,
    /// The latest time that was written: leaves and events never go back behind it.
    pub(crate) latest: Timestamp,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) wake: Sender<Wake>,
    pub(crate) committed: mpsc::Sender<Committed>,
    pub(crate) handle: WriterHandle,
    pub(crate) sweep: Sweep,
    /// How the events near the last one that an earlier run left open settled at former subscribers.
    pub(crate) former: Option<Nearby>,
    pub(crate) scratch: Scratch,
}

impl Writer {
    /// Runs until told to stop, or until an error that only a restart mends.
    pub(crate) fn run(mut self, work: mpsc::UnboundedReceiver<Work>) -> Result<(), EngineError> {
        let result = self.work_off(work);
        // Nobody gives room back any more: who waits for it would wait for ever.
        self.handle.room.close();
        result
    }

    fn work_off(&mut self, mut work: mpsc::UnboundedReceiver<Work>) -> Result<(), EngineError> {
        while let Some(first) = self.next(&mut work) {
            let mut batch = Batch::default();
            let mut next = Some(first);
            let mut is_last = false;
            let until = Instant::now() + FOR_COMPANY;
            while let Some(work_item) = next {
                is_last |= matches!(work_item, Work::Stop);
                self.take(&mut batch, work_item)?;
                next = if is_last { work.try_recv().ok() } else { self.more(&batch, &mut work, until) };
            }
            self.commit(batch)?;
            if is_last {
                while !self.due.is_empty() {
                    self.commit(Batch::default())?;
                }
                drop(self.wake.send(Wake::Stop));
                return Ok(());
            }
        }
        Ok(())
    }

    /// What else goes into a commit: what is queued, and while nobody waits for it, what comes in time.
    fn more(&self, batch: &Batch, work: &mut mpsc::UnboundedReceiver<Work>, until: Instant) -> Option<Work> {
        if batch.load >= CHANGES_PER_COMMIT {
            return None;
        }
        let queued = work.try_recv().ok();
        if queued.is_some() || !batch.may_wait() || self.due.len() > FINALS_PER_COMMIT {
            return queued;
        }
        let more = async { tokio::time::timeout_at(until.into(), work.recv()).await };
        self.runtime.block_on(more).ok().flatten()
    }

    /// The next work; no work when final leaves are due, or after a while when something waits to be committed
    /// again.
    fn next(&self, work: &mut mpsc::UnboundedReceiver<Work>) -> Option<Work> {
        if self.carried.is_empty() && self.due.is_empty() {
            return work.blocking_recv();
        }
        if self.carried.is_empty() {
            return Some(work.try_recv().unwrap_or_else(|_| Work::Facts(Vec::new())));
        }
        let next = async { tokio::time::timeout(AGAIN_AFTER, work.recv()).await };
        self.runtime.block_on(next).unwrap_or_else(|_| Some(Work::Facts(Vec::new())))
    }

    pub(super) fn take(&mut self, batch: &mut Batch, work: Work) -> Result<(), EngineError> {
        match work {
            Work::Changes(submission, run) => return self.take_changes(batch, submission, run),
            Work::Facts(facts) => {
                self.pins.see(&facts);
                batch.load += facts.len();
                batch.hub.facts.extend(facts);
            }
            Work::Finals(due) => self.due.extend(due),
            Work::Load { from, limit } => self.late_loads.push(Deferred::Load { from, limit }),
            Work::DeadLetters { lane, subject } => {
                batch.hub.loads.push(Deferred::DeadLetters { lane, subject });
            }
            Work::Confirm(attempt) => batch.hub.confirms.push(attempt),
            Work::Retire { before, as_of } => self.retire(batch, before, as_of),
            Work::Truncate(before) => self.truncate(before),
            Work::Destroy { subject, generation, done } => {
                return self.destroy(batch, (subject, generation), done);
            }
            Work::Readmit { subject, generation, done } => {
                return self.readmit(batch, (subject, generation), done);
            }
            Work::Durable(done) => batch.hub.loads.push(Deferred::Durable(done)),
            Work::Stop => {}
        }
        Ok(())
    }

    fn take_changes(
        &mut self,
        batch: &mut Batch,
        submission: Submission,
        run: Option<Run>,
    ) -> Result<(), EngineError> {
        batch.load += submission.changes.len().max(1);
        batch.permits += weight(&submission.changes);
        let failed = self.failed_runs.get(&submission.source);
        if run.as_ref().is_some_and(|run| failed == Some(&run.number)) {
            return Ok(());
        }
        if let Err(full) = self.quota.check(submission.changes.len()) {
            self.refuse_submission(submission.reply, run, &full);
            return Ok(());
        }
        let mut admitted: Vec<Admitted> = Vec::with_capacity(submission.changes.len());
        for change in &submission.changes {
            if self.needs_commit_first(batch, change)
                && let Some(refusal) = self.commit_first(batch)?
            {
                self.refuse_submission(submission.reply, run, &refusal);
                return Ok(());
            }
            match (self.admit(batch, change)?, run.is_some()) {
                (Admitted::Misfit(cause), true) => {
                    self.refuse_submission(submission.reply, run, &misfit(change, &cause));
                    return Ok(());
                }
                (answer, _) => admitted.push(answer),
            }
        }
        if let Some(reply) = submission.reply {
            batch.waiters.push(Waiter::Push(reply, admitted));
        }
        if let (Some(progress), Some(run)) = (submission.progress, run) {
            let durable = batch.progress.get(&submission.source).or(self.progress.get(&submission.source));
            if admission::advances(durable, &progress) {
                batch.progress.insert(submission.source, progress.clone());
            }
            batch.waiters.push(Waiter::Pull(run, progress));
        }
        Ok(())
    }

    /// Commits what the batch holds so far; what is still to come follows in a commit of its own.
    pub(super) fn commit_first(&mut self, batch: &mut Batch) -> Result<Option<EngineError>, EngineError> {
        let rest = Batch { load: batch.load, ..Batch::default() };
        self.commit(std::mem::replace(batch, rest))
    }

    /// Makes the batch durable. A full disk refuses it and the engine goes on: the refusal is returned. Any
    /// other failure ends it.
    pub(super) fn commit(&mut self, mut batch: Batch) -> Result<Option<EngineError>, EngineError> {
        let share = FINALS_PER_COMMIT.max(self.due.len() / FINALS_SHARE).min(self.due.len());
        batch.hub.finished.extend(self.due.drain(..share));
        if self.due.len() <= DUE_MAX {
            batch.hub.loads.append(&mut self.late_loads);
        }
        batch.hub.put_before(std::mem::take(&mut self.carried));
        self.account(&mut batch)?;
        if batch.has_nothing_to_append() {
            let end = self.log.end();
            self.announce(batch, Vec::new(), end);
            return Ok(None);
        }
        if !batch.subjects.is_empty() {
            self.vault().create(&batch.subjects).map_err(|error| vault_failed(&error))?;
        }
        let built = self.build(&mut batch)?;
        let bytes = built.commit.events.iter().map(|event| event.intent.len() as u64 * 2).sum();
        self.quota.add(bytes);
        let started = Instant::now();
        match self.log.append(self.epoch, built.commit) {
            Ok(appended) => {
                metric::commit(started.elapsed().as_secs_f64(), appended.end);
                self.advance(&mut batch, &appended)?;
                let events = built.decoded.finish(&appended, &self.router);
                let headers = events.iter().map(|event| &event.header);
                headers.for_each(|one| metric::stored(one.source.as_str(), one.change_type.as_str()));
                self.announce(batch, events, appended.end);
                Ok(None)
            }
            Err(error) => self.refuse(batch, &error).map(Some),
        }
    }

    /// Lasting state moves on: the commit is durable.
    fn advance(
        &mut self,
        batch: &mut Batch,
        appended: &writ_store::log::Appended,
    ) -> Result<(), EngineError> {
        self.vault().remember(&batch.remembers, appended.end).map_err(|error| vault_failed(&error))?;
        self.covered.append(&mut batch.covered);
        self.progress.append(&mut batch.progress);
        self.accounting.append(&mut batch.accounted);
        self.pins.committed(appended.end);
        self.taken.add(&mut batch.taken, appended.end, self.state.applied());
        Ok(())
    }

    /// Tells pushes, sources, the hub and the follower.
    fn announce(&mut self, batch: Batch, events: Vec<Arc<crate::payload::Event>>, end: Offset) {
        self.payloads.committed(end);
        for waiter in batch.waiters {
            match waiter {
                Waiter::Push(reply, admitted) => drop(reply.send(Ok(Stored { admitted, through: end }))),
                Waiter::Pull(run, progress) => drop(run.done.send(Ok(progress))),
            }
        }
        self.handle.give_back(batch.permits);
        // The hub may lag by a bounded number of commits; waiting for it here is the back-pressure.
        drop(self.committed.blocking_send(Committed { events, end, confirmed: batch.hub.confirms }));
        drop(self.wake.send(Wake::Grown));
        for deferred in batch.hub.loads {
            let wake = match deferred {
                Deferred::Load { from, limit } => Wake::Load { from, limit },
                Deferred::DeadLetters { lane, subject } => Wake::DeadLetters { lane, subject },
                Deferred::Durable(done) => {
                    let _ = done.send(());
                    continue;
                }
            };
            drop(self.wake.send(wake));
        }
    }

    /// The append stored nothing. After a full disk: pushes are refused, sources are run again from what is
    /// durable, what the hub asked for waits for the next commit.
    fn refuse(&mut self, batch: Batch, error: &AppendError) -> Result<EngineError, EngineError> {
        let failure = append_failed(error);
        tracing::error!(code = failure.code.id, error = %failure, "commit refused");
        if !is_passing(error) {
            return Err(failure);
        }
        self.sequencer = Sequencer::new(|slot| self.log.tail(slot));
        for waiter in batch.waiters {
            match waiter {
                Waiter::Push(reply, _) => self.refuse_submission(Some(reply), None, &failure),
                Waiter::Pull(run, _) => self.refuse_submission(None, Some(run), &failure),
            }
        }
        self.handle.give_back(batch.permits);
        self.carried.put_before(batch.hub);
        Ok(failure)
    }

    /// Tells whoever sent it that it was not stored; a pull source's later changes of this run are not taken
    /// either, for they follow a gap.
    fn refuse_submission(&mut self, reply: Option<Reply>, run: Option<Run>, failure: &EngineError) {
        if let Some(reply) = reply {
            drop(reply.send(Err(failure.clone())));
        }
        if let Some(run) = run {
            drop(run.done.send(Err(failure.clone())));
            self.failed_runs.insert(run.source, run.number);
        }
    }

    /// The time now, or the latest that was written should the wall clock have gone back: the audit log's
    /// times do not.
    pub(super) fn stamp(&mut self) -> Timestamp {
        self.latest = self.latest.max(clock::wall());
        self.latest
    }

    pub(super) fn vault(&self) -> MutexGuard<'_, Box<dyn Vault>> {
        self.vault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lane_name(&self, lane: LaneId) -> &SubscriberName {
        &self.subscribers[usize::from(lane.0)]
    }
}
