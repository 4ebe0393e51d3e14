//! Replays and what is asked of them.

use tokio::sync::oneshot;
use writ_kernel::dispatch::replay::Act;
use writ_model::id::Offset;
use writ_model::replay::{ReplayOrder, Speed};
use writ_model::time::Timestamp;
use writ_store::state::State;

use super::{EngineHandle, state_failed, unknown_subscriber, unreadable};
use crate::error::EngineError;
use crate::hub::command::Command;
use crate::hub::jobs::ReplayStatus;
use crate::hub::reader::Unreadable;
use crate::hub::replays::{Ordered, ReplayRequest, Waiting, unknown, unusable};
use crate::replay::{Errand, Plan};

/// Ended replays in a list at most.
const LISTED_MAX: usize = 100;

const SECOND: i64 = 1_000_000;

impl EngineHandle {
    /// What a replay would send. Sends and writes nothing.
    pub async fn plan_replay(&self, request: ReplayRequest) -> Result<Plan, EngineError> {
        let name = request.subscriber.as_str();
        let lane = self.shared.subscribers.iter().position(|known| known.as_str() == name);
        let lane = lane.and_then(|lane| u16::try_from(lane).ok()).ok_or_else(|| unknown_subscriber(name))?;
        let order = self.planned(request);
        let from = order.from;
        let errand = Errand::new(order, writ_kernel::dispatch::LaneId(lane)).map_err(|e| unusable(&e))?;
        self.shared.recall.plan(errand).await.map_err(|Unreadable| unreadable(from))
    }

    /// Events a second at most that a speed stands for in this engine; `None`: without a limit.
    pub fn replay_rate(&self, speed: Speed) -> Option<u32> {
        speed.per_second(self.shared.replay_rate)
    }

    fn planned(&self, request: ReplayRequest) -> ReplayOrder {
        request.within(self.shared.cold.start()..self.shared.payloads.shown())
    }

    /// Starts a replay, or finds the one that the same request has started. Its order is durable when this
    /// returns.
    pub async fn order_replay(&self, request: ReplayRequest) -> Result<Ordered, EngineError> {
        self.ask_hub(|waiting| Command::Replay(Box::new(request), waiting)).await
    }

    /// Pauses, resumes, slows or cancels a replay. The act and its actor are durable when this returns.
    pub async fn act_on_replay(&self, id: &str, act: Act, actor: &str) -> Result<ReplayStatus, EngineError> {
        let (id, actor) = (id.to_owned(), actor.to_owned());
        self.ask_hub(|waiting| Command::Act { id, act, actor, waiting }).await
    }

    pub(super) async fn ask_hub<T>(
        &self,
        command: impl FnOnce(Waiting<T>) -> Command,
    ) -> Result<T, EngineError> {
        let ((answer, answered), (durable, is_durable)) = (oneshot::channel(), oneshot::channel());
        drop(self.shared.commands.send(command(Waiting { answer, durable })).await);
        let answer = answered.await.map_err(|_| stopping())??;
        is_durable.await.map_err(|_| stopping())?;
        Ok(answer)
    }

    /// Replays that run, and the last that ended; the last ordered first.
    pub async fn replays(&self) -> Result<Vec<ReplayStatus>, EngineError> {
        let (reply, answer) = oneshot::channel();
        drop(self.shared.commands.send(Command::Replays(reply)).await);
        let mut listed = answer.await.unwrap_or_default();
        let is_listed = |listed: &[ReplayStatus], id: &str| listed.iter().any(|one| one.progress.id == id);
        let state = self.shared.state.as_ref();
        for progress in state.ended_replays(LISTED_MAX).map_err(state_failed)? {
            if !is_listed(&listed, &progress.id) {
                let order = state.replay_order(&progress.id).map_err(state_failed)?;
                listed.push(ReplayStatus::at_rest(progress, order));
            }
        }
        Ok(listed)
    }

    /// One replay.
    pub async fn replay(&self, id: &str) -> Result<ReplayStatus, EngineError> {
        let (reply, answer) = oneshot::channel();
        drop(self.shared.commands.send(Command::Replays(reply)).await);
        let running = answer.await.unwrap_or_default();
        match running.into_iter().find(|one| one.progress.id == id) {
            Some(status) => Ok(status),
            None => replay_at_rest(self.shared.state.as_ref(), id)?.ok_or_else(|| unknown(id)),
        }
    }

    /// The offset of the first event recorded at or after a time, or one a little before it.
    pub fn offset_at(&self, time: Timestamp) -> Result<Offset, EngineError> {
        self.shared.state.offset_at(time).map_err(state_failed)
    }

    /// An offset behind all events recorded before a time; `None`: the log's end.
    pub fn offset_before(&self, time: Timestamp) -> Result<Option<Offset>, EngineError> {
        let state = self.shared.state.as_ref();
        let applied = state.applied();
        // The index knows whole seconds: the next one's first event is behind all of this one's.
        let next = Timestamp(time.0.div_euclid(SECOND) * SECOND + SECOND);
        let found = state.offset_at(next).map_err(state_failed)?;
        Ok((found < applied).then_some(found))
    }
}

/// A replay as derived state has it; `None` when it is not there.
pub(crate) fn replay_at_rest(state: &dyn State, id: &str) -> Result<Option<ReplayStatus>, EngineError> {
    let order = state.replay_order(id).map_err(state_failed)?;
    let known = state.replays().map_err(state_failed)?.into_iter();
    let ended = state.ended_replays(usize::MAX).map_err(state_failed)?;
    let found = known.chain(ended).find(|progress| progress.id == id);
    Ok(found.map(|progress| ReplayStatus::at_rest(progress, order)))
}

pub(crate) fn stopping() -> EngineError {
    let remedy = "ask again when it runs; look whether the act was taken";
    let code = writ_model::code::NOT_RUNNING;
    EngineError::new(code, "carry out an act", "the engine is stopping", remedy)
}
