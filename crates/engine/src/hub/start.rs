//! Before the first turn: lanes and replays take up what the journal holds. Also what is shown of lanes.

use std::collections::BTreeMap;

use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::lane::Recovered;
use writ_kernel::dispatch::replay::Order;
use writ_model::control::ReplayProgress;
use writ_model::finding::Finding;
use writ_model::replay::ReplayOrder;

use super::Hub;
use crate::handle::LaneStatus;
use crate::replay::Errand;

impl Hub {
    /// Lets the lanes read.
    pub(crate) fn start(
        mut self,
        recovered: BTreeMap<LaneId, Recovered>,
        replays: Vec<(Option<ReplayOrder>, ReplayProgress)>,
        findings: Vec<Finding>,
    ) -> Self {
        let now = self.clock.now();
        self.dispatch.start(now, recovered, &mut self.dispatch_effects);
        self.start_findings(findings);
        for (order, progress) in replays {
            self.take_up(order, progress);
        }
        self
    }

    /// A replay that did not end goes on with what was ordered, where it was and as fast as it was.
    fn take_up(&mut self, order: Option<ReplayOrder>, progress: ReplayProgress) {
        let id = progress.id.clone();
        let base = self.lanes.by_name(progress.subscriber.as_str());
        let order = Order::resumed(order, progress);
        let started = match base.map(|base| Errand::new(order.given.clone(), base)) {
            Some(Ok(errand)) => self.start_replay(errand, order).map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("its subscriber is not configured".to_owned()),
        };
        if let Err(cause) = started {
            tracing::warn!(replay = id, cause, "replay was not resumed");
        }
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
            bytes: lane.bytes(),
            in_flight: lane.in_flight(),
            parked_subjects: lane.parked_subjects(),
            dead_letters: self.lanes.state.dead_letter_count(name).unwrap_or_default(),
            last_failure: self.lanes.last_failure(id),
        })
    }
}
