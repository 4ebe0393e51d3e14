//! Two owners of one lane: a process stops for a while (its machine was paused, or cut off), another one takes the
//! log over under a higher epoch, and the first goes on where it was, knowing nothing of it.
//!
//! What it sends may arrive. Nothing that it writes may be found in the log: either the log itself knows the later
//! epoch, or its disk was taken from it. Its first refused commit ends it, as it ends the engine.

use std::collections::{BTreeMap, VecDeque};

use writ_kernel::dispatch::{self, Attempt, Dispatch, LaneId};
use writ_kernel::machine::Machine;
use writ_kernel::settle::{self, Settlement};
use writ_model::delivery::AttemptId;
use writ_model::id::Epoch;
use writ_model::time::Moment;
use writ_store::error::AppendError;
use writ_store::log::Commit;

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::replays::Errand;
use crate::tape::Tape;
use crate::world::World;
use crate::writer::{Batch, Hub};

/// A former owner that does not know it.
pub(crate) struct Former {
    epoch: Epoch,
    /// It stands still until then.
    wakes: Moment,
    /// Its own hold on a disk that was taken from it; `None` where it writes to the log that the later owner has.
    tape: Option<Tape>,
    dispatch: Dispatch,
    settlement: Settlement,
    batch: Batch,
    hub: Hub,
    commits: u64,
    commit_due: bool,
    flying: BTreeMap<AttemptId, Attempt>,
    replay_of: BTreeMap<LaneId, Errand>,
    waiting_reads: Vec<Happening>,
    facts: VecDeque<dispatch::Fact>,
    settle_facts: VecDeque<settle::Fact>,
}

impl Former {
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When its machines have something to do.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let deadlines = [self.dispatch.next_deadline(), self.settlement.next_deadline()];
        deadlines.into_iter().flatten().min().map(|at| at.max(self.wakes))
    }

    fn trade_places(&mut self, world: &mut World) {
        use std::mem::swap;
        swap(&mut self.epoch, &mut world.acting);
        swap(&mut self.dispatch, &mut world.dispatch);
        swap(&mut self.settlement, &mut world.settlement);
        swap(&mut self.batch, &mut world.batch);
        swap(&mut self.hub, &mut world.hub);
        swap(&mut self.commits, &mut world.commits);
        swap(&mut self.commit_due, &mut world.commit_due);
        swap(&mut self.flying, &mut world.flying);
        swap(&mut self.replay_of, &mut world.replay_of);
        swap(&mut self.waiting_reads, &mut world.waiting_reads);
        swap(&mut self.facts, &mut world.facts);
        swap(&mut self.settle_facts, &mut world.settle_facts);
    }
}

impl World {
    /// Another process takes over while this one stands still.
    pub(crate) fn take_over(&mut self, takes_disk: bool) -> Result<(), String> {
        self.end_former();
        self.truth.takeovers += 1;
        let wait = self.chance.millis(0, 1_500);
        let former = self.leave(self.now.moment.after(wait));
        self.former = Some(former);
        self.plan_as_former(wait, Happening::Wake);
        let own = self.change_owner(takes_disk)?;
        if let Some(former) = &mut self.former {
            former.tape = own.filter(|_| takes_disk);
        }
        self.begin_anew(takes_disk)
    }

    /// What the process that stands still has in memory. What it was about to take in comes again from the source.
    fn leave(&mut self, wakes: Moment) -> Former {
        use std::mem::take;
        self.batch = Batch::default();
        Former {
            epoch: self.acting,
            wakes,
            tape: None,
            dispatch: self.dispatch.clone(),
            settlement: self.settlement.clone(),
            batch: Batch::default(),
            hub: take(&mut self.hub),
            commits: self.commits,
            commit_due: take(&mut self.commit_due),
            flying: take(&mut self.flying),
            replay_of: take(&mut self.replay_of),
            waiting_reads: take(&mut self.waiting_reads),
            facts: take(&mut self.facts),
            settle_facts: take(&mut self.settle_facts),
        }
    }

    /// The former owner is gone. What it has sent is on the wire.
    pub(crate) fn end_former(&mut self) {
        self.former = None;
    }

    pub(crate) fn is_former(&self) -> bool {
        self.acting != self.tape.epoch()
    }

    fn plan_as_former(&mut self, wait: std::time::Duration, happening: Happening) {
        let Some(epoch) = self.former.as_ref().map(Former::epoch) else { return };
        let own = std::mem::replace(&mut self.acting, epoch);
        self.plan(wait, happening);
        self.acting = own;
    }

    /// Something that the former owner planned, or that its machines wait for.
    pub(crate) fn former_goes_on(&mut self, happening: Option<Happening>) -> Result<(), String> {
        let Some(mut former) = self.former.take() else { return Ok(()) };
        let stands_still = self.now.moment < former.wakes;
        let wakes = former.wakes;
        former.trade_places(self);
        let goes_on = match happening {
            Some(happening) => self.happen_to_former(happening, wakes, former.tape.as_mut()),
            None => self.pass_time().map(|()| true),
        };
        let drained = if stands_still { Ok(()) } else { self.drain() };
        former.trade_places(self);
        drained?;
        if goes_on? {
            self.former = Some(former);
        }
        Ok(())
    }

    /// False when it ends. While it stands still, only what is on the wire goes on.
    fn happen_to_former(
        &mut self,
        happening: Happening,
        wakes: Moment,
        tape: Option<&mut Tape>,
    ) -> Result<bool, String> {
        match happening {
            Happening::Answer { attempt, answer, processed } => {
                self.serve_answer(&attempt, answer, &processed)?;
            }
            Happening::Arrive(call) => self.arrive(call)?,
            Happening::List { lane, is_reached } => self.serve_list(lane, is_reached),
            Happening::Verdict { lane, branch, verdict, is_reached } => {
                self.serve_verdict(lane, branch, verdict, is_reached)?;
            }
            later if self.now.moment < wakes => self.plan(wakes.since(self.now.moment), later),
            Happening::Confirm { attempt, after } => self.serve_confirm(attempt, after)?,
            Happening::Resolved { lane, branch, resolution } => {
                self.facts.push_back(dispatch::Fact::Resolved(lane, branch, resolution));
            }
            Happening::Wake => self.pass_time()?,
            Happening::Commit => {
                self.commit_due = false;
                return self.commit_as_former(tape);
            }
            // It reads what is not its own any more, and gets nothing.
            Happening::Work
            | Happening::Follow
            | Happening::Read { .. }
            | Happening::Look { .. }
            | Happening::DeadLetters { .. }
            | Happening::Load { .. }
            | Happening::Retire { .. }
            | Happening::Shorten
            | Happening::Push(_) => {}
        }
        Ok(true)
    }

    /// Its commit is refused, and it ends. Nothing to write is nothing to be refused.
    fn commit_as_former(&mut self, own: Option<&mut Tape>) -> Result<bool, String> {
        if self.hub.is_empty() {
            return Ok(true);
        }
        let Hub { facts, leaves } = std::mem::take(&mut self.hub);
        let commit = Commit { facts, leaves, ..Commit::default() };
        let (epoch, before) = (self.acting, self.tape.end());
        let outcome = match own {
            Some(own) => own.append_as(epoch, commit),
            None if self.bug == Some(Bug::FormerWrites) => self.tape.append(commit),
            None => self.tape.append_as(epoch, commit),
        };
        match outcome {
            Ok(_) if self.bug == Some(Bug::FormerWrites) => {
                let records = self.tape.read_all(before)?;
                self.absorb(records).map(|()| false)
            }
            Err(AppendError::Fenced { .. } | AppendError::Indeterminate { .. } | AppendError::Poisoned) => {
                Ok(false)
            }
            other => Err(format!("the append of a former owner ended as {other:?}")),
        }
    }
}
