//! Shortens the log, in small steps of the follower's thread:
//!
//! ```text
//! judged -> journaled (`Truncated`) -> derived rows forgotten, step by step -> segments removed
//! ```
//!
//! Once journaled the decision stands: a crash after it goes on behind the next start. The writer journals
//! nothing that was judged before a hold or a replay which it has committed since.

use std::sync::Arc;
use std::time::{Duration, Instant};

use writ_model::code;
use writ_model::id::Offset;
use writ_store::log::{LogReader, Record};
use writ_store::state::State;

use super::{Extent, Keeper, KeeperError, would_start};
use crate::clock;
use crate::error::EngineError;
use crate::metric;
use crate::writer::{Work, WriterHandle};

/// The log is judged this often, and reads on in its first segment.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Bytes of log whose rows are forgotten in one step.
const STEP_BYTES: usize = 1 << 20;

/// Owned by the follower.
pub(crate) struct Janitor {
    keeper: Arc<Keeper>,
    log: Box<dyn LogReader>,
    writer: WriterHandle,
    looked: Instant,
    /// Rows of everything below are forgotten.
    forgotten: Offset,
    /// The writer was asked to remove what is below.
    asked: Offset,
}

impl Janitor {
    pub(crate) fn new(keeper: Arc<Keeper>, log: Box<dyn LogReader>, writer: WriterHandle) -> Self {
        let looked = Instant::now();
        Self { keeper, log, writer, looked, forgotten: Offset::ZERO, asked: Offset::ZERO }
    }

    /// The follower's word: everything below is durable outside of the log.
    pub(crate) fn durable(&self, through: Offset) {
        self.keeper.durable(through);
    }

    /// Takes one small step. Called by the thread that applies, when it has applied what is committed.
    pub(crate) fn step(&mut self, state: &dyn State) {
        if let Err(error) = self.try_step(state) {
            let remedy = "check the disk; the log is kept until this works";
            let error = EngineError::new(code::RETENTION_FAILED, "shorten the log", error, remedy);
            tracing::error!(code = error.code.id, error = %error, "retention failed");
            metric::follower_error("shorten the log");
        }
    }

    fn try_step(&mut self, state: &dyn State) -> Result<(), KeeperError> {
        let before = state.truncated()?;
        if before > self.log.start() {
            return self.carry_out(state, before);
        }
        if self.keeper.classes.is_empty() || self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let as_of = state.applied();
        let judged = self.keeper.judge(self.log.as_mut(), state, Extent::Prefix, clock::wall())?;
        if let Some(before) = would_start(&judged) {
            self.writer.send(Work::Retire { before, as_of });
        }
        Ok(())
    }

    /// Forgets the rows of what goes, then has it removed.
    fn carry_out(&mut self, state: &dyn State, before: Offset) -> Result<(), KeeperError> {
        let from = self.forgotten.max(self.log.start());
        if from < before {
            let mut records = self.log.read(from, STEP_BYTES)?;
            records.retain(|record| record.offset() < before);
            state.forget(&records)?;
            self.forgotten = records.last().map(Record::offset).map_or(before, Offset::next);
        } else if self.asked < before {
            self.asked = before;
            self.writer.send(Work::Truncate(before));
        }
        Ok(())
    }
}
