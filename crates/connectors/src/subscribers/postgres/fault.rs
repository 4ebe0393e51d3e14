//! What a PostgreSQL error means for an attempt: before the commit was asked for, and after it.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use writ_model::delivery::Fault;

/// How far the transaction was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The commit was not asked for: nothing took effect.
    Before,
    /// It was asked for: a lost answer leaves it open.
    Commit,
}

/// The fault that an error is. SQLSTATE classes are those of PostgreSQL's appendix A.
pub(super) fn of(error: &Error, phase: Phase) -> Fault {
    match error.code() {
        Some(state) => of_state(state, phase),
        None => lost(phase),
    }
}

fn of_state(state: &SqlState, phase: Phase) -> Fault {
    let code = state.code();
    match code.get(..2).unwrap_or_default() {
        // The row is at fault: a value, a constraint, a trigger that refuses it.
        "22" | "23" | "P0" => Fault::Refused,
        "40" => Fault::Conflict,
        _ if *state == SqlState::LOCK_NOT_AVAILABLE || *state == SqlState::QUERY_CANCELED => Fault::Conflict,
        // The session is ending: whether a commit went through before is not known. 57P03 is "starting up".
        _ if *state == SqlState::CANNOT_CONNECT_NOW => Fault::Connect,
        "08" | "57" | "58" | "XX" => lost(phase),
        _ => Fault::Unready,
    }
}

fn lost(phase: Phase) -> Fault {
    match phase {
        Phase::Before => Fault::SendBroken,
        Phase::Commit => Fault::AnswerBroken,
    }
}

/// Why there is no session.
pub(super) fn of_opening(error: &Error) -> Fault {
    match error.code() {
        None => Fault::Connect,
        Some(state) => match state.code().get(..2).unwrap_or_default() {
            "57" | "53" | "08" => Fault::Connect,
            _ => Fault::Unready,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: &SqlState, before: Fault, commit: Fault) {
        assert_eq!(
            (of_state(state, Phase::Before), of_state(state, Phase::Commit)),
            (before, commit),
            "{state:?}"
        );
    }

    #[test]
    fn only_a_row_that_is_at_fault_is_refused_for_good() {
        check(&SqlState::INVALID_TEXT_REPRESENTATION, Fault::Refused, Fault::Refused);
        check(&SqlState::NOT_NULL_VIOLATION, Fault::Refused, Fault::Refused);
        check(&SqlState::RAISE_EXCEPTION, Fault::Refused, Fault::Refused);
        check(&SqlState::T_R_DEADLOCK_DETECTED, Fault::Conflict, Fault::Conflict);
        check(&SqlState::T_R_SERIALIZATION_FAILURE, Fault::Conflict, Fault::Conflict);
        check(&SqlState::LOCK_NOT_AVAILABLE, Fault::Conflict, Fault::Conflict);
        check(&SqlState::UNDEFINED_TABLE, Fault::Unready, Fault::Unready);
        check(&SqlState::INSUFFICIENT_PRIVILEGE, Fault::Unready, Fault::Unready);
        check(&SqlState::DISK_FULL, Fault::Unready, Fault::Unready);
        check(&SqlState::READ_ONLY_SQL_TRANSACTION, Fault::Unready, Fault::Unready);
    }

    #[test]
    fn a_session_that_ends_while_a_commit_is_under_way_leaves_it_open() {
        check(&SqlState::ADMIN_SHUTDOWN, Fault::SendBroken, Fault::AnswerBroken);
        check(&SqlState::CRASH_SHUTDOWN, Fault::SendBroken, Fault::AnswerBroken);
        check(&SqlState::INTERNAL_ERROR, Fault::SendBroken, Fault::AnswerBroken);
    }
}
