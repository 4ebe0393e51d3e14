//! What a lane has settled and not yet told: gathered so that a busy lane writes one `Settled` and one
//! `Cursor` fact for many events.

use std::time::Duration;

use writ_model::delivery::Acknowledgement;
use writ_model::id::Offset;
use writ_model::time::Moment;

/// How much a lane gathers before it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Tells after so many settlements.
    pub settlements_max: usize,
    /// Tells so long after the first.
    pub delay_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { settlements_max: 512, delay_max: Duration::from_millis(100) }
    }
}

/// A position that moved this far over events of no interest is written although nothing settled. It must
/// be far more than the records that such writes add to the log, or idle lanes would feed themselves.
pub(super) const IDLE_ADVANCE: u64 = 16_384;

/// The gathered settlements of one lane.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    policy: Policy,
    settled: Vec<(Offset, Acknowledgement)>,
    due: Option<Moment>,
    written: Offset,
}

impl Ledger {
    pub(super) fn new(policy: Policy, written: Offset) -> Self {
        Self { policy, settled: Vec::new(), due: None, written }
    }

    pub(super) fn push(&mut self, now: Moment, offset: Offset, acknowledgement: Acknowledgement) {
        self.settled.push((offset, acknowledgement));
        self.touch(now);
    }

    /// Something is to be written although nothing settled.
    pub(super) fn touch(&mut self, now: Moment) {
        self.due.get_or_insert(now.after(self.policy.delay_max));
    }

    /// The position moved without a settlement.
    pub(super) fn advanced(&mut self, now: Moment, watermark: Offset) {
        if watermark.0.saturating_sub(self.written.0) >= IDLE_ADVANCE {
            self.touch(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.due
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.settled.len() >= self.policy.settlements_max || self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_none()
    }

    /// Hands out what was gathered, in offset order; `watermark` is about to be written with it.
    pub(super) fn take(&mut self, watermark: Offset) -> Vec<(Offset, Acknowledgement)> {
        self.due = None;
        self.written = watermark;
        let mut settled = std::mem::take(&mut self.settled);
        settled.sort_by_key(|(offset, _)| *offset);
        settled
    }
}
