//! Why the engine did not start, or stopped.

use std::path::Path;

use writ_model::code::{self, Code};
use writ_store::error::ReadError;

/// One error a user can meet; prints its code, what was tried, what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {tried}: {cause}; {remedy}")]
pub struct EngineError {
    /// Its code.
    pub code: Code,
    /// What was tried, with names.
    pub tried: String,
    /// What happened. No payload, no secret.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl EngineError {
    pub(crate) fn new(code: Code, tried: &str, cause: impl ToString, remedy: &str) -> Self {
        Self { code, tried: tried.into(), cause: cause.to_string(), remedy: remedy.into() }
    }
}

impl EngineError {
    /// An opening or a read of the log failed.
    pub(crate) fn from_read(error: &ReadError, path: &Path) -> Self {
        let (code, remedy) = match error {
            ReadError::Corrupt { .. } => {
                (code::LOG_CORRUPT, "keep the segment, restore it from its backup, then start again")
            }
            ReadError::Locked { .. } => (code::STORE_LOCKED, "stop the other engine first"),
            ReadError::Version { .. } => (code::STORE_VERSION, "start the version that wrote it"),
            ReadError::Io { .. } => (code::STORE_READ_ONLY, "check the disk and the folder's permissions"),
            ReadError::BehindRetention { .. } => (code::LOG_CORRUPT, "report this"),
        };
        Self::new(code, &format!("open the store in {}", path.display()), error, remedy)
    }
}
