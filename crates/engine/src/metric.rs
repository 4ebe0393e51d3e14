//! Metric names, in one place. Labels are names from configuration and words from closed lists: never an
//! id, never a value.

use metrics::{counter, gauge, histogram};
use writ_kernel::dispatch::Note;
use writ_model::finding::Finding;
use writ_model::id::Offset;

/// Events stored, by source and change type.
pub const EVENTS_STORED: &str = "writ_events_stored_total";
/// Changes that were duplicates, by source.
pub const DUPLICATES: &str = "writ_changes_duplicate_total";
/// Changes of an attribute group that were older than what was applied and gave no event, by source and change type.
pub const STALE: &str = "writ_changes_stale_total";
/// Events kept out of the stream, by what they were kept as.
pub const WITHHELD: &str = "writ_events_withheld_total";
/// Commits made.
pub const COMMITS: &str = "writ_commits_total";
/// Seconds that an append with its sync took.
pub const COMMIT_SECONDS: &str = "writ_commit_seconds";
/// The log's end offset.
pub const LOG_END: &str = "writ_log_end";
/// The oldest offset that the log holds.
pub const LOG_START: &str = "writ_log_start";
/// The offset that derived state has reached.
pub const STATE_APPLIED: &str = "writ_state_applied";
/// Events acknowledged, by subscriber.
pub const ACKNOWLEDGED: &str = "writ_deliveries_acknowledged_total";
/// Retries scheduled, by subscriber and cause.
pub const RETRIED: &str = "writ_deliveries_retried_total";
/// Events dead-lettered, by subscriber and cause.
pub const DEAD_LETTERED: &str = "writ_deliveries_dead_lettered_total";
/// Events that are sent at most once and were not acknowledged, by subscriber and cause.
pub const UNCONFIRMED: &str = "writ_deliveries_unconfirmed_total";
/// Events that an erasure or a suppression made void, by subscriber.
pub const VOIDED: &str = "writ_deliveries_voided_total";
/// 0 closed, 1 half-open, 2 open; by subscriber.
pub const BREAKER: &str = "writ_breaker_state";
/// 1 while a finding is open, by subscriber, kind and severity.
pub const FINDING: &str = "writ_finding_open";
/// Open privacy cases, by how they stand.
pub const CASES: &str = "writ_cases";
/// Source stops, by source and code.
pub const SOURCE_ERRORS: &str = "writ_source_errors_total";
/// Health figures of sources, by source and figure.
pub const SOURCE_HEALTH: &str = "writ_source_health";
/// Follower failures, by what was tried.
pub const FOLLOWER_ERRORS: &str = "writ_follower_errors_total";

pub(crate) fn note(subscriber: &str, note: &Note) {
    let subscriber = subscriber.to_owned();
    match note {
        Note::Acknowledged(count) => {
            counter!(ACKNOWLEDGED, "subscriber" => subscriber).increment(u64::from(*count));
        }
        Note::Retried { cause, .. } => {
            counter!(RETRIED, "subscriber" => subscriber, "cause" => cause.clone()).increment(1);
        }
        Note::DeadLettered { offset, cause, .. } => {
            tracing::warn!(subscriber, offset = offset.0, cause, "event is in the dead letters");
            counter!(DEAD_LETTERED, "subscriber" => subscriber, "cause" => cause.clone()).increment(1);
        }
        Note::Behind { from, to } => {
            let code = writ_model::code::FINDING_BEHIND.id;
            tracing::error!(code, subscriber, from = from.0, to = to.0, "events are lost to the subscriber");
        }
        Note::Voided { offset, by } => {
            tracing::info!(subscriber, offset = offset.0, by = by.0, "event is void and not sent");
            counter!(VOIDED, "subscriber" => subscriber).increment(1);
        }
        Note::Unconfirmed { offset, cause } => {
            tracing::info!(
                subscriber,
                offset = offset.0,
                cause,
                "an event sent at most once was not acknowledged"
            );
            counter!(UNCONFIRMED, "subscriber" => subscriber, "cause" => cause.clone()).increment(1);
        }
        Note::Breaker(state) => {
            tracing::warn!(subscriber, state, "breaker changed");
            let value = match *state {
                "closed" => 0.0,
                "half_open" => 1.0,
                _ => 2.0,
            };
            gauge!(BREAKER, "subscriber" => subscriber).set(value);
        }
        Note::Gone => tracing::error!(subscriber, code = "WRIT-6004", "subscriber is gone; its lane stopped"),
        Note::Throttled { asked, bounded, .. } => {
            let asked_s = asked.as_secs_f64();
            tracing::info!(subscriber, asked_s, bounded, "subscriber asked for a wait");
        }
        Note::DeadLettersFull => {
            tracing::error!(
                subscriber,
                "no room for another parked subject; redrive or discard dead letters"
            );
        }
        Note::Disorder => {
            tracing::error!(subscriber, code = "WRIT-6020", "events came out of order; the lane stopped");
        }
        Note::Unresolved { cause } => {
            tracing::warn!(subscriber, cause, "prepared transactions cannot be listed or resolved now");
        }
        Note::Caught(_) | Note::NoneParked | Note::Resumed | Note::Noticed | Note::Late | Note::InTime => {}
    }
}

pub(crate) fn finding(finding: &Finding) {
    let Finding { subscriber, kind, severity, closed_at, .. } = finding;
    let (subscriber, severity) = (subscriber.to_string(), severity.to_string());
    let value = if closed_at.is_some() { 0.0 } else { 1.0 };
    gauge!(FINDING, "subscriber" => subscriber, "kind" => kind.as_str(), "severity" => severity).set(value);
}

/// Open privacy cases: all of them, those whose operator's date is over, those whose legal date is.
pub(crate) fn cases(open: usize, at_risk: usize, overdue: usize) {
    for (standing, count) in [("open", open), ("at_risk", at_risk), ("overdue", overdue)] {
        gauge!(CASES, "standing" => standing).set(count as f64);
    }
}

pub(crate) fn stored(source: &str, change_type: &'static str) {
    counter!(EVENTS_STORED, "source" => source.to_owned(), "change_type" => change_type).increment(1);
}

pub(crate) fn duplicate(source: &str) {
    counter!(DUPLICATES, "source" => source.to_owned()).increment(1);
}

pub(crate) fn stale(source: &str, change_type: &'static str) {
    counter!(STALE, "source" => source.to_owned(), "change_type" => change_type).increment(1);
}

pub(crate) fn withheld(kept_as: &'static str) {
    counter!(WITHHELD, "as" => kept_as).increment(1);
}

pub(crate) fn commit(seconds: f64, end: Offset) {
    counter!(COMMITS).increment(1);
    histogram!(COMMIT_SECONDS).record(seconds);
    gauge!(LOG_END).set(as_float(end));
}

pub(crate) fn begins(offset: Offset) {
    gauge!(LOG_START).set(as_float(offset));
}

pub(crate) fn applied(offset: Offset) {
    gauge!(STATE_APPLIED).set(as_float(offset));
}

pub(crate) fn source_error(source: &str, code: &'static str) {
    counter!(SOURCE_ERRORS, "source" => source.to_owned(), "code" => code).increment(1);
}

pub(crate) fn source_health(source: &str, figure: &'static str, value: f64) {
    gauge!(SOURCE_HEALTH, "source" => source.to_owned(), "figure" => figure).set(value);
}

pub(crate) fn follower_error(tried: &'static str) {
    counter!(FOLLOWER_ERRORS, "tried" => tried).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; offsets stay exact up to 2^53")]
fn as_float(offset: Offset) -> f64 {
    offset.0 as f64
}
