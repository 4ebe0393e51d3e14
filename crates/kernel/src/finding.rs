//! What should an operator deal with, and by when? A machine that opens, counts and closes findings, each with
//! a clock of its own. `docs/reference/findings.md` is the public form of its tables.
//!
//! It is told what lanes note, and decides what of it is a finding. A finding that is seen again is journaled
//! at most once a minute, so that a subscriber that refuses everything does not fill the log with findings.

use std::collections::BTreeMap;
use std::time::Duration;

use writ_model::finding::{Finding, FindingKind, Severity};
use writ_model::id::SubscriberName;
use writ_model::time::Moment;

use crate::dispatch::lane::{Lane, State};
use crate::dispatch::{GivenUp, Note};
use crate::machine::{Machine, Now};

#[cfg(test)]
mod tests;

/// A finding that is seen again is told at most this often.
pub const TELL_EVERY: Duration = Duration::from_secs(60);

/// What one note says of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is so.
    Seen(FindingKind),
    /// It is not so any more.
    Over(FindingKind),
}

/// What a note of a live lane says of findings.
pub fn signs(note: &Note) -> &'static [Sign] {
    use FindingKind::{BehindRetention, Down, Exhausted, Gone, Late, OrderViolated, Rejecting, WaitCut};
    match note {
        Note::Disorder => &[Sign::Seen(OrderViolated)],
        Note::DeadLettered { why: GivenUp::Rejected, .. } => &[Sign::Seen(Rejecting)],
        Note::DeadLettered { why: GivenUp::Exhausted, .. } | Note::DeadLettersFull => {
            &[Sign::Seen(Exhausted)]
        }
        Note::NoneParked => &[Sign::Over(Rejecting), Sign::Over(Exhausted)],
        Note::Breaker("open") => &[Sign::Seen(Down)],
        Note::Breaker("closed") => &[Sign::Over(Down)],
        Note::Late => &[Sign::Seen(Late)],
        Note::InTime => &[Sign::Over(Late)],
        Note::Gone => &[Sign::Seen(Gone)],
        Note::Resumed => &[Sign::Over(Gone), Sign::Over(OrderViolated)],
        Note::Behind { .. } => &[Sign::Seen(BehindRetention)],
        Note::Noticed => &[Sign::Over(BehindRetention)],
        Note::Throttled { bounded: true, .. } => &[Sign::Seen(WaitCut)],
        Note::Acknowledged(_) => &[Sign::Over(WaitCut)],
        Note::Throttled { bounded: false, .. }
        | Note::Breaker(_)
        | Note::Retried { .. }
        | Note::Unconfirmed { .. }
        | Note::Unresolved { .. }
        | Note::Voided { .. }
        | Note::Caught(_) => &[],
    }
}

/// What a lane as it is at the start says of findings of an earlier run.
pub fn signs_at_start(lane: &Lane) -> Vec<Sign> {
    let mut over = Vec::new();
    if lane.parked_subjects() == 0 {
        over.extend_from_slice(signs(&Note::NoneParked));
    }
    if lane.state() == State::Running {
        over.extend_from_slice(signs(&Note::Resumed));
    }
    over
}

/// How bad a finding is.
pub fn severity(kind: FindingKind) -> Severity {
    match kind {
        FindingKind::OrderViolated => Severity::P0,
        FindingKind::Rejecting | FindingKind::BehindRetention => Severity::P1,
        FindingKind::Exhausted | FindingKind::Down | FindingKind::Late | FindingKind::Gone => Severity::P3,
        FindingKind::WaitCut => Severity::P4,
    }
}

/// How long there is to deal with it; `None`: it is for the record.
pub fn time_for(severity: Severity) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    match severity {
        Severity::P0 => Some(Duration::ZERO),
        Severity::P1 => Some(DAY.saturating_mul(3)),
        Severity::P2 => Some(DAY.saturating_mul(7)),
        Severity::P3 => Some(DAY.saturating_mul(30)),
        Severity::P4 => None,
    }
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Whose lane.
    pub subscriber: SubscriberName,
    /// What was seen of it.
    pub sign: Sign,
}

/// What it wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put the finding, as it is now, in the journal with the next commit.
    Journal(Finding),
    /// It was opened, or its time has passed: tell whoever watches.
    Alert(Finding),
}

#[derive(Debug, Clone)]
struct Open {
    finding: Finding,
    /// When its time has passed; `None`: it has, or there is none.
    due: Option<Moment>,
    /// When what was seen since it was last told is told.
    tell: Option<Moment>,
    told: Moment,
}

/// All open findings.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    open: BTreeMap<(SubscriberName, FindingKind), Open>,
    /// The earliest deadline of all of them.
    next: Option<Moment>,
}

impl Findings {
    /// Takes up what the journal holds; those of subscribers that are not configured any more are closed.
    pub fn start(
        now: Now,
        journaled: Vec<Finding>,
        is_known: impl Fn(&SubscriberName) -> bool,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut findings = Self::default();
        for finding in journaled.into_iter().filter(|finding| finding.closed_at.is_none()) {
            if is_known(&finding.subscriber) {
                findings.take_up(now, finding);
            } else {
                effects.push(Effect::Journal(closed(finding, now)));
            }
        }
        findings.reckon();
        findings
    }

    /// The open ones, by subscriber and kind.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.open.values().map(|open| &open.finding)
    }

    fn take_up(&mut self, now: Now, finding: Finding) {
        let due = finding.due.filter(|_| !finding.is_overdue).map(|due| {
            let left = u64::try_from(due.0.saturating_sub(now.wall.0)).unwrap_or_default();
            now.moment.after(Duration::from_micros(left))
        });
        let key = (finding.subscriber.clone(), finding.kind);
        self.open.insert(key, Open { finding, due, tell: None, told: now.moment });
    }

    fn see(&mut self, now: Now, key: (SubscriberName, FindingKind), effects: &mut Vec<Effect>) {
        if let Some(open) = self.open.get_mut(&key) {
            open.finding.seen += 1;
            open.tell.get_or_insert(open.told.after(TELL_EVERY).max(now.moment));
            return;
        }
        let (subscriber, kind) = key;
        let severity = severity(kind);
        let finding = Finding {
            subscriber,
            kind,
            severity,
            opened_at: now.wall,
            updated_at: now.wall,
            seen: 1,
            due: time_for(severity).map(|time| now.wall.after(time)),
            is_overdue: false,
            closed_at: None,
        };
        effects.extend([Effect::Journal(finding.clone()), Effect::Alert(finding.clone())]);
        self.take_up(now, finding);
    }

    fn reckon(&mut self) {
        self.next = self.open.values().flat_map(|open| [open.due, open.tell]).flatten().min();
    }
}

fn closed(finding: Finding, now: Now) -> Finding {
    Finding { updated_at: now.wall, closed_at: Some(now.wall), ..finding }
}

impl Machine for Findings {
    type Fact = Fact;
    type Effect = Effect;

    fn on(&mut self, now: Now, fact: Fact, effects: &mut Vec<Effect>) {
        match fact.sign {
            Sign::Seen(kind) => self.see(now, (fact.subscriber, kind), effects),
            Sign::Over(kind) => match self.open.remove(&(fact.subscriber, kind)) {
                Some(open) => effects.push(Effect::Journal(closed(open.finding, now))),
                None => return,
            },
        }
        self.reckon();
    }

    fn on_time(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.next.is_none_or(|next| next > now.moment) {
            return;
        }
        for open in self.open.values_mut() {
            let is_due = open.due.is_some_and(|due| due <= now.moment);
            if !is_due && open.tell.is_none_or(|tell| tell > now.moment) {
                continue;
            }
            open.finding.updated_at = now.wall;
            (open.tell, open.told) = (None, now.moment);
            if is_due {
                open.due = None;
                open.finding.is_overdue = true;
                effects.push(Effect::Alert(open.finding.clone()));
            }
            effects.push(Effect::Journal(open.finding.clone()));
        }
        self.reckon();
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.next
    }
}
