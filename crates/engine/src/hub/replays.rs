//! Replays at the hub: orders are checked and started, acts are passed on, reads are served.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::oneshot;
use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::replay::{Act, Order, Refused, check_ids};
use writ_kernel::machine::Machine;
use writ_kernel::select::SelectError;
use writ_model::code;
use writ_model::control::ReplayProgress;
use writ_model::id::{Offset, SubscriberName};
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};
use writ_model::time::Timestamp;

use super::jobs::{ReplayStatus, has_ended};
use super::{Fact, Hub};
use crate::clock;
use crate::error::EngineError;
use crate::payload::Stretch;
use crate::replay::Errand;
use crate::writer::Work;

/// A replay to be ordered.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// To whom.
    pub subscriber: SubscriberName,
    /// First offset; the log's start when that is later.
    pub from: Offset,
    /// First offset after the range; the log's end when there is none or it is later.
    pub to: Option<Offset>,
    /// Which events of it.
    pub selection: Selection,
    /// Under which delivery ids.
    pub ids: DeliveryIds,
    /// What becomes of shredded events.
    pub shredded: Shredded,
    /// Events a second at most.
    pub rate_per_second: Option<u32>,
    /// Why new ids are forced on an exactly-once pair.
    pub forced: Option<String>,
    /// Hash of caller and idempotency key; empty without one.
    pub request: String,
    /// Hash of what was asked.
    pub asked: String,
    /// Who asks.
    pub actor: String,
}

impl ReplayRequest {
    /// The order, without number and time, cut to the stretch that the log holds.
    pub(crate) fn within(self, held: Range<Offset>) -> ReplayOrder {
        ReplayOrder {
            id: String::new(),
            number: 0,
            subscriber: self.subscriber,
            from: self.from.max(held.start),
            to: self.to.map_or(held.end, |to| to.min(held.end)),
            selection: self.selection,
            ids: self.ids,
            shredded: self.shredded,
            rate_per_second: self.rate_per_second,
            forced: self.forced,
            request: self.request,
            asked: self.asked,
            actor: self.actor,
            at: Timestamp::default(),
        }
    }
}

/// A replay that was ordered, by this request or by the same one earlier.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// The replay.
    pub status: ReplayStatus,
    /// It was ordered by this request.
    pub is_new: bool,
}

/// Who waits for an act: what came of it, and, dropped unsent on an error, word that it is durable.
pub(crate) struct Waiting<T> {
    pub(crate) answer: oneshot::Sender<Result<T, EngineError>>,
    pub(crate) durable: oneshot::Sender<()>,
}

impl Hub {
    pub(super) fn order_replay(&mut self, request: ReplayRequest, waiting: Waiting<Ordered>) {
        let ordered = self.ordered_before(&request).transpose().unwrap_or_else(|| self.order_new(request));
        self.answer_when_durable(ordered, waiting);
    }

    /// Everything journaled so far is durable when `durable` is told.
    fn answer_when_durable<T>(&mut self, result: Result<T, EngineError>, waiting: Waiting<T>) {
        self.carry_out();
        if result.is_ok() {
            self.writer.send(Work::Durable(waiting.durable));
        }
        // Who asked may have gone.
        let _ = waiting.answer.send(result);
    }

    /// The replay that this very request has ordered before.
    fn ordered_before(&self, request: &ReplayRequest) -> Result<Option<Ordered>, EngineError> {
        if request.request.is_empty() {
            return Ok(None);
        }
        let Some(order) = self.order_of(&request.request)? else { return Ok(None) };
        if order.asked != request.asked {
            let cause = format!("it ordered {} with another body", order.id);
            let remedy = "send a new key with a new request";
            let tried = "order a replay under this idempotency key";
            return Err(EngineError::new(code::REQUEST_REUSED, tried, cause, remedy));
        }
        let status = self.jobs.status_of(&order.id, &self.dispatch, self.clock.now().moment);
        let status = status.map_or_else(|| self.replay_at_rest(&order.id), |status| Ok(Some(status)))?;
        let status = status.ok_or_else(|| unknown(&order.id))?;
        Ok(Some(Ordered { status, is_new: false }))
    }

    fn order_of(&self, request: &str) -> Result<Option<ReplayOrder>, EngineError> {
        if let Some(order) = self.jobs.of_request(request) {
            return Ok(Some(order.clone()));
        }
        let read = |error| crate::recovery::failed("look for an earlier request", &error);
        let Some(id) = self.lanes.state.replay_of_request(request).map_err(read)? else { return Ok(None) };
        self.lanes.state.replay_order(&id).map_err(read)
    }

    /// A replay that is not in this run's book.
    fn replay_at_rest(&self, id: &str) -> Result<Option<ReplayStatus>, EngineError> {
        crate::handle::replay_at_rest(self.lanes.state.as_ref(), id)
    }

    fn order_new(&mut self, request: ReplayRequest) -> Result<Ordered, EngineError> {
        let base = self.lanes.by_name(request.subscriber.as_str());
        let base = base.ok_or_else(|| refused(&Refused::UnknownLane, &request.subscriber))?;
        let order = self.order(request);
        check_ids(&order, &self.lanes.promises(base)).map_err(|error| refused(&error, &order.subscriber))?;
        let subscriber = order.subscriber.clone();
        let errand = Errand::new(order.clone(), base).map_err(|error| unusable(&error))?;
        let id = order.id.clone();
        self.start_replay(errand, Order::new(order)).map_err(|error| refused(&error, &subscriber))?;
        let status = self.jobs.status_of(&id, &self.dispatch, self.clock.now().moment);
        Ok(Ordered { status: status.ok_or_else(|| unknown(&id))?, is_new: true })
    }

    fn order(&self, request: ReplayRequest) -> ReplayOrder {
        let held = self.cold.start()..self.payloads.shown();
        let number = self.jobs.next_number();
        let id = format!("replay-{number}");
        ReplayOrder { id, number, at: clock::wall(), ..request.within(held) }
    }

    /// Starts a replay or takes one up.
    pub(super) fn start_replay(&mut self, errand: Errand, order: Order) -> Result<(), Refused> {
        let (base, id, progress) = (errand.base, order.given.id.clone(), order.progress.clone());
        let now = self.clock.now();
        let lane = self.dispatch.replay(now, base, order, &mut self.dispatch_effects)?;
        self.lanes.keep_replays(|lane| self.dispatch.lane(lane).is_some());
        self.lanes.add_replay(id, lane, base);
        self.jobs.add(Arc::new(errand), lane, progress, now.moment);
        Ok(())
    }

    pub(super) fn act_on_replay(
        &mut self,
        id: &str,
        act: Act,
        actor: String,
        waiting: Waiting<ReplayStatus>,
    ) {
        let done = self.act(id, act, actor);
        self.answer_when_durable(done, waiting);
    }

    fn act(&mut self, id: &str, act: Act, actor: String) -> Result<ReplayStatus, EngineError> {
        let now = self.clock.now();
        let Some(lane) = self.jobs.running(id) else {
            let known = self.jobs.status_of(id, &self.dispatch, now.moment);
            let known = known.map_or_else(|| self.replay_at_rest(id), |status| Ok(Some(status)))?;
            return Err(known.map_or_else(|| unknown(id), |status| at_rest(&status.progress)));
        };
        let fact = writ_kernel::dispatch::Fact::Act(lane, act, actor);
        self.dispatch.on(now, fact, &mut self.dispatch_effects);
        self.carry_out();
        self.jobs.status_of(id, &self.dispatch, now.moment).ok_or_else(|| unknown(id))
    }

    /// Serves the lane of a replay: from the index or the disk, through today's gate.
    pub(super) fn read_replay(&self, lane: LaneId, errand: Arc<Errand>, stretch: Stretch) {
        let (recall, facts) = (self.recall.clone(), self.facts.clone());
        tokio::spawn(async move {
            let (items, next) = recall.offer(errand, stretch).await;
            drop(facts.send(Fact::Dispatch(writ_kernel::dispatch::Fact::Offered(lane, items, next))));
        });
    }
}

/// A selection that cannot be used.
pub(crate) fn unusable(error: &SelectError) -> EngineError {
    let (code, remedy) = match error {
        SelectError::Filter(_) => (code::FILTER_INVALID, "see docs/reference/filters.md"),
        SelectError::Subjects(_) | SelectError::Sequence => (code::REQUEST_INVALID, "correct the selection"),
    };
    EngineError::new(code, "select the events of a replay", error, remedy)
}

fn refused(error: &Refused, subscriber: &SubscriberName) -> EngineError {
    let tried = format!("start a replay to {subscriber}");
    let (code, remedy) = match error {
        Refused::UnknownLane => (code::SUBSCRIBER_UNKNOWN, "see `writ status` for the names"),
        Refused::EmptyRange => (code::REQUEST_INVALID, "choose offsets or times that the log holds"),
        Refused::TooMany | Refused::SameName => (code::REPLAY_REFUSED, "see `writ replay list`"),
        Refused::ExactlyOnce(_) => (
            code::REISSUE_REFUSED,
            "replay under the same ids, or force it and say why: the reason is journaled with your name",
        ),
    };
    EngineError::new(code, &tried, error, remedy)
}

pub(crate) fn unknown(id: &str) -> EngineError {
    let remedy = "see `writ replay list` for those that run and the last that ended";
    EngineError::new(code::REPLAY_UNKNOWN, &format!("find replay {id:?}"), "there is none", remedy)
}

/// Why nothing can be done to a replay that does not run.
fn at_rest(progress: &ReplayProgress) -> EngineError {
    let (cause, remedy) = if has_ended(progress) {
        ("it has ended", "order another one; what it delivered stays delivered")
    } else {
        ("its subscriber is not configured", "configure the subscriber again, or leave the replay as it is")
    };
    EngineError::new(code::REPLAY_REFUSED, &format!("change replay {:?}", progress.id), cause, remedy)
}
