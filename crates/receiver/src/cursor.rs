//! How far was received: for each source and slot the highest sequence, and when Writ admitted it.
//!
//! It is a high-water mark: an event below it may still wait in Writ's dead letters. Writ keeps the cursor that
//! deliveries go by; this one is for the day when the receiver's database comes back from a backup: ask for a
//! replay from [`newest`], less what may have been in flight then. What was applied before is skipped.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::event::Event;
use crate::receiver::StoreError;

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS writ_cursor (source TEXT NOT NULL, slot TEXT NOT NULL, sequence TEXT NOT NULL,
    recorded TEXT NOT NULL, PRIMARY KEY (source, slot)) WITHOUT ROWID, STRICT;";

/// The mark of one slot of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// `/writ/<tenant>/<source>`.
    pub source: String,
    /// Which share of its subjects.
    pub slot: String,
    /// The highest sequence received there.
    pub sequence: String,
    /// When Writ admitted that event, RFC 3339.
    pub recorded: String,
}

pub(crate) fn advance(transaction: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let advance = "INSERT INTO writ_cursor VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
        SET sequence = excluded.sequence, recorded = excluded.recorded WHERE excluded.sequence > sequence";
    let place = params![event.source, event.slot, event.sequence, event.recorded];
    transaction.prepare_cached(advance)?.execute(place)?;
    Ok(())
}

/// Every mark, by source and slot.
///
/// # Errors
/// When the database does not give them.
pub fn marks(database: &Connection) -> Result<Vec<Mark>, StoreError> {
    let read = || -> rusqlite::Result<Vec<Mark>> {
        let mut marks =
            database.prepare("SELECT source, slot, sequence, recorded FROM writ_cursor ORDER BY 1, 2")?;
        let mark = |row: &rusqlite::Row<'_>| {
            Ok(Mark { source: row.get(0)?, slot: row.get(1)?, sequence: row.get(2)?, recorded: row.get(3)? })
        };
        marks.query_map([], mark)?.collect()
    };
    read().map_err(StoreError::tried("read the cursor"))
}

/// When the newest event that was received was admitted, RFC 3339; `None` before the first.
///
/// # Errors
/// When the database does not give it.
pub fn newest(database: &Connection) -> Result<Option<String>, StoreError> {
    let newest = "SELECT recorded FROM writ_cursor ORDER BY recorded DESC LIMIT 1";
    let newest = database.query_row(newest, [], |row| row.get(0)).optional();
    newest.map_err(StoreError::tried("read the cursor"))
}
