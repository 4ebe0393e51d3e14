//! The last event that was applied of each subject: an earlier one must not undo it.
//!
//! Sequences number the events of a slot, so two of them compare only within one source and slot
//! (`docs/reference/events.md`); a subject stays in its slot.

use std::cmp::Ordering;

use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::event::Event;

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS writ_subject (source TEXT NOT NULL, slot TEXT NOT NULL, subject TEXT NOT NULL,
    sequence TEXT NOT NULL, delivery TEXT NOT NULL, PRIMARY KEY (source, slot, subject)) WITHOUT ROWID, STRICT;";

/// Where an arrival stands to the last event that was applied of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind it, or the same event under another delivery id, which an operator reissued. It is the last now.
    Next,
    /// The same, delivered under the same id.
    Same,
    /// Before it.
    Before,
}

/// Places an arrival, and remembers it as the last applied where it is next.
pub(crate) fn place(transaction: &Transaction<'_>, event: &Event, delivery: &str) -> rusqlite::Result<Place> {
    let last = "SELECT sequence, delivery FROM writ_subject WHERE source = ?1 AND slot = ?2 AND subject = ?3";
    let subject = params![event.source, event.slot, event.subject];
    let last: Option<(String, String)> = transaction
        .prepare_cached(last)?
        .query_row(subject, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((sequence, before)) = last {
        match event.sequence.cmp(&sequence) {
            Ordering::Less => return Ok(Place::Before),
            Ordering::Equal if before == delivery => return Ok(Place::Same),
            Ordering::Equal | Ordering::Greater => {}
        }
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO writ_subject VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![event.source, event.slot, event.subject, event.sequence, delivery])?;
    Ok(Place::Next)
}
