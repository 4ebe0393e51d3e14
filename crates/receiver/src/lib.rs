//! For whoever receives events from Writ: apply each of them once.
//!
//! Writ delivers at least once, under a delivery id that never changes. This crate turns that into an effect that
//! happens once: record the id **in the same SQLite transaction as the effect**, skip what is recorded. It
//! depends on nothing of Writ's, does no network, and reads no clock.
//!
//! - [`Verifier`] checks the signature of a webhook (Standard Webhooks 1.0.0).
//! - [`Event`] reads the few attributes that matter here, from JSON or from headers.
//! - [`Receiver`] judges an arrival inside the caller's transaction: first, repeated, stale, or fenced.
//! - [`cursor`] says how far was received, to ask for a replay after a backup was restored.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use writ_receiver::{Arrival, Event, Receiver, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut database = rusqlite::Connection::open_in_memory()?;
//! database.execute_batch("CREATE TABLE mails (event TEXT)")?;
//! let receiver = Receiver::create(&database, Duration::from_secs(30 * 24 * 3600))?;
//! let event = Event::parse(br#"{"id": "e1", "source": "/writ/acme/shop", "slot": "17",
//!     "sequence": "00000000000000000042", "partitionkey": "p", "recordedtime": "2026-11-21T05:30:00Z"}"#)?;
//! for expected in [Verdict::First, Verdict::Repeated] {
//!     let transaction = database.transaction()?;
//!     let arrival = Arrival { delivery: "d1", event: &event, epoch: None, now: SystemTime::now() };
//!     let verdict = receiver.judge(&transaction, &arrival)?;
//!     assert_eq!(verdict, expected);
//!     if verdict == Verdict::First {
//!         transaction.execute("INSERT INTO mails VALUES (?1)", [&event.id])?;
//!     }
//!     // Acknowledge only after this.
//!     transaction.commit()?;
//! }
//! # Ok(())
//! # }
//! ```

pub mod cursor;

mod dedup;
mod epoch;
mod event;
mod order;
mod receiver;
mod signature;

pub use event::{Event, NotAnEvent};
pub use receiver::{Arrival, Receiver, StoreError, Verdict};
pub use signature::{BadSecret, Refused, Signed, Verifier};
