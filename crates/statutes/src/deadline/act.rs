//! What can be done about a clock that runs: extending its period, once and in time, and stopping it where the law
//! stops it. An act that changes nothing is answered with the reason.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::span::days_between;
use super::{Question, Unanswerable};
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

/// What came of the tellings.
pub(super) struct Extended {
    /// The whole period, if one of them extends it.
    pub(super) whole: Option<Period>,
    /// What each did.
    pub(super) words: Vec<String>,
}

/// The first telling within `days`, from the start of the clock to the end of the first period, extends it.
pub(super) fn extension(told: &[Told], row: &Row, days: RangeInclusive<Date>) -> Extended {
    let mut extended = Extended { whole: None, words: Vec::new() };
    for one in told {
        let nothing = |why: String| format!("the extension told on {} changes nothing: {why}", one.on);
        let said = match (row.due.period, &row.extension) {
            (Some(period), Some(extension)) => match refused(one, &days, extended.whole) {
                Some(why) => nothing(why),
                None => {
                    let whole = Period { n: period.n + extension.n, unit: period.unit };
                    extended.whole = Some(whole);
                    format!(
                        "extended by {}, told on {} because: {}; {whole} in all, counted from the start",
                        Period { n: extension.n, unit: extension.unit },
                        one.on,
                        one.reason
                    )
                }
            },
            (None, _) | (_, None) => nothing(format!("{} allows none", row.citation)),
        };
        extended.words.push(said);
    }
    extended
}

fn refused(told: &Told, days: &RangeInclusive<Date>, extended: Option<Period>) -> Option<String> {
    if extended.is_some() {
        return Some("the period can be extended once".to_owned());
    }
    if told.reason.trim().is_empty() {
        return Some("it gives no reason".to_owned());
    }
    if told.on < *days.start() {
        return Some(format!("the clock starts on {}", days.start()));
    }
    (told.on > *days.end()).then(|| format!("it had to be told by {}, within the first period", days.end()))
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

/// The pauses that the row allows for the right. `end` is where the period would end without any; a period on the
/// clock has none, and is never stopped.
pub(super) fn stops(question: &Question<'_>, row: &Row, end: Option<Date>) -> Stopped {
    let mut stopped = Stopped::default();
    for pause in &question.acts.pauses {
        let nothing = |why: &str| format!("the pause from {} changes nothing: {why}", pause.from);
        let allowed = row.pause.as_ref().zip(end);
        let Some((rule, end)) = allowed else {
            stopped.words.push(nothing(&format!("{} stops no clock", row.citation)));
            continue;
        };
        if !question.right.is_some_and(|right| rule.rights.iter().any(|known| known == right)) {
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
