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

use tokio::sync::mpsc;
use writ_model::code;
use writ_model::id::{Offset, SourceName};
use writ_model::time::Timestamp;
use writ_store::log::{LogReader, Record};
use writ_store::state::State;

use super::{Extent, Keeper, KeeperError, left_behind, would_start};
use crate::clock;
use crate::error::EngineError;
use crate::hub::command::Command;
use crate::metric;
use crate::writer::{Work, WriterHandle};

/// The log is judged this often, and reads on in its first segment.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Bytes of log whose rows are forgotten in one step.
const STEP_BYTES: usize = 1 << 20;

/// Pushed changes of one source that are forgotten in one step.
const TAKEN_STEP: usize = 1024;

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
    /// How long the pushed changes of each source are remembered.
    windows: Vec<(SourceName, Duration)>,
    let_go: Instant,
    /// To the lanes.
    commands: mpsc::Sender<Command>,
}

impl Janitor {
    pub(crate) fn new(
        keeper: Arc<Keeper>,
        log: Box<dyn LogReader>,
        writer: WriterHandle,
        windows: Vec<(SourceName, Duration)>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let (looked, forgotten, asked) = (Instant::now(), Offset::ZERO, Offset::ZERO);
        Self { keeper, log, writer, looked, forgotten, asked, windows, let_go: looked, commands }
    }

    /// The follower's word: everything below is durable outside of the log.
    pub(crate) fn durable(&self, through: Offset) {
        self.keeper.durable(through);
    }

    /// Takes one small step. Called by the thread that applies, when it has applied what is committed.
    pub(crate) fn step(&mut self, state: &dyn State) {
        let stepped = self.try_step(state).and_then(|()| self.let_go(state));
        if let Err(error) = stepped {
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
        if self.keeper.terms.classes.is_empty() || self.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.looked = Instant::now();
        let as_of = state.applied();
        let now = clock::wall();
        let judged = self.keeper.judge(self.log.as_mut(), state, Extent::Prefix, now)?;
        if let Some(before) = would_start(&judged) {
            self.writer.send(Work::Retire { before, as_of });
        }
        for (subscriber, to) in left_behind(&judged, now) {
            // A full queue is asked again with the next look. The segment goes when the cursor that follows from
            // this is durable, and not before.
            drop(self.commands.try_send(Command::Behind(subscriber, to)));
        }
        Ok(())
    }

    /// Lets pushed changes go whose window is over. The writer asks nothing of them any more.
    fn let_go(&mut self, state: &dyn State) -> Result<(), KeeperError> {
        if self.let_go.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        let now = clock::wall();
        let mut is_done = true;
        for (source, window) in &self.windows {
            let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
            let before = Timestamp(now.0.saturating_sub(window));
            is_done &= state.forget_taken(source, before, TAKEN_STEP)? < TAKEN_STEP;
        }
        if is_done {
            self.let_go = Instant::now();
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
