//! The judge of arrivals. All it knows is in the caller's database, and everything it writes is in the caller's
//! transaction: what it records is durable when, and only when, the effect is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction};

use crate::event::Event;
use crate::order::Place;
use crate::{cursor, dedup, epoch, order};

/// The receiver's database failed. Do not acknowledge: the event comes again.
#[derive(Debug, thiserror::Error)]
#[error("{tried}: {source}; roll back and do not acknowledge, the event comes again")]
pub struct StoreError {
    tried: &'static str,
    source: rusqlite::Error,
}

impl StoreError {
    pub(crate) fn tried(tried: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self { tried, source }
    }
}

/// One event, delivered.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The delivery id: `webhook-id` of a request with one event, `deliveryid` of an event in a lease.
    pub delivery: &'a str,
    /// The event.
    pub event: &'a Event,
    /// The engine's epoch, where the delivery says it (`writ-epoch` of a lease or a webhook).
    pub epoch: Option<u64>,
    /// The receiver's clock.
    pub now: SystemTime,
}

/// What to do with an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Apply it in this transaction, commit, then acknowledge. If applying fails, roll back: nothing was recorded.
    /// An event that an operator reissued is first again, as long as it is the last of its subject.
    First,
    /// It was applied under this delivery id. Commit, acknowledge, do nothing else.
    Repeated,
    /// A later event of its subject was applied. Applying this one would undo what is newer: commit, acknowledge,
    /// do nothing else.
    Stale,
    /// It comes from an engine that another has replaced. Do not apply and do not acknowledge: the new one sends
    /// it again.
    Fenced {
        /// The highest epoch seen.
        highest: u64,
    },
}

/// Judges arrivals against one database. Cheap to clone.
#[derive(Debug, Clone, Copy)]
pub struct Receiver {
    window: Duration,
}

impl Receiver {
    /// Creates the tables (`writ_…`) where they are missing.
    ///
    /// `window` says how long a delivery id is remembered. Writ repeats one for as long as it retries
    /// (`delivery.age_max`, 72 h), longer after a redrive or a replay: choose more than the oldest of those that
    /// you would ask for. Beyond the window a repeat is still found out by the last event of its subject, which is
    /// kept for good: one short row for each subject.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create(database: &Connection, window: Duration) -> Result<Self, StoreError> {
        for table in [dedup::TABLE, epoch::TABLE, order::TABLE, cursor::TABLE] {
            database.execute_batch(table).map_err(StoreError::tried("create the receiver's tables"))?;
        }
        Ok(Self { window })
    }

    /// Judges one arrival and records it in the transaction. The record is durable with the transaction's commit;
    /// commit before the acknowledgement, never after. Two arrivals of one delivery must not be judged by
    /// transactions that both began before either wrote: begin them immediate, or use one connection.
    ///
    /// # Errors
    /// When the database fails: roll back and do not acknowledge.
    pub fn judge(&self, transaction: &Transaction<'_>, arrival: &Arrival<'_>) -> Result<Verdict, StoreError> {
        self.decide(transaction, arrival).map_err(StoreError::tried("record an arrival"))
    }

    fn decide(&self, transaction: &Transaction<'_>, arrival: &Arrival<'_>) -> rusqlite::Result<Verdict> {
        if let Some(epoch) = arrival.epoch
            && let Some(highest) = epoch::fences(transaction, epoch)?
        {
            return Ok(Verdict::Fenced { highest });
        }
        dedup::forget(transaction, millis(arrival.now - self.window.min(since_1970(arrival.now))))?;
        if !dedup::record(transaction, arrival.delivery, millis(arrival.now))? {
            return Ok(Verdict::Repeated);
        }
        match order::place(transaction, arrival.event, arrival.delivery)? {
            Place::Before => return Ok(Verdict::Stale),
            Place::Same => return Ok(Verdict::Repeated),
            Place::Next => {}
        }
        cursor::advance(transaction, arrival.event)?;
        Ok(Verdict::First)
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: SystemTime) -> i64 {
    i64::try_from(since_1970(time).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
