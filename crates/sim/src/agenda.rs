//! What will happen, and to which process: everything that is planned is tagged with the epoch of the process
//! that planned it, and outlives it. Requests on the wire do not end because their sender did.

use std::collections::BTreeMap;

use writ_kernel::dispatch::{Attempt, LaneId};
use writ_model::delivery::{Answer, AttemptId, Branch, Resolution, Verdict};
use writ_model::id::{Epoch, Offset, SubjectId};
use writ_model::time::Moment;

use crate::wire::Call;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The next operation of the workload.
    Work,
    /// What is pending is committed.
    Commit,
    /// The state catches up with the log.
    Follow,
    /// A lane's read is served.
    Read { lane: LaneId, from: Offset, items_max: usize, bytes_max: usize },
    /// A lane that cannot read on looks for express events.
    Look { lane: LaneId, behind: Offset, from: Offset, items_max: usize, bytes_max: usize },
    /// A dead-letter sequence is read, once commit `after` is done.
    DeadLetters { lane: LaneId, subject: SubjectId, after: u64 },
    /// Open events are loaded, once commit `after` is done.
    Load { from: Offset, limit: usize, after: u64 },
    /// An attempt may be sent, or its decision stands, once commit `after` is done.
    Confirm { attempt: AttemptId, after: u64 },
    /// A subscriber answers.
    Answer { attempt: Attempt, answer: Answer, processed: Vec<bool> },
    /// A request reaches a receiver that remembers what it took.
    Arrive(Call),
    /// A receiver lists what it has prepared.
    List { lane: LaneId, is_reached: bool },
    /// A verdict about a branch reaches its receiver.
    Verdict { lane: LaneId, branch: Branch, verdict: Verdict, is_reached: bool },
    /// What came of it is heard of.
    Resolved { lane: LaneId, branch: Branch, resolution: Resolution },
    /// A former owner goes on.
    Wake,
    /// The writer hears that everything before may leave the log, by what was applied so far.
    Retire { before: Offset, as_of: Offset },
    /// What left the log by the journal is removed.
    Shorten,
    /// A producer sends, or sends again.
    Push(usize),
}

/// All of it, in order.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BTreeMap<(Moment, u64), (Epoch, Happening)>,
    last: u64,
}

impl Agenda {
    pub(crate) fn plan(&mut self, at: Moment, by: Epoch, happening: Happening) {
        self.last += 1;
        self.entries.insert((at, self.last), (by, happening));
    }

    pub(crate) fn next(&self) -> Option<Moment> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Epoch, Happening)> {
        self.entries.pop_first().map(|(_, entry)| entry)
    }

    /// Keeps what `keep` says of it.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Epoch, &Happening) -> bool) {
        self.entries.retain(|_, (by, happening)| keep(*by, happening));
    }
}
