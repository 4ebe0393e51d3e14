//! The hub: drives dispatch, settlement and findings. One task owns the machines; everything else sends it facts.

pub(crate) mod command;
pub(crate) mod express;
mod findings;
pub(crate) mod jobs;
pub(crate) mod lanes;
mod passage;
pub(crate) mod reader;
pub(crate) mod replays;
mod start;
mod turn;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use writ_connectors::subscriber::Sender;
use writ_kernel::dispatch::{self, Dispatch, LaneId};
use writ_kernel::finding::Findings;
use writ_kernel::machine::Machine;
use writ_kernel::settle::{self, Settlement};
use writ_model::delivery::AttemptId;
use writ_model::id::Offset;
use writ_model::time::Moment;

use self::command::Command;
use self::express::{Look, Lookout};
use self::jobs::Jobs;
use self::lanes::Lanes;
use self::reader::ColdReader;
use crate::clock::Clock;
use crate::payload::{Event, Payloads, Stretch};
use crate::replay::Recall;
use crate::writer::WriterHandle;

/// Facts taken in one turn before effects that need the writer are flushed.
const FACTS_PER_TURN: usize = 256;

/// One commit's events, as the writer announces them.
pub(crate) struct Committed {
    pub(crate) events: Vec<Arc<Event>>,
    /// The log's end after it.
    pub(crate) end: Offset,
    /// Attempts that waited for it.
    pub(crate) confirmed: Vec<AttemptId>,
}

/// What tasks send back.
pub(crate) enum Fact {
    Dispatch(dispatch::Fact),
    Settle(settle::Fact),
}

/// The hub's end of every channel.
pub(crate) struct Inbox {
    pub(crate) facts: mpsc::UnboundedReceiver<Fact>,
    pub(crate) committed: mpsc::Receiver<Committed>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Owns the machines.
pub(crate) struct Hub {
    pub(crate) clock: Clock,
    pub(crate) dispatch: Dispatch,
    pub(crate) settlement: Settlement,
    pub(crate) findings: Findings,
    pub(crate) lanes: Lanes,
    pub(crate) jobs: Jobs,
    pub(crate) recall: Recall,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) cold: ColdReader,
    pub(crate) writer: WriterHandle,
    pub(crate) sender: Sender,
    pub(crate) facts: mpsc::UnboundedSender<Fact>,
    /// Lanes at the head, to be served by the next commit.
    pub(crate) waiting: BTreeMap<LaneId, Stretch>,
    /// Lanes that are behind and look for express events, of which there were none so far.
    pub(crate) looking: BTreeMap<LaneId, Look>,
    pub(crate) lookout: Lookout,
    /// Calls of connectors under way; each gives a fact.
    pub(crate) attempts: JoinSet<dispatch::Fact>,
    /// The fact when a call panics.
    pub(crate) if_lost: HashMap<Id, dispatch::Fact>,
    pub(crate) dispatch_effects: Vec<dispatch::Effect>,
    pub(crate) settle_effects: Vec<settle::Effect>,
    pub(crate) journal: Vec<writ_model::control::ControlFact>,
}

impl Hub {
    /// Runs until told to stop and every attempt in flight has ended.
    pub(crate) async fn run(mut self, mut inbox: Inbox) {
        self.carry_out();
        let mut is_draining = false;
        loop {
            if is_draining && self.attempts.is_empty() && !self.dispatch.awaits_commit() {
                break;
            }
            let deadline = self.next_deadline();
            let (clock, writer) = (self.clock, self.writer.work.clone());
            let sleep = async move {
                match deadline {
                    Some(at) => tokio::time::sleep_until(clock.instant(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(fact) = inbox.facts.recv() => self.take(fact),
                Some(done) = self.attempts.join_next_with_id(), if !self.attempts.is_empty() => self.answered(done),
                Some(committed) = inbox.committed.recv() => self.committed(committed),
                Some(command) = inbox.commands.recv() => self.command(command),
                () = sleep => self.on_time(),
                // Only a writer that failed is gone before the hub: no commit will come.
                () = writer.closed(), if is_draining => break,
                _ = inbox.stop.wait_for(|stop| *stop), if !is_draining => {
                    is_draining = true;
                    self.drain();
                }
            }
            self.drain_ready(&mut inbox);
            self.carry_out();
        }
        self.finish();
    }

    /// Takes what is already there, so that one turn's effects go to the writer together.
    fn drain_ready(&mut self, inbox: &mut Inbox) {
        for _ in 0..FACTS_PER_TURN {
            if let Some(done) = self.attempts.try_join_next_with_id() {
                self.answered(done);
            } else if let Ok(fact) = inbox.facts.try_recv() {
                self.take(fact);
            } else if let Ok(committed) = inbox.committed.try_recv() {
                self.committed(committed);
            } else {
                break;
            }
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        let machines =
            [self.dispatch.next_deadline(), self.settlement.next_deadline(), self.findings.next_deadline()];
        machines.into_iter().flatten().min()
    }
}
