//! What an SQLite failure means to the engine and to an operator. SQLite's own text is never passed on.

use std::path::Path;

use rusqlite::ErrorCode;
use writ_model::code::{self, Code};

use crate::source::SourceError;

/// An error of this source.
pub(super) fn error(code: Code, tried: impl Into<String>, cause: &str, remedy: &str) -> SourceError {
    SourceError {
        code,
        tried: tried.into(),
        cause: cause.to_owned(),
        remedy: remedy.to_owned(),
        is_passing: false,
    }
}

/// `tried` failed in SQLite.
pub(super) fn sqlite(path: &Path, tried: &str, failure: &rusqlite::Error) -> SourceError {
    let (code, cause, remedy, is_passing) = explain(failure);
    SourceError {
        code,
        tried: format!("{tried} in {}", path.display()),
        cause: cause.to_owned(),
        remedy: remedy.to_owned(),
        is_passing,
    }
}

fn explain(failure: &rusqlite::Error) -> (Code, &'static str, &'static str, bool) {
    match failure.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            code::SOURCE_UNREACHABLE,
            "the database is locked",
            "end the transaction that holds it, or raise `busy_timeout_ms`",
            true,
        ),
        Some(ErrorCode::CannotOpen) => (
            code::SOURCE_UNREACHABLE,
            "the database file is missing or cannot be opened",
            "check `path` and the rights of the file and its folder",
            true,
        ),
        Some(
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => (
            code::SOURCE_SETTINGS,
            "the database cannot be written",
            "give Writ write access to the file and its folder: capture needs triggers",
            false,
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            code::SOURCE_PROTOCOL,
            "the file is damaged or is not an SQLite database",
            "check `path`, and run `PRAGMA integrity_check`",
            false,
        ),
        Some(ErrorCode::DiskFull) => {
            (code::SOURCE_UNREACHABLE, "the database's disk is full", "free space on it", true)
        }
        Some(ErrorCode::SystemIoFailure) => {
            (code::SOURCE_UNREACHABLE, "reading or writing the database failed", "check its disk", true)
        }
        Some(ErrorCode::SchemaChanged) => {
            (code::SOURCE_UNREACHABLE, "the schema changed meanwhile", "none needed", true)
        }
        _ => (
            code::SOURCE_PROTOCOL,
            "the database answered in a way that capture does not expect",
            "run `writ check --connect`, and `PRAGMA integrity_check` in the database",
            false,
        ),
    }
}
