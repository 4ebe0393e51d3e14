//! The writer's errors, as a user meets them.

use writ_kernel::admission::ClockError;
use writ_model::change::Change;
use writ_model::code;
use writ_model::id::SubjectId;
use writ_store::error::{AppendError, SealError, StateError, VaultError};

use crate::error::EngineError;

/// The engine may go on after this refusal.
pub(super) fn is_passing(error: &AppendError) -> bool {
    match error {
        AppendError::Full { .. } | AppendError::TooLarge { .. } => true,
        AppendError::SequenceConflict { .. }
        | AppendError::Fenced { .. }
        | AppendError::Indeterminate { .. }
        | AppendError::Poisoned => false,
    }
}

pub(super) fn append_failed(error: &AppendError) -> EngineError {
    let (code, remedy) = match error {
        AppendError::Full { .. } => (
            code::DISK_FULL,
            "free space on the store's disk; sources go on by themselves, pushes are to be sent again",
        ),
        AppendError::TooLarge { .. } => (code::INTAKE_TOO_LARGE, "send smaller events"),
        AppendError::Fenced { .. } => (code::WRITER_FENCED, "stop one of the two engines on this store"),
        AppendError::SequenceConflict { .. } | AppendError::Indeterminate { .. } | AppendError::Poisoned => (
            code::SYNC_FAILED,
            "check the disk, then start the engine again: it recovers from the log's tail",
        ),
    };
    EngineError::new(code, "append to the log", error, remedy)
}

/// The vault cannot go on after a failed write, a full disk included: only a new start opens it again.
pub(super) fn vault_failed(error: &VaultError) -> EngineError {
    let remedy = "check the disk and its free space, then start the engine again: it lost nothing";
    EngineError::new(error.code(), "use the key vault", error, remedy)
}

pub(super) fn state_failed(error: &StateError) -> EngineError {
    let remedy = "check the disk, then start the engine again: state is rebuilt from the log";
    EngineError::new(error.code(), "read derived state", error, remedy)
}

pub(super) fn clock_failed(error: &ClockError) -> EngineError {
    EngineError::new(
        code::SYNC_FAILED,
        "draw a clock value",
        error,
        "set the machine's clock, then start again",
    )
}

pub(super) fn seal_failed(error: &SealError) -> EngineError {
    EngineError::new(code::VAULT_UNUSABLE, "seal an event", error, "start the engine again; report this")
}

pub(super) fn keys_missing(subject: SubjectId) -> EngineError {
    let tried = format!("seal an event of subject {subject}");
    EngineError::new(code::VAULT_UNUSABLE, &tried, "its keys are gone", "restore the vault from its backup")
}

/// Names the table and where the change is, never its key.
pub(super) fn misfit(change: &Change, cause: &str) -> EngineError {
    let tried = format!("map a change of table {} at {}", change.table, change.position);
    let remedy = "correct the table's `key` in writ.yaml and start again: the source sends the change again";
    EngineError::new(code::MAPPING_UNFIT, &tried, cause, remedy)
}

pub(super) fn gate_silent() -> EngineError {
    EngineError::new(code::POLICY_INVALID, "decide an event", "the gate gave no decision", "report this")
}
