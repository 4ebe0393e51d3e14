//! What operators ask of the running lanes.

use tokio::sync::oneshot;
use writ_kernel::dispatch::replay::Act;
use writ_kernel::dispatch::{self, LaneId};
use writ_kernel::machine::Machine;
use writ_model::id::{Offset, SubjectId};

use super::Hub;
use super::jobs::ReplayStatus;
use super::replays::{Ordered, ReplayRequest, Waiting};
use crate::handle::LaneStatus;

/// One request to the hub, with where the answer goes.
pub(crate) enum Command {
    /// All live lanes.
    Status(oneshot::Sender<Vec<LaneStatus>>),
    /// Pause or resume a subscriber.
    Pause(String, oneshot::Sender<bool>),
    Resume(String, oneshot::Sender<bool>),
    /// Redrive or discard one subject's dead letters at one subscriber.
    Redrive {
        subscriber: String,
        subject: SubjectId,
        actor: String,
        done: oneshot::Sender<bool>,
    },
    Discard {
        subscriber: String,
        subject: SubjectId,
        actor: String,
        done: oneshot::Sender<bool>,
    },
    /// Order a replay.
    Replay(Box<ReplayRequest>, Waiting<Ordered>),
    /// Pause, resume, slow or cancel a replay.
    Act {
        id: String,
        act: Act,
        actor: String,
        waiting: Waiting<ReplayStatus>,
    },
    /// The log waits for this subscriber no longer: it goes on at this offset.
    Behind(String, Offset),
    /// The replays of this run.
    Replays(oneshot::Sender<Vec<ReplayStatus>>),
}

impl Hub {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Pause(name, done) => {
                self.tell(&name, done, dispatch::Fact::Pause);
                // After the lane: what comes back to it is not offered again.
                self.lanes.by_name(&name).into_iter().for_each(|lane| self.lanes.withdraw(lane));
            }
            Command::Resume(name, done) => self.tell(&name, done, dispatch::Fact::Resume),
            Command::Redrive { subscriber, subject, actor, done } => {
                self.tell(&subscriber, done, |lane| dispatch::Fact::Redrive(lane, subject, actor));
            }
            Command::Discard { subscriber, subject, actor, done } => {
                self.tell(&subscriber, done, |lane| dispatch::Fact::Discard(lane, subject, actor));
            }
            Command::Replay(request, waiting) => self.order_replay(*request, waiting),
            Command::Act { id, act, actor, waiting } => self.act_on_replay(&id, act, actor, waiting),
            Command::Behind(name, to) => {
                let (done, _) = oneshot::channel();
                self.tell(&name, done, |lane| dispatch::Fact::Behind(lane, to));
            }
            Command::Replays(reply) => {
                drop(reply.send(self.jobs.status(&self.dispatch, self.clock.now().moment)));
            }
        }
    }

    fn tell(&mut self, name: &str, done: oneshot::Sender<bool>, fact: impl FnOnce(LaneId) -> dispatch::Fact) {
        let lane = self.lanes.by_name(name);
        if let Some(lane) = lane {
            let now = self.clock.now();
            self.dispatch.on(now, fact(lane), &mut self.dispatch_effects);
        }
        // Who asked may have gone.
        let _ = done.send(lane.is_some());
    }
}
