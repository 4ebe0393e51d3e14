//! What can be done about a clock that runs: extending its period, once and in time, and stopping it where the law
//! stops it. An act that changes nothing is answered with the reason.

use jiff::civil::Date;

use super::Unanswerable;
use super::span::days_between;
use crate::law::{Period, Row};

/// The acts recorded for one clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acts {
    /// The person was told that the period is extended, in the order of telling.
    pub told: Vec<Told>,
    /// The clock stood still, in order.
    pub pauses: Vec<Pause>,
}

/// The person was told that the period is extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub on: Date,
    /// Why.
    pub reason: String,
}

/// The clock stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Since this day.
    pub from: Date,
    /// Until it ran again on this day; `None` while it stands still.
    pub to: Option<Date>,
}

impl Acts {
    /// Pauses are in order, apart from each other, and after the start.
    pub(super) fn check(&self, start: Date) -> Result<(), Unanswerable> {
        let mut earliest = Some(start);
        for pause in &self.pauses {
            let Some(after) = earliest else {
                return Err(Unanswerable::Pause("a pause follows one that has not ended".to_owned()));
            };
            if pause.from < after {
                return Err(Unanswerable::Pause(format!(
                    "the pause from {} begins before {after}, when the clock was not there to stop",
                    pause.from
                )));
            }
            if pause.to.is_some_and(|to| to < pause.from) {
                return Err(Unanswerable::Pause(format!(
                    "the pause from {} ends before it begins",
                    pause.from
                )));
            }
            earliest = pause.to;
        }
        Ok(())
    }

    /// Acts on a duty that has no period.
    pub(super) fn without_period(&self) -> Vec<String> {
        let told = self.told.iter().map(|told| {
            format!("the extension told on {} changes nothing: there is no period to extend", told.on)
        });
        let pauses = self
            .pauses
            .iter()
            .map(|pause| format!("the pause from {} changes nothing: there is no clock to stop", pause.from));
        told.chain(pauses).collect()
    }
}

/// The whole period, if one of the tellings extends it. `limit` is the last day on which it can be told.
pub(super) fn extension(
    told: &[Told],
    row: &Row,
    start: Date,
    limit: Date,
    words: &mut Vec<String>,
) -> Option<Period> {
    let mut extended = None;
    for one in told {
        let nothing = |why: String| format!("the extension told on {} changes nothing: {why}", one.on);
        let (Some(period), Some(extension)) = (row.due.period, &row.extension) else {
            words.push(nothing(format!("{} allows none", row.citation)));
            continue;
        };
        if extended.is_some() {
            words.push(nothing("the period can be extended once".to_owned()));
        } else if one.reason.trim().is_empty() {
            words.push(nothing("it gives no reason".to_owned()));
        } else if one.on < start {
            words.push(nothing(format!("the clock starts on {start}")));
        } else if one.on > limit {
            words.push(nothing(format!("it had to be told by {limit}, within the first period")));
        } else {
            let whole = Period { n: period.n + extension.n, unit: period.unit };
            words.push(format!(
                "extended by {}, told on {} because: {}; {whole} in all, counted from the start",
                Period { n: extension.n, unit: extension.unit },
                one.on,
                one.reason
            ));
            extended = Some(whole);
        }
    }
    extended
}

/// By how much the clock stood still.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stopped {
    /// From the day it stopped to the day it ran again.
    pub(super) days: u32,
    /// Whole days between the two; the stricter count.
    pub(super) whole_days: u32,
    /// It stands still.
    pub(super) is_open: bool,
    /// What each pause did.
    pub(super) words: Vec<String>,
}

/// The pauses that the row allows for this right. `end` is where the period would end without any; a period on the
/// clock has none, and is never stopped.
pub(super) fn stops(pauses: &[Pause], row: &Row, right: Option<&str>, end: Option<Date>) -> Stopped {
    let mut stopped = Stopped::default();
    for pause in pauses {
        let nothing = |why: &str| format!("the pause from {} changes nothing: {why}", pause.from);
        let allowed = row.pause.as_ref().zip(end);
        let Some((rule, end)) = allowed else {
            stopped.words.push(nothing(&format!("{} stops no clock", row.citation)));
            continue;
        };
        if !right.is_some_and(|right| rule.rights.iter().any(|known| known == right)) {
            stopped.words.push(nothing(&format!("it is for {} only", rule.rights.join(", "))));
            continue;
        }
        let ends = crate::count::days(end, stopped.days).unwrap_or(end);
        if pause.from > ends {
            stopped.words.push(nothing(&format!("the period had ended on {ends}")));
            continue;
        }
        match pause.to {
            Some(to) => {
                let days = days_between(pause.from, to);
                stopped.days += days;
                stopped.whole_days += days.saturating_sub(1);
                stopped
                    .words
                    .push(format!("the clock stood still from {} to {to}: {}", pause.from, rule.when));
            }
            None => {
                stopped.is_open = true;
                stopped.words.push(format!("the clock stands still since {}: {}", pause.from, rule.when));
            }
        }
    }
    stopped
}
