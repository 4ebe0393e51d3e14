//! One commit under construction. Everything in it is tentative: nothing of the writer's lasting state moves
//! until the append has returned.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;
use writ_kernel::admission::Tally;
use writ_kernel::gate::Cleared;
use writ_model::change::Change;
use writ_model::control::{ControlFact, Covered, IntakeSeen, SourceProgress};
use writ_model::delivery::AttemptId;
use writ_model::id::{EventId, KeyHash, Offset, SourceName};
use writ_model::lineage::Ordinals;
use writ_store::vault::{NewSubject, Remember, Subject, SubjectKey};

use super::{Admitted, Due, Run, Stored};
use crate::error::EngineError;

/// Where a push waits for its answer.
pub(super) type Reply = oneshot::Sender<Result<Stored, EngineError>>;

/// A cleared event with the keys it will be sealed under.
pub(super) struct Pending {
    pub(super) cleared: Cleared,
    pub(super) ordinals: Ordinals,
    pub(super) content: SubjectKey,
    pub(super) evidence: SubjectKey,
}

/// Whom to tell when the commit is done.
pub(super) enum Waiter {
    Push(Reply, Vec<Admitted>),
    Pull(Run, SourceProgress),
}

/// A subject as this batch has changed it so far.
pub(super) type Overlay = BTreeMap<KeyHash, Option<Subject>>;

/// The first and last position of one source in a commit, in the source's own words.
#[derive(Debug, Default)]
pub(super) struct Span {
    pub(super) incarnation: String,
    pub(super) from: String,
    pub(super) to: String,
    is_read: bool,
}

/// The commit under construction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Pending>,
    /// Facts of the changes in this batch: refused with them.
    pub(super) facts: Vec<ControlFact>,
    /// Leaves of the changes in this batch: refused with them.
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) hub: FromHub,
    pub(super) subjects: Vec<NewSubject>,
    pub(super) remembers: Vec<Remember>,
    pub(super) overlay: Overlay,
    /// Key hashes whose subjects this batch moves to others.
    pub(super) given_away: BTreeSet<KeyHash>,
    /// Key hashes that a fact of this batch, and no event, moves subjects to.
    pub(super) moved_to: BTreeSet<KeyHash>,
    pub(super) covered: BTreeMap<SourceName, Covered>,
    pub(super) taken: BTreeMap<EventId, IntakeSeen>,
    pub(super) tallies: BTreeMap<SourceName, Tally>,
    pub(super) spans: BTreeMap<SourceName, Span>,
    pub(super) accounted: BTreeMap<SourceName, u64>,
    pub(super) progress: BTreeMap<SourceName, SourceProgress>,
    pub(super) waiters: Vec<Waiter>,
    /// How full the commit is, in changes.
    pub(super) load: usize,
    /// Changes whose room is given back when the commit is over, whatever came of it.
    pub(super) permits: usize,
}

/// What the hub asked for. Nobody else would ask again: carried into the next commit when one is refused.
#[derive(Default)]
pub(crate) struct FromHub {
    pub(super) facts: Vec<ControlFact>,
    /// Their leaves are written at the commit, so that a leaf's time is never older than its commit.
    pub(super) finished: Vec<Due>,
    pub(super) loads: Vec<Deferred>,
    /// Attempts that wait for what was asked before them.
    pub(super) confirms: Vec<AttemptId>,
}

/// Who is told once this commit is done: the follower, or who waits for it.
#[derive(Debug)]
pub(crate) enum Deferred {
    Load {
        from: Offset,
        limit: usize,
    },
    DeadLetters {
        lane: writ_kernel::dispatch::LaneId,
        subject: writ_model::id::SubjectId,
    },
    /// Somebody waits for what was journaled before it.
    Durable(oneshot::Sender<()>),
}

impl FromHub {
    pub(super) fn is_empty(&self) -> bool {
        let waits = !self.loads.is_empty() || !self.confirms.is_empty();
        self.facts.is_empty() && self.finished.is_empty() && !waits
    }

    /// Puts what was asked for earlier before what is here.
    pub(super) fn put_before(&mut self, mut earlier: Self) {
        std::mem::swap(self, &mut earlier);
        self.facts.append(&mut earlier.facts);
        self.finished.append(&mut earlier.finished);
        self.loads.append(&mut earlier.loads);
        self.confirms.append(&mut earlier.confirms);
    }
}

impl Span {
    /// Takes one more change in.
    /// A pushed change has no position of its own: it begins a span only where nothing was read.
    pub(super) fn extend(&mut self, change: &Change) {
        let is_read = change.producer_id.is_none();
        if !is_read && self.is_read {
            return;
        }
        let position = change.position.to_string();
        if self.from.is_empty() || is_read != self.is_read {
            self.incarnation.clone_from(&change.incarnation.0);
            self.from.clone_from(&position);
        }
        self.is_read = is_read;
        self.to = position;
    }
}

impl Batch {
    /// Nothing that the log would have to hold.
    pub(super) fn has_nothing_to_append(&self) -> bool {
        let changes = self.events.is_empty() && self.facts.is_empty() && self.leaves.is_empty();
        changes && self.hub.facts.is_empty() && self.hub.finished.is_empty() && self.progress.is_empty()
    }

    /// Nobody waits for it: it holds what the hub journals and nothing else.
    pub(super) fn may_wait(&self) -> bool {
        let is_awaited = !self.hub.loads.is_empty() || !self.hub.confirms.is_empty();
        !is_awaited && self.load == self.hub.facts.len() + self.hub.finished.len()
    }

    /// How far each source is read and covered when this commit is durable.
    pub(super) fn progress_facts(&self) -> Vec<ControlFact> {
        let covered = self.covered.values().cloned().map(ControlFact::Covered);
        covered.chain(self.progress.values().cloned().map(ControlFact::SourceProgress)).collect()
    }

    /// Records what a change of this batch did to its subject, and gives the subject as the changes that
    /// follow see it.
    pub(super) fn remember(&mut self, subject: &Subject, change: Remember) -> Subject {
        let mut subject = subject.clone();
        change.put_into(&mut subject);
        if let Some(old) = change.old_key_hash {
            self.overlay.insert(old, None);
            self.given_away.insert(old);
        }
        self.overlay.insert(change.key_hash, Some(subject.clone()));
        self.remembers.push(change);
        subject
    }
}
