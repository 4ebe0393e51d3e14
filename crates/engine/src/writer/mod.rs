//! The writer thread: everything that becomes durable goes through it, one commit at a time.
//!
//! It takes whatever is queued, so a commit is as large as the last sync was slow. A commit fails whole: what
//! was pushed is refused with the error, pull sources are run again from their durable progress, and what the
//! hub asked for is carried into the next commit.

mod account;
mod admit;
mod batch;
mod build;
mod commit;
mod decide;
mod destroy;
mod failure;
mod finals;
mod leaf;
pub(crate) mod quota;
mod retire;
mod taken;
#[cfg(test)]
mod tests;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use tokio::sync::{Semaphore, mpsc, oneshot};
use writ_kernel::admission::StaleRule;
use writ_kernel::dispatch::LaneId;
use writ_model::change::Change;
use writ_model::code;
use writ_model::control::{ControlFact, SourceProgress};
use writ_model::delivery::AttemptId;
use writ_model::envelope::Envelope;
use writ_model::id::{EventId, Generation, Offset, SourceName, SubjectId};
use writ_model::verdict::{Reason, WithheldAs};
use writ_store::seal;
use writ_store::vault::SubjectKey;

use crate::error::EngineError;

pub(crate) use batch::FromHub;
pub(crate) use commit::Writer;
pub(crate) use finals::{Due, Known, Scratch};
pub(crate) use retire::Pins;
pub(crate) use taken::Taken;

/// Changes in one commit at most; the rest waits for the next. A commit is one frame, and a reader of any of its
/// records holds all of it.
const CHANGES_PER_COMMIT: usize = 512;

/// What became of one submitted change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// In the log: these events.
    Accepted(Vec<EventId>),
    /// Taken before; nothing was stored again.
    Duplicate,
    /// The producer's id was used for other content; nothing was stored.
    Conflict,
    /// Older than what was applied before it; nothing was stored.
    Stale,
    /// Its producer's clock is so many milliseconds ahead of this one's; nothing was stored.
    Ahead(u64),
    /// Understood, but no mapped attribute differs.
    Unchanged,
    /// The table is not mapped.
    Unmapped,
    /// The change does not fit its table's mapping, in words; nothing was stored. It ends the run of a pull
    /// source.
    Misfit(String),
    /// At least one event stays outside the stream: what it was kept as, and why.
    Kept(EventId, WithheldAs, Reason),
}

/// What became of a submission, once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// In the order of the changes.
    pub(crate) admitted: Vec<Admitted>,
    /// The log's end after the commit.
    pub(crate) through: Offset,
}

/// How a source's changes are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// What becomes of those that are stale.
    pub(crate) stale: StaleRule,
    /// How long the ids of pushed ones are remembered.
    pub(crate) dedup_window: Duration,
}

/// Changes on their way into the log.
pub(crate) struct Submission {
    pub(crate) source: SourceName,
    pub(crate) changes: Vec<Change>,
    /// What a pull source has read when these are durable.
    pub(crate) progress: Option<SourceProgress>,
    /// Where a push waits for its answer.
    pub(crate) reply: Option<oneshot::Sender<Result<Stored, EngineError>>>,
}

/// A run of a pull source. When a commit fails, what the same run sent after it must not be stored.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) source: SourceName,
    pub(crate) number: u64,
    pub(crate) done: mpsc::UnboundedSender<Result<SourceProgress, EngineError>>,
}

/// Work for the writer.
pub(crate) enum Work {
    Changes(Submission, Option<Run>),
    Facts(Vec<ControlFact>),
    Finals(Vec<Due>),
    /// Tell the follower to load open events once everything before this is committed.
    Load {
        from: Offset,
        limit: usize,
    },
    /// Tell the follower to read one subject's dead letters once everything before this is committed.
    DeadLetters {
        lane: LaneId,
        subject: SubjectId,
    },
    /// Tell the hub once everything before this is committed.
    Confirm(AttemptId),
    /// Journal that everything below `before` leaves the log, if nothing has come to need it since `as_of`.
    Retire {
        before: Offset,
        as_of: Offset,
    },
    /// Remove the segments below an offset; the journal says so already.
    Truncate(Offset),
    /// Destroy the content key of a subject's life, once everything before this is committed; then tell.
    Destroy {
        subject: SubjectId,
        generation: Generation,
        done: oneshot::Sender<()>,
    },
    /// Begin another life of an erased subject, once everything before this is committed; then tell whether it began.
    Readmit {
        subject: SubjectId,
        generation: Generation,
        done: oneshot::Sender<bool>,
    },
    /// Tell once everything before this is committed.
    Durable(oneshot::Sender<()>),
    /// Finish what is queued and end.
    Stop,
}

/// Sends work to the writer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    pub(crate) work: mpsc::UnboundedSender<Work>,
    /// One permit per change in flight, more for a large one: the back-pressure on sources and intake.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) room_max: usize,
}

impl WriterHandle {
    /// For the hub, whose own windows bound what it sends.
    pub(crate) fn send(&self, work: Work) {
        // A closed channel means that the writer has stopped with an error, which ends the engine.
        drop(self.work.send(work));
    }

    /// Waits for room, then queues.
    pub(crate) async fn submit(&self, submission: Submission, run: Option<Run>) {
        let need = weight::weight(&submission.changes).min(self.room_max);
        let need = u32::try_from(need).unwrap_or(u32::MAX);
        let Ok(permit) = self.room.acquire_many(need).await else { return };
        permit.forget();
        self.send(Work::Changes(submission, run));
    }

    /// Gives the room of a submission back.
    fn give_back(&self, permits: usize) {
        self.room.add_permits(permits.min(self.room_max));
    }
}

/// A private part sealed for the journal, as base64 of nonce and ciphertext.
pub(super) fn seal_private(envelope: &Envelope, key: &SubjectKey) -> Result<String, EngineError> {
    let nonce: [u8; 12] = random()?;
    let plain = serde_json::to_vec(&envelope.private).unwrap_or_default();
    let context = format!("withheld/{}", envelope.header.event_id);
    let sealed = seal::seal_bytes(key, nonce, context.as_bytes(), plain);
    let sealed = sealed.map_err(|error| failure::seal_failed(&error))?;
    Ok(base64::engine::general_purpose::STANDARD.encode([nonce.as_slice(), &sealed].concat()))
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], EngineError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let remedy = "check that the operating system's random source works";
        EngineError::new(code::VAULT_UNUSABLE, "draw random bytes", error, remedy)
    })?;
    Ok(bytes)
}
