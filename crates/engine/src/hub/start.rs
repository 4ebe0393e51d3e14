//! Before the first turn: lanes and replays take up what the journal holds. Also what is shown of lanes.

use std::collections::BTreeMap;

use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::lane::Recovered;
use writ_kernel::dispatch::replay::Order;
use writ_model::control::ReplayProgress;

use super::Hub;
use super::command::ReplayRequest;
use crate::handle::LaneStatus;

impl Hub {
    /// Lets the lanes read.
    pub(crate) fn start(
        mut self,
        recovered: BTreeMap<LaneId, Recovered>,
        replays: &[ReplayProgress],
    ) -> Self {
        let now = self.clock.now();
        self.dispatch.start(now, recovered, &mut self.dispatch_effects);
        for progress in replays {
            let order = Order::resumed(progress, None);
            if !self.add_replay(progress.subscriber.as_str(), order) {
                tracing::warn!(
                    replay = progress.id,
                    "replay was not resumed: its subscriber is not configured"
                );
            }
        }
        self
    }

    pub(super) fn replay(&mut self, request: ReplayRequest) -> bool {
        let order = Order::new(&request.id, request.from, request.to, request.rate);
        self.add_replay(&request.subscriber, order)
    }

    fn add_replay(&mut self, subscriber: &str, order: Order) -> bool {
        let Some(base) = self.lanes.by_name(subscriber) else { return false };
        let (id, now) = (order.id.clone(), self.clock.now());
        match self.dispatch.replay(now, base, order, &mut self.dispatch_effects) {
            Ok(lane) => {
                self.lanes.keep_replays(|lane| self.dispatch.lane(lane).is_some());
                self.lanes.add_replay(id, lane, base);
                true
            }
            Err(refused) => {
                tracing::warn!(subscriber, error = %refused, "replay refused");
                false
            }
        }
    }

    pub(super) fn cancel_replay(&mut self, id: &str) -> bool {
        let running = self.lanes.replay(id).filter(|lane| self.dispatch.lane(*lane).is_some());
        let Some(lane) = running else { return false };
        self.take(super::Fact::Dispatch(writ_kernel::dispatch::Fact::Cancel(lane)));
        true
    }

    pub(super) fn status(&self) -> Vec<LaneStatus> {
        let end = self.payloads.end();
        self.lanes.live_ids().filter_map(|id| self.lane_status(id, end)).collect()
    }

    fn lane_status(&self, id: LaneId, end: writ_model::id::Offset) -> Option<LaneStatus> {
        let lane = self.dispatch.lane(id)?;
        let name = self.lanes.subscriber_name(id)?;
        Some(LaneStatus {
            subscriber: name.to_string(),
            kind: self.lanes.kind(id).to_owned(),
            guarantees: self.lanes.promises(id).all().collect(),
            state: lane.state().as_str(),
            breaker: lane.breaker(),
            watermark: lane.watermark(),
            lag: end.0.saturating_sub(lane.watermark().0),
            waiting: lane.items(),
            in_flight: lane.in_flight(),
            parked_subjects: lane.parked_subjects(),
            dead_letters: self.lanes.state.dead_letter_count(name).unwrap_or_default(),
            last_failure: self.lanes.last_failure(id),
        })
    }
}
