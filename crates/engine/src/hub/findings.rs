//! Tells the findings what live lanes note, and carries out what follows: the journal, a log line, a metric.

use writ_kernel::dispatch::{LaneId, Note};
use writ_kernel::finding::{self, Effect, Fact, Findings, Sign};
use writ_kernel::machine::Machine;
use writ_model::code::{self, Code};
use writ_model::control::ControlFact;
use writ_model::finding::{Finding, Severity};

use super::Hub;
use crate::metric;

impl Hub {
    /// Takes up the findings of earlier runs, and closes those that the lanes as they are contradict.
    pub(super) fn start_findings(&mut self, journaled: Vec<Finding>) {
        journaled.iter().for_each(metric::finding);
        let (now, mut effects) = (self.clock.now(), Vec::new());
        let is_known =
            |name: &_| self.lanes.live_ids().any(|id| self.lanes.subscriber_name(id) == Some(name));
        self.findings = Findings::start(now, journaled, is_known, &mut effects);
        for id in self.lanes.live_ids() {
            let signs = self.dispatch.lane(id).map(finding::signs_at_start).unwrap_or_default();
            self.signs(id, &signs, &mut effects);
        }
        self.found(effects);
    }

    /// What a lane noted; a replay's notes are its operator's business.
    pub(super) fn find(&mut self, lane: LaneId, note: &Note) {
        let signs = finding::signs(note);
        if signs.is_empty() || self.lanes.base(lane).is_none_or(|(base, _)| base != lane) {
            return;
        }
        let mut effects = Vec::new();
        self.signs(lane, signs, &mut effects);
        self.found(effects);
    }

    fn signs(&mut self, lane: LaneId, signs: &[Sign], effects: &mut Vec<Effect>) {
        let is_quiet = self.findings.open().next().is_none();
        let Some(subscriber) = self.lanes.subscriber_name(lane) else { return };
        for sign in signs {
            // Most notes say that all is well, and mostly nothing else was found.
            if is_quiet && matches!(sign, Sign::Over(_)) {
                continue;
            }
            let fact = Fact { subscriber: subscriber.clone(), sign: *sign };
            self.findings.on(self.clock.now(), fact, effects);
        }
    }

    pub(super) fn findings_on_time(&mut self) {
        let mut effects = Vec::new();
        self.findings.on_time(self.clock.now(), &mut effects);
        self.found(effects);
    }

    fn found(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Journal(finding) => {
                    metric::finding(&finding);
                    self.journal.push(ControlFact::Finding(finding));
                }
                Effect::Alert(finding) => alert(&finding),
            }
        }
    }
}

fn alert(finding: &Finding) {
    let Finding { subscriber, kind, severity, is_overdue, .. } = finding;
    let code = code_of(*severity).map_or("", |code| code.id);
    tracing::warn!(%subscriber, kind = kind.as_str(), %severity, is_overdue, code, "finding");
}

/// The page that says what to do about it.
fn code_of(severity: Severity) -> Option<Code> {
    match severity {
        Severity::P0 => Some(code::FINDING_ORDER),
        Severity::P1 => Some(code::FINDING_REJECTING),
        Severity::P3 => Some(code::FINDING_HELD_UP),
        Severity::P2 | Severity::P4 => None,
    }
}
