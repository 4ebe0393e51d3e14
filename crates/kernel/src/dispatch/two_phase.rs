//! Two-phase commit: the receiver prepares, the journal decides, the receiver commits.
//!
//! ```text
//! Prepare -> Answered -> journal Decided, Confirm -> Durable -> Resolve(commit) -> Resolved -> settled
//! ```
//!
//! A branch that the journal has not decided is rolled back (presumed abort); one that it has is committed, however
//! often it takes. Before a lane sends anything, and whenever an attempt's end is not known, it *sweeps*: it lists
//! the receiver's branches and resolves those that no attempt of this run is about to decide. The receiver's inbox
//! makes a repeat harmless where a branch was ended by another hand.

use std::collections::BTreeSet;

use writ_model::control::{BranchDecided, ControlFact};
use writ_model::delivery::{Answer, AttemptId, Branch, Fault, Outcome, Resolution, Verdict};
use writ_model::time::Moment;

use super::lane::Lane;
use super::parent::Turn;
use super::send::Stage;
use super::{Effect, Note, classify};

/// What the journal has decided, and how far the sweep is.
#[derive(Debug, Clone)]
pub(super) struct Coordinator {
    decided: BTreeSet<Branch>,
    sweep: Sweep,
    /// Something became unknown while a sweep was under way, which may not have seen it.
    is_wanted_again: bool,
    /// Failures in a row: they lengthen the wait before the next try.
    failures: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sweep {
    /// Nothing is unknown.
    Done,
    /// To be started, at this moment or later.
    Due(Moment),
    /// The receiver is asked for its branches.
    Listing,
    /// These are being resolved.
    Resolving(BTreeSet<Branch>),
}

impl Coordinator {
    /// With what the journal holds as decided and not concluded. What the receiver holds is not known.
    pub(super) fn new(decided: Vec<Branch>) -> Self {
        Self {
            decided: decided.into_iter().collect(),
            sweep: Sweep::Due(Moment(0)),
            is_wanted_again: false,
            failures: 0,
        }
    }

    fn is_clear(&self) -> bool {
        self.sweep == Sweep::Done
    }

    fn deadline(&self) -> Option<Moment> {
        match self.sweep {
            Sweep::Due(at) => Some(at),
            Sweep::Done | Sweep::Listing | Sweep::Resolving(_) => None,
        }
    }

    fn starts(&mut self, now: Moment) -> bool {
        let is_due = self.deadline().is_some_and(|at| at <= now);
        if is_due {
            self.sweep = Sweep::Listing;
        }
        is_due
    }

    fn want(&mut self, at: Moment) {
        match self.sweep {
            Sweep::Done => self.sweep = Sweep::Due(at),
            Sweep::Due(_) => {}
            Sweep::Listing | Sweep::Resolving(_) => self.is_wanted_again = true,
        }
    }

    fn finish(&mut self) {
        let is_wanted_again = std::mem::take(&mut self.is_wanted_again);
        self.sweep = if is_wanted_again { Sweep::Due(Moment(0)) } else { Sweep::Done };
        self.failures = 0;
    }

    fn failed(&mut self, at: Moment) {
        self.failures = self.failures.saturating_add(1);
        self.sweep = Sweep::Due(at);
    }

    /// One branch of the sweep is resolved.
    fn swept(&mut self, branch: Branch) {
        if let Sweep::Resolving(left) = &mut self.sweep {
            left.remove(&branch);
            if left.is_empty() {
                self.finish();
            }
        }
    }
}

impl Lane {
    pub(super) fn is_swept(&self) -> bool {
        self.coordinator.as_ref().is_none_or(Coordinator::is_clear)
    }

    pub(super) fn sweep_deadline(&self) -> Option<Moment> {
        self.coordinator.as_ref().and_then(Coordinator::deadline)
    }

    /// Asks for the receiver's branches when that is due.
    pub(super) fn sweep(&mut self, turn: &mut Turn<'_>) {
        if self.coordinator.as_mut().is_some_and(|one| one.starts(turn.now.moment)) {
            turn.effects.push(Effect::ListBranches(self.given.id));
        }
    }

    /// The receiver's branches of this store and subscriber: the decided ones are committed, those that an attempt
    /// of this run may yet decide are left, all others are rolled back but for those of a later owner.
    pub(super) fn branches(&mut self, turn: &mut Turn<'_>, found: Result<Vec<Branch>, Fault>) {
        let is_asked = self.coordinator.as_ref().is_some_and(|one| one.sweep == Sweep::Listing);
        if !is_asked {
            return;
        }
        let found = match found {
            // A branch of a later owner is that owner's to end: this one is a former owner and does not know it.
            Ok(found) => found.into_iter().filter(|branch| branch.epoch <= self.given.epoch),
            Err(fault) => return self.sweep_failed(turn, fault),
        };
        let found: BTreeSet<Branch> = found.collect();
        let undecided: BTreeSet<Branch> = self.undecided().collect();
        let Some(coordinator) = &mut self.coordinator else { return };
        let left: BTreeSet<Branch> = found.difference(&undecided).copied().collect();
        // A decided branch that is not there has ended.
        let ended: Vec<Branch> = coordinator
            .decided
            .iter()
            .filter(|branch| !found.contains(branch) && !undecided.contains(branch))
            .copied()
            .collect();
        for branch in &left {
            let verdict =
                if coordinator.decided.contains(branch) { Verdict::Commit } else { Verdict::RollBack };
            turn.effects.push(Effect::Resolve(self.given.id, *branch, verdict));
        }
        if left.is_empty() {
            coordinator.finish();
        } else {
            coordinator.sweep = Sweep::Resolving(left);
        }
        for branch in ended {
            self.resolved(turn, branch, Resolution::Unknown);
        }
    }

    /// Branches of attempts whose decision is not durable yet.
    fn undecided(&self) -> impl Iterator<Item = Branch> {
        let open = self.flights.iter().filter(|(_, flight)| match flight.stage {
            Stage::Preparing | Stage::Deciding(_) => true,
            Stage::Sent | Stage::Probing | Stage::Staged(..) | Stage::Committing(_) => false,
        });
        open.map(|(id, _)| self.branch(*id))
    }

    fn branch(&self, attempt: AttemptId) -> Branch {
        Branch { epoch: self.given.epoch, attempt }
    }

    /// The receiver has answered to a prepare: what it prepared is decided now. `false` when nothing was prepared.
    pub(super) fn decide(&mut self, turn: &mut Turn<'_>, id: AttemptId, answer: &Answer) -> bool {
        let Some(members) = self.flights.get(&id).map(|flight| flight.members.clone()) else { return false };
        let types = self.types(&members);
        let judge = classify::Judge { rules: &self.config.answers, wall: turn.now.wall };
        let is_prepared = judge.verdict(answer, &types).outcomes.contains(&Outcome::Acknowledged);
        let Some(flight) = self.flights.get_mut(&id).filter(|_| is_prepared) else {
            self.suspect(turn, answer);
            return false;
        };
        flight.stage = Stage::Deciding(answer.clone());
        let branch = self.branch(id);
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.decided.insert(branch);
        }
        self.journal_branch(turn, branch, false);
        turn.effects.push(Effect::Confirm(id));
        true
    }

    /// An attempt whose end is not known, or that met another's locks, may have left a branch behind.
    fn suspect(&mut self, turn: &mut Turn<'_>, answer: &Answer) {
        if let Answer::Failed(Fault::Timeout | Fault::AnswerBroken | Fault::Conflict) = answer
            && let Some(coordinator) = &mut self.coordinator
        {
            coordinator.want(turn.now.moment);
        }
    }

    /// One branch was resolved, or was not. An attempt of this run goes on by what came of it.
    pub(super) fn resolved(&mut self, turn: &mut Turn<'_>, branch: Branch, resolution: Resolution) {
        if let Resolution::Failed(fault) = resolution {
            return self.sweep_failed(turn, fault);
        }
        let Some(coordinator) = &mut self.coordinator else { return };
        coordinator.swept(branch);
        if coordinator.decided.remove(&branch) {
            self.journal_branch(turn, branch, true);
        }
        let is_own = branch.epoch == self.given.epoch;
        let Some(flight) = self.flights.get_mut(&branch.attempt).filter(|_| is_own) else { return };
        let Stage::Committing(answer) = &flight.stage else { return };
        let answer = match resolution {
            Resolution::Done => answer.clone(),
            // Who ended it, and how, the inbox says to the next attempt.
            Resolution::Unknown | Resolution::Failed(_) => Answer::Failed(Fault::AnswerBroken),
        };
        flight.stage = Stage::Sent;
        self.answered(turn, branch.attempt, &answer);
    }

    fn sweep_failed(&mut self, turn: &mut Turn<'_>, fault: Fault) {
        let Some(coordinator) = &mut self.coordinator else { return };
        let wait = self.config.retry.ceiling(coordinator.failures.saturating_add(1));
        // Never at once: the wait is what keeps a dead receiver from being asked without end.
        let at = turn.now.moment.after(self.config.retry.base.min(wait) / 2).after(self.jitter.below(wait));
        coordinator.failed(at);
        self.note(turn, Note::Unresolved { cause: fault.as_str() });
    }

    fn journal_branch(&mut self, turn: &mut Turn<'_>, branch: Branch, is_concluded: bool) {
        let (subscriber, at) = (self.config.subscriber.clone(), turn.now.wall);
        let fact = BranchDecided { subscriber, branch, at };
        turn.journal(if is_concluded {
            ControlFact::BranchConcluded(fact)
        } else {
            ControlFact::BranchDecided(fact)
        });
    }
}
