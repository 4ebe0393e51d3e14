//! The stream: messages in, changes out in bounded batches, and the durable position back to the server.
//!
//! The server is told only what [`Outlet::durable`] says. A server that writes nothing for us (unmapped
//! tables, other databases) still moves on: its position, taken between transactions, is emitted as progress
//! and confirmed when that progress is durable, like any other. So the slot is never ahead of the record, and
//! a slot that is ahead was moved by somebody else.
//!
//! The transport reads the socket in a task of its own and goes on answering the server while this one waits
//! for room in the engine's channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgwire_replication::{Lsn, ReplicationClient, ReplicationEvent};
use tokio::time::Instant;
use writ_model::code;
use writ_model::id::{Incarnation, Position, SourceName};

use super::outlet::{self, Halt, Outlet, stopped};
use super::pgoutput::{self, Begin, Message};
use super::session::{STATUS_INTERVAL, protocol, refusal};
use super::transaction::{Assembler, Fault, Notice, Step};
use crate::source::{Emit, SourceError};

/// Changes in one batch.
const BATCH_CHANGES_MAX: usize = 1_000;
/// Bytes of messages behind one batch.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How often a position that brings no changes is emitted; each costs the engine a commit.
const IDLE_PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the last confirmation to leave when stopping.
const FAREWELL_WAIT: Duration = Duration::from_secs(2);

/// A running stream.
pub(super) struct Stream<'a> {
    client: ReplicationClient,
    outlet: &'a mut Outlet,
    assembler: Assembler,
    source: SourceName,
    incarnation: Incarnation,
    /// Every commit record before it has been read.
    read: u64,
    /// The last position that was emitted.
    emitted: u64,
    emitted_at: Instant,
    /// Bytes of messages behind the changes that are ready.
    bytes: usize,
    truncates: u64,
    /// Counts transactions, for the heartbeat.
    transactions: Arc<AtomicU64>,
}

/// What a stream starts from.
pub(super) struct Beginning {
    pub(super) client: ReplicationClient,
    pub(super) assembler: Assembler,
    pub(super) source: SourceName,
    pub(super) incarnation: Incarnation,
    pub(super) from: u64,
    pub(super) transactions: Arc<AtomicU64>,
}

/// What ended a wait.
enum Woken {
    Stopped,
    Durable,
    Event(Option<ReplicationEvent>),
    /// No message is waiting while changes are ready.
    Quiet,
    /// A position without changes is due.
    Due,
}

impl<'a> Stream<'a> {
    pub(super) fn new(beginning: Beginning, outlet: &'a mut Outlet) -> Self {
        let Beginning { client, assembler, source, incarnation, from, transactions } = beginning;
        let (read, emitted, emitted_at) = (from, from, Instant::now());
        Self {
            client,
            outlet,
            assembler,
            source,
            incarnation,
            read,
            emitted,
            emitted_at,
            bytes: 0,
            truncates: 0,
            transactions,
        }
    }

    /// Runs until stopped, or until the stream cannot go on.
    pub(super) async fn run(&mut self) -> Result<(), Halt> {
        let ended = self.follow().await;
        if matches!(ended, Err(Halt::Stopped)) {
            self.farewell().await;
        }
        ended
    }

    async fn follow(&mut self) -> Result<(), Halt> {
        loop {
            match self.wait().await? {
                Woken::Stopped => return Err(Halt::Stopped),
                Woken::Durable => self.confirm(),
                Woken::Event(event) => {
                    let event = event.ok_or_else(|| self.ended())?;
                    self.take(event).await?;
                }
                Woken::Quiet | Woken::Due => self.flush().await?,
            }
        }
    }

    async fn wait(&mut self) -> Result<Woken, SourceError> {
        let is_between = !self.assembler.is_open();
        let is_ready = is_between && self.assembler.ready() > 0;
        let is_behind = is_between && self.read > self.emitted;
        let due = self.emitted_at + IDLE_PROGRESS_EVERY;
        tokio::select! {
            biased;
            () = stopped(&mut self.outlet.stop) => Ok(Woken::Stopped),
            changed = self.outlet.durable.changed() => Ok(changed.map_or(Woken::Stopped, |()| Woken::Durable)),
            // Dropping this future loses no message: at worst the reason for the end, which a new start finds.
            event = self.client.recv() => match event {
                Ok(event) => Ok(Woken::Event(event)),
                Err(error) => Err(refusal("read the stream", &error)),
            },
            () = std::future::ready(()), if is_ready => Ok(Woken::Quiet),
            () = tokio::time::sleep_until(due), if is_behind => Ok(Woken::Due),
        }
    }

    async fn take(&mut self, event: ReplicationEvent) -> Result<(), Halt> {
        match event {
            ReplicationEvent::XLogData { data, .. } => {
                self.bytes += data.len();
                let message = pgoutput::decode(&data).map_err(|error| self.fault(&error.into()))?;
                self.assemble(message)?;
            }
            ReplicationEvent::Begin { final_lsn, xid, commit_time_micros } => {
                let begin =
                    Begin { commit_lsn: final_lsn.as_u64(), committed_micros: commit_time_micros, xid };
                self.assemble(Message::Begin(begin))?;
            }
            ReplicationEvent::Commit { end_lsn, .. } => {
                self.assemble(Message::Commit { end_lsn: end_lsn.as_u64() })?;
            }
            ReplicationEvent::Message { transactional, .. } => {
                self.assemble(Message::Logical { is_transactional: transactional })?;
            }
            // With a transaction under way the server may be past its commit, but its rows are not all here.
            ReplicationEvent::KeepAlive { wal_end, .. } if !self.assembler.is_open() => {
                self.read = self.read.max(wal_end.as_u64());
            }
            ReplicationEvent::KeepAlive { .. } => {}
            ReplicationEvent::StoppedAt { .. } => return Err(self.ended().into()),
        }
        self.tell_notices().await?;
        if self.assembler.ready() >= BATCH_CHANGES_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    fn assemble(&mut self, message: Message) -> Result<(), Halt> {
        match self.assembler.take(message).map_err(|fault| self.fault(&fault))? {
            Step::On => {}
            Step::Committed { end_lsn } => {
                self.read = self.read.max(end_lsn);
                self.transactions.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    async fn tell_notices(&mut self) -> Result<(), Halt> {
        for notice in self.assembler.notices() {
            match notice {
                Notice::Truncated { table } => {
                    self.truncates += 1;
                    tracing::warn!(
                        source = %self.source,
                        table,
                        "a mapped table was truncated: its records are gone, and no change says which"
                    );
                    #[expect(clippy::cast_precision_loss, reason = "a count for a gauge")]
                    let value = self.truncates as f64;
                    self.send(Emit::Health { name: "truncates_total", value }).await?;
                }
                Notice::ColumnsGone { table, columns } => {
                    tracing::warn!(
                        source = %self.source,
                        table,
                        columns = columns.join(","),
                        "mapped columns are gone from the table: they are unseen from here on"
                    );
                    #[expect(clippy::cast_precision_loss, reason = "a count for a gauge")]
                    let value = columns.len() as f64;
                    self.send(Emit::Health { name: "mapped_columns_gone", value }).await?;
                }
            }
        }
        Ok(())
    }

    /// Emits what is ready. Inside a transaction the progress stays at the last commit.
    async fn flush(&mut self) -> Result<(), Halt> {
        self.bytes = 0;
        let changes = self.assembler.drain();
        if changes.is_empty() && self.read == self.emitted {
            return Ok(());
        }
        let position = Position { commit: self.read, ordinal: 0 };
        let emit = outlet::changes(changes, &self.source, &self.incarnation, position, None);
        self.send(emit).await?;
        self.emitted = self.read;
        self.emitted_at = Instant::now();
        Ok(())
    }

    /// Emits, and goes on confirming what becomes durable while the engine's channel is full.
    async fn send(&mut self, emit: Emit) -> Result<(), Halt> {
        let channel = self.outlet.emit.clone();
        loop {
            let is_durable = tokio::select! {
                biased;
                () = stopped(&mut self.outlet.stop) => return Err(Halt::Stopped),
                changed = self.outlet.durable.changed() => changed.map_err(|_| Halt::Stopped).map(|()| None)?,
                room = channel.reserve() => Some(room.map_err(|_| Halt::Stopped)?),
            };
            match is_durable {
                Some(room) => {
                    room.send(emit);
                    return Ok(());
                }
                None => self.confirm(),
            }
        }
    }

    /// Tells the server what is durable here. Positions of another life or of the snapshot say nothing to it.
    fn confirm(&mut self) {
        let durable = self.outlet.durable.borrow_and_update().through.clone();
        let Some((incarnation, position)) = durable else { return };
        if incarnation == self.incarnation && position.ordinal == 0 {
            self.client.update_applied_lsn(Lsn::from_u64(position.commit));
        }
    }

    /// Lets the last confirmation leave before the connection closes.
    async fn farewell(&mut self) {
        self.confirm();
        let metrics = self.client.metrics();
        let durable = self.outlet.durable.borrow().through.clone();
        let last = durable.filter(|(incarnation, _)| *incarnation == self.incarnation);
        let last = last.map_or(0, |(_, position)| position.commit);
        let told = async {
            while metrics.last_applied_lsn().as_u64() < last {
                // The transport reads on while messages are taken from it, and tells between them.
                let read = tokio::time::timeout(STATUS_INTERVAL / 10, self.client.recv()).await;
                if matches!(read, Ok(Ok(None) | Err(_))) {
                    return;
                }
            }
        };
        if tokio::time::timeout(FAREWELL_WAIT, told).await.is_err() {
            tracing::warn!(source = %self.source, "stopped before the last position was confirmed; it is read again");
        }
        self.client.stop();
    }

    fn ended(&self) -> SourceError {
        SourceError {
            code: code::SOURCE_UNREACHABLE,
            tried: format!("read the stream of {}", self.source),
            cause: "the server ended it".to_owned(),
            remedy: "see the server's log".to_owned(),
            is_passing: true,
        }
    }

    fn fault(&self, fault: &Fault) -> SourceError {
        let tried = format!("read the stream of {}", self.source);
        let (code, remedy) = match fault {
            Fault::Key(_) => (code::MAPPING_UNFIT, "correct the mapping to the table as it is now"),
            Fault::Row(super::rows::RowError::NoKey { .. }) => {
                (code::REPLICA_IDENTITY, "map the key to columns of the replica identity, or make it FULL")
            }
            Fault::Row(super::rows::RowError::Shape { .. }) | Fault::Decode(_) | Fault::Order(_) => {
                return protocol(tried, fault.to_string());
            }
        };
        SourceError { code, tried, cause: fault.to_string(), remedy: remedy.to_owned(), is_passing: false }
    }
}
