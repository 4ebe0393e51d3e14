//! What leaves say, held against each other: every final has its intent, every due intent its final,
//! accounting has no gap, and time does not run back.

use std::collections::BTreeMap;

use super::{Expectations, Fault, Report};
use crate::leaf::{Accounting, Attestation, EventId, FactsDigest, Intent, Leaf};
use crate::time::Time;

/// Some gigabyte of memory; a log with more open events has stopped settling.
const OPEN_INTENTS_MAX: usize = 10_000_000;

struct OpenIntent {
    event_id: EventId,
    facts: FactsDigest,
    settle_by: Time,
}

pub(super) struct Ledger<'a> {
    expected: &'a Expectations<'a>,
    open: BTreeMap<u64, OpenIntent>,
    is_open_complete: bool,
    accounts: BTreeMap<(String, String), u64>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(expected: &'a Expectations<'a>) -> Self {
        Self { expected, open: BTreeMap::new(), is_open_complete: true, accounts: BTreeMap::new() }
    }

    /// Takes the leaves in order.
    pub(super) fn observe(&mut self, index: u64, leaf: &Leaf, report: &mut Report) {
        *report.records.entry(leaf.kind().as_str()).or_default() += 1;
        self.check_time(index, leaf.timestamp(), report);
        match leaf {
            Leaf::Intent(intent) => self.open(index, intent, report),
            Leaf::Attestation(attestation) => self.close(index, attestation, report),
            Leaf::Accounting(accounting) => self.account(index, accounting, report),
            Leaf::Withheld(_) => {}
        }
    }

    fn check_time(&self, index: u64, at: Time, report: &mut Report) {
        let tolerance = self.expected.clock_tolerance_micros;
        if let Some(bound) = report.latest.filter(|latest| at.plus_micros(tolerance) < *latest) {
            report.add(Fault::Time { index, at, cause: "before an earlier leaf's", bound });
        }
        let bound = self.expected.now;
        if bound.plus_micros(tolerance) < at {
            report.add(Fault::Time { index, at, cause: "after the time of verification", bound });
        }
        report.latest = report.latest.max(Some(at));
    }

    fn open(&mut self, index: u64, intent: &Intent, report: &mut Report) {
        let (at, settle_by) = (intent.timestamp, intent.settle_by);
        if settle_by < at {
            report.add(Fault::Time { index, at, cause: "after its own time to settle", bound: settle_by });
        }
        if self.open.len() >= OPEN_INTENTS_MAX {
            if self.is_open_complete {
                report.add(Fault::TooManyOpen { index, limit: OPEN_INTENTS_MAX });
            }
            self.is_open_complete = false;
            return;
        }
        let intent = OpenIntent { event_id: intent.facts.event_id, facts: intent.facts.digest(), settle_by };
        self.open.insert(index, intent);
    }

    fn close(&mut self, index: u64, last: &Attestation, report: &mut Report) {
        let event_id = last.facts.event_id;
        let mut unpaired = |cause| report.add(Fault::Pairing { index, event_id, cause });
        if last.intent_index >= index {
            return unpaired("it names an intent that is not before it");
        }
        let Some(intent) = self.open.get(&last.intent_index) else {
            if self.is_open_complete {
                unpaired("it names a leaf that is no intent, or whose final leaf was before");
            }
            return;
        };
        if intent.event_id != event_id {
            return unpaired("it names the intent of another event");
        }
        if intent.facts != last.facts.digest() {
            return unpaired("it says otherwise of the event than its intent");
        }
        if intent.settle_by.plus_micros(self.expected.settle_slack_micros) < last.timestamp {
            report.late_finals += 1;
        }
        self.open.remove(&last.intent_index);
    }

    fn account(&mut self, index: u64, accounting: &Accounting, report: &mut Report) {
        let key = (accounting.source.clone(), accounting.partition.clone());
        let last = self.accounts.insert(key, accounting.seq);
        let expected = last.unwrap_or(0) + 1;
        if accounting.seq != expected {
            report.add(Fault::Gap {
                index,
                source_name: accounting.source.clone(),
                partition: accounting.partition.clone(),
                expected,
                found: accounting.seq,
            });
        }
    }

    /// After the last leaf.
    pub(super) fn finish(self, report: &mut Report) {
        report.open_intents = self.open.len() as u64;
        let slack = self.expected.settle_slack_micros;
        for (index, intent) in self.open {
            if intent.settle_by.plus_micros(slack) < self.expected.now {
                let (event_id, settle_by) = (intent.event_id, intent.settle_by);
                report.add(Fault::Overdue { index, event_id, settle_by });
            }
        }
    }
}
