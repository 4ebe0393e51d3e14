//! The contract of sources.
//!
//! A pull source resumes from any recorded position, tolerates and makes duplicates, can be cancelled at any
//! await, holds a bounded number of changes, and never drops a message that it does not understand: it stops
//! with an error instead. It acknowledges upstream only what [`Feed::durable`] says, and that moves with the
//! log's sync, never with a delivery.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};
use writ_model::change::Change;
use writ_model::code::Code;
use writ_model::control::SourceProgress;
use writ_model::id::{Incarnation, Position};
use writ_model::mapping::Tables;

/// Boxed, because sources and subscribers are chosen at run time.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a source sends to the engine, in position order.
#[derive(Debug)]
pub enum Emit {
    /// Changes, and how far the source is read when all of them are durable. `changes` may be empty: then
    /// only progress moves (idle streams, unmapped tables).
    Changes {
        /// In order.
        changes: Vec<Change>,
        /// Covers every change sent so far.
        progress: SourceProgress,
    },
    /// How a snapshot goes, for the progress bar. `total` is an estimate.
    Snapshot {
        /// Which table.
        table: String,
        /// Rows read.
        rows: u64,
        /// Rows expected.
        total: Option<u64>,
    },
    /// Something an operator should know: a verdict on the slot, a lag figure.
    Health {
        /// Metric name: `retained_wal_bytes`, `confirmed_position`.
        name: &'static str,
        /// Its value.
        value: f64,
    },
}

/// How far the log is durable for this source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durable {
    /// The last [`Emit::Changes`] progress that was synced.
    pub through: Option<(Incarnation, Position)>,
}

/// A source's ends of the channels to the engine.
#[derive(Debug)]
pub struct Feed {
    /// Bounded: a full channel is back-pressure; keepalives must go on meanwhile.
    pub emit: mpsc::Sender<Emit>,
    /// What may be acknowledged upstream.
    pub durable: watch::Receiver<Durable>,
    /// Turns true when the engine drains: acknowledge what is durable and return.
    pub stop: watch::Receiver<bool>,
}

/// A source that Writ reads.
pub trait PullSource: Send {
    /// Reads from `from` (or from the beginning, snapshot first) until stopped. Returns `Ok` only after
    /// `stop`; on a passing error it returns it and is run again after a wait, from the durable progress.
    fn run<'a>(
        &'a mut self,
        from: Option<SourceProgress>,
        feed: Feed,
    ) -> BoxFuture<'a, Result<(), SourceError>>;

    /// Connects and holds the mapping against the live schema; for `writ check --connect` and at start.
    fn check<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<String>, SourceError>>;
}

/// One request to the HTTP intake.
#[derive(Debug)]
pub struct Intake<'a> {
    /// Header names in lower case, values as they came.
    pub headers: &'a [(String, String)],
    /// The body's exact bytes, already below the size bound.
    pub body: &'a [u8],
    /// When it arrived.
    pub received_at: writ_model::time::Timestamp,
}

/// A source that sends to Writ's HTTP intake at `/v1/intake/<name>`.
pub trait PushSource: Send + Sync {
    /// Verifies and decodes one request. Pure: no I/O, no state. Positions are zero: the engine numbers what
    /// it is pushed, and identity is the change's `producer_id`.
    fn decode(&self, request: &Intake<'_>) -> Result<Vec<Change>, IntakeError>;

    /// The mapping of what it decodes: the operator's, or the connector's own where it has one.
    fn tables(&self) -> Tables;

    /// The source authenticates requests itself (a signature); if not, the API asks for an ingest token.
    fn is_self_authenticating(&self) -> bool;
}

/// A source stopped.
#[derive(Debug, thiserror::Error)]
#[error("{code} {tried}: {cause}; {remedy}")]
pub struct SourceError {
    /// Its code.
    pub code: Code,
    /// What was tried, with names; no personal data, no secrets.
    pub tried: String,
    /// What happened.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// Running the source again may help.
    pub is_passing: bool,
}

/// A request to the intake that is not taken. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {cause}; {remedy}")]
pub struct IntakeError {
    /// Its code.
    pub code: Code,
    /// What is wrong. Never a value from the body.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}
