//! The hub's book of replays: those that run, and the last that ended in this run. What is older is in the
//! derived state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use writ_kernel::dispatch::{Dispatch, LaneId};
use writ_model::control::ReplayProgress;
use writ_model::id::Offset;
use writ_model::replay::ReplayOrder;
use writ_model::time::Moment;

use crate::replay::Errand;

/// So many ended replays are remembered: derived state knows of them long before they are forgotten here.
const ENDED_MAX: usize = 64;

/// A replay, as `writ replay show` has it.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayStatus {
    /// How far it came.
    #[serde(flatten)]
    pub progress: ReplayProgress,
    /// Events selected so far: delivered, withheld, failed, and those under way.
    pub selected: u64,
    /// Seconds until its end, at the speed since it began or was resumed; `None` when that is not known.
    pub eta_seconds: Option<u64>,
    /// What was ordered; `None` for one of a former version.
    pub order: Option<ReplayOrder>,
}

impl ReplayStatus {
    /// One that does not run in this engine.
    pub(crate) fn at_rest(progress: ReplayProgress, order: Option<ReplayOrder>) -> Self {
        let selected = progress.delivered + progress.withheld + progress.failed;
        Self { selected, eta_seconds: None, order, progress }
    }
}

struct Job {
    errand: Arc<Errand>,
    lane: LaneId,
    progress: ReplayProgress,
    /// When and where it began or went on.
    began: (Moment, Offset),
}

/// All jobs of this run, by number.
pub(crate) struct Jobs {
    jobs: BTreeMap<u32, Job>,
    last_number: u32,
}

impl Jobs {
    /// `last_number` is that of the last replay that was ever ordered.
    pub(crate) fn new(last_number: u32) -> Self {
        Self { jobs: BTreeMap::new(), last_number }
    }

    /// The number of the next replay: never given twice, for new delivery ids are made from it.
    pub(super) fn next_number(&self) -> u32 {
        self.last_number + 1
    }

    pub(super) fn add(&mut self, errand: Arc<Errand>, lane: LaneId, progress: ReplayProgress, now: Moment) {
        self.last_number = self.last_number.max(errand.order.number);
        let began = (now, progress.next);
        self.jobs.insert(errand.order.number, Job { errand, lane, progress, began });
        let ended: Vec<u32> =
            self.jobs.iter().filter(|(_, job)| has_ended(&job.progress)).map(|(n, _)| *n).collect();
        let more = ended.len().saturating_sub(ENDED_MAX);
        ended.iter().take(more).for_each(|number| drop(self.jobs.remove(number)));
    }

    /// What the lane of a replay reads for.
    pub(super) fn errand(&self, lane: LaneId) -> Option<Arc<Errand>> {
        self.jobs.values().find(|job| job.lane == lane).map(|job| Arc::clone(&job.errand))
    }

    pub(super) fn of_request(&self, request: &str) -> Option<&ReplayOrder> {
        self.jobs.values().map(|job| &job.errand.order).find(|order| order.request == request)
    }

    fn get(&self, id: &str) -> Option<&Job> {
        self.jobs.values().find(|job| job.errand.order.id == id)
    }

    /// The lane of a replay that runs.
    pub(super) fn running(&self, id: &str) -> Option<LaneId> {
        self.get(id).filter(|job| !has_ended(&job.progress)).map(|job| job.lane)
    }

    /// Takes note of how far a replay came.
    pub(super) fn note(&mut self, progress: &ReplayProgress, now: Moment) {
        let job = self.jobs.values_mut().find(|job| job.errand.order.id == progress.id);
        let Some(job) = job else { return };
        if job.progress.state != progress.state || job.progress.rate_per_second != progress.rate_per_second {
            job.began = (now, progress.next);
        }
        job.progress.clone_from(progress);
    }

    /// All of this run, the last one first.
    pub(super) fn status(&self, dispatch: &Dispatch, now: Moment) -> Vec<ReplayStatus> {
        self.jobs.values().rev().map(|job| job.status(dispatch, now)).collect()
    }

    pub(super) fn status_of(&self, id: &str, dispatch: &Dispatch, now: Moment) -> Option<ReplayStatus> {
        self.get(id).map(|job| job.status(dispatch, now))
    }
}

impl Job {
    fn status(&self, dispatch: &Dispatch, now: Moment) -> ReplayStatus {
        let lane = dispatch.lane(self.lane);
        let progress = lane.and_then(|lane| lane.progress()).unwrap_or_else(|| self.progress.clone());
        let under_way = lane.map_or(0, |lane| lane.items() as u64);
        let order = Some(self.errand.order.clone());
        let eta_seconds = lane.and_then(|_| self.eta(&progress, now));
        let rest = ReplayStatus::at_rest(progress, order);
        ReplayStatus { selected: rest.selected + under_way, eta_seconds, ..rest }
    }

    /// By the offsets that are left: how many events will be selected among them is not known.
    fn eta(&self, progress: &ReplayProgress, now: Moment) -> Option<u64> {
        let (at, from) = self.began;
        let passed = progress.next.0.checked_sub(from.0).filter(|passed| *passed > 0)?;
        if progress.state != "running" {
            return None;
        }
        let left = u128::from(progress.to.0.saturating_sub(progress.next.0));
        let micros = now.since(at).as_micros() * left / u128::from(passed);
        u64::try_from(micros / 1_000_000).ok()
    }
}

pub(super) fn has_ended(progress: &ReplayProgress) -> bool {
    matches!(progress.state.as_str(), "done" | "cancelled")
}
