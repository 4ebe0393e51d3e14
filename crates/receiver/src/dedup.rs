//! Which deliveries were received: their ids, for a window of time.

use rusqlite::{Transaction, params};

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS writ_received (delivery TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS writ_received_at ON writ_received (at);";

/// Ids beyond the window that one arrival clears away: more than one, so that the table shrinks again, and few, so
/// that no arrival waits long.
const CLEARED_MAX: i64 = 16;

/// Records an id; false when it is recorded already.
pub(crate) fn record(transaction: &Transaction<'_>, delivery: &str, now: i64) -> rusqlite::Result<bool> {
    let record = "INSERT INTO writ_received VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(transaction.prepare_cached(record)?.execute(params![delivery, now])? == 1)
}

/// Forgets some of the ids that were recorded before `oldest`.
pub(crate) fn forget(transaction: &Transaction<'_>, oldest: i64) -> rusqlite::Result<()> {
    let forget = "DELETE FROM writ_received WHERE delivery IN
        (SELECT delivery FROM writ_received WHERE at < ?1 ORDER BY at LIMIT ?2)";
    transaction.prepare_cached(forget)?.execute(params![oldest, CLEARED_MAX])?;
    Ok(())
}
