//! The highest epoch of the engine that was seen: whoever comes with a lower one is a former owner.

use rusqlite::{OptionalExtension as _, Transaction, params};

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS writ_epoch (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;";

/// The highest epoch before this one, where it is higher; otherwise this one is the highest from now on.
pub(crate) fn fences(transaction: &Transaction<'_>, epoch: u64) -> rusqlite::Result<Option<u64>> {
    // SQLite's integers are signed; an epoch counts starts of an engine.
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let mut highest = transaction.prepare_cached("SELECT epoch FROM writ_epoch")?;
    let highest: Option<i64> = highest.query_row([], |row| row.get(0)).optional()?;
    match highest {
        Some(highest) if highest > epoch => Ok(u64::try_from(highest).ok()),
        Some(highest) if highest == epoch => Ok(None),
        Some(_) | None => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO writ_epoch VALUES (1, ?1)")?
                .execute(params![epoch])?;
            Ok(None)
        }
    }
}
