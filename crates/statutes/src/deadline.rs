//! When a duty is due: three dates, never one, each with the reasons for it in words.
//!
//! The **legal** date is what the law says, and absent where the table cannot support one. The **safe** date counts
//! more strictly and is the one to work to. The **policy** date is the operator's own, by default halfway. A minimum (a
//! floor) turns this round: its dates say "not before", and strictness means later.

mod act;
mod asked;
mod certify;
mod policy;
mod span;

pub use act::{Acts, Pause, Told};

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::calendar::Calendar;
use crate::count::TooFar;
use crate::law::{Duty, Law, Row};
use crate::table::{Table, Unknown};
use crate::{nearest, zone};
use asked::Asked;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The law.
    pub law: &'a Law,
    /// One of its duties.
    pub duty: &'a Duty,
    /// The right that is exercised; only some rights stop the clock.
    pub right: Option<&'a str>,
    /// When the clock starts; the row says what starts it.
    pub start: Timestamp,
    /// Whose days are counted, in place of the law's zone.
    pub zone: Option<&'a str>,
    /// Whose holidays are counted, in place of the law's calendar.
    pub calendar: Option<&'a str>,
    /// What was done about the clock.
    pub acts: Acts,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The row that was used.
    pub row: &'a Row,
    /// When the clock starts, in the zone that was used.
    pub start: Zoned,
    /// The zone.
    pub zone: String,
    /// The calendar.
    pub calendar: &'a Calendar,
    /// What the law says.
    pub legal: Dated,
    /// What to work to.
    pub safe: Dated,
    /// What the operator wants.
    pub policy: Dated,
    /// What each act changed, or why it changed nothing.
    pub acts: Vec<String>,
    /// By when a person has to be told of an extension, where one is open.
    pub extension_by: Option<Date>,
    /// What a reader of the dates has to know.
    pub warnings: Vec<String>,
}

/// A date, or none, and why.
#[derive(Debug, Clone)]
pub struct Dated {
    /// The date.
    pub moment: Option<Moment>,
    /// Why, or why there is none.
    pub reasons: Vec<String>,
}

/// When something is due.
#[derive(Debug, Clone)]
pub enum Moment {
    /// By the end of a day.
    Day {
        /// The day.
        day: Date,
        /// The moment at which it is over.
        over: Zoned,
    },
    /// At a moment, for periods counted on the clock.
    At(Zoned),
}

impl Moment {
    /// The day on which it falls.
    pub fn day(&self) -> Date {
        match self {
            Self::Day { day, .. } => *day,
            Self::At(at) => at.date(),
        }
    }

    /// The moment from which it is too late.
    pub fn over(&self) -> &Zoned {
        match self {
            Self::Day { over, .. } => over,
            Self::At(at) => at,
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// No zone has this name.
    #[error("no time zone is called {name:?}{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    Zone {
        /// The name.
        name: String,
        /// The nearest that is known.
        nearest: Option<String>,
    },
    /// No calendar has this name.
    #[error(transparent)]
    Calendar(#[from] Unknown),
    /// The duty has no row at all.
    #[error("duty {0} has no row")]
    Rowless(String),
    /// A pause that no clock can have had.
    #[error("{0}")]
    Pause(String),
    /// The dates cannot be counted.
    #[error(transparent)]
    TooFar(#[from] TooFar),
}

/// The three dates.
pub fn answer<'a>(table: &'a Table, question: &Question<'a>) -> Result<Answer<'a>, Unanswerable> {
    let zone_name = question.zone.unwrap_or(&question.law.zone);
    let zone = zone::find(zone_name).ok_or_else(|| Unanswerable::Zone {
        name: zone_name.to_owned(),
        nearest: nearest::nearest(zone_name, zone::names()).map(str::to_owned),
    })?;
    let calendar = table.calendar(question.calendar.unwrap_or(&question.law.calendar))?;
    let start = question.start.to_zoned(zone.clone());
    let (day, doubt) = day_of(question, &start);
    let row = question.duty.row_on(day).or_else(|| question.duty.row_after(day));
    let row = row.ok_or_else(|| Unanswerable::Rowless(question.duty.id.clone()))?;
    question.acts.check(day)?;
    let asked = Asked { table, question, row, calendar, start: &start, zone: &zone, day, doubt };
    let mut answer = asked.answer()?;
    if day > table.edition.review_by {
        answer.warnings.push(format!(
            "the table is of {} and was to be held against its sources again by {}",
            table.edition.as_of, table.edition.review_by
        ));
    }
    Ok(answer)
}

/// The day on which the clock starts. Where the law reaches zones in which it was another day and none was named, the
/// earliest of them, and the doubt in words.
fn day_of(question: &Question<'_>, start: &Zoned) -> (Date, Option<String>) {
    let day = start.date();
    let of = |name: &String| Some((zone::day_of(question.start, &zone::find(name)?), name.clone()));
    let span = if question.zone.is_none() { question.law.span.as_slice() } else { &[] };
    let others: Vec<(Date, String)> = span.iter().filter_map(of).filter(|(other, _)| *other != day).collect();
    let earliest = others.iter().map(|(other, _)| *other).fold(day, Date::min);
    let doubt = others.first().map(|(other, name)| {
        format!(
            "the clock starts on {day} in {} and on {other} in {name}; name the zone that counts",
            question.law.zone
        )
    });
    (earliest, doubt)
}
