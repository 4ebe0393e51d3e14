//! When a duty is due: three dates, never one, each with the reasons for it in words.
//!
//! The **legal** date is what the law says, and absent where the table cannot support one. The **safe** date counts
//! more strictly and is the one to work to. The **policy** date is the operator's own, by default halfway. A minimum (a
//! floor) turns this round: its dates say "not before", and strictness means later.

mod act;
mod certify;
mod span;

pub use act::{Acts, Pause, Told};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::calendar::Calendar;
use crate::count::{self, TooFar};
use crate::law::{Duty, Law, Period, Row, Unit};
use crate::table::{Table, Unknown};
use crate::{nearest, zone};
use act::Stopped;
use span::{Counted, Rule};

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

/// A question with everything that it names looked up.
struct Asked<'a, 'q> {
    table: &'a Table,
    question: &'q Question<'a>,
    row: &'a Row,
    calendar: &'a Calendar,
    start: &'q Zoned,
    zone: &'q TimeZone,
    /// Day 0.
    day: Date,
    /// Why it may be another day.
    doubt: Option<String>,
}

impl<'a> Asked<'a, '_> {
    fn answer(&self) -> Result<Answer<'a>, Unanswerable> {
        let Some(period) = self.row.due.period else { return self.without_number() };
        let (first, _) = self.counted(period)?;
        let mut acts = Vec::new();
        let limit =
            if self.obstacles(&first, false).is_empty() { first.legal.day() } else { first.safe.day() };
        let extended = act::extension(&self.question.acts.told, self.row, self.day, limit, &mut acts);
        let (counted, stopped) = self.counted(extended.unwrap_or(period))?;
        acts.extend(stopped.words.iter().cloned());
        let obstacles = self.obstacles(&counted, stopped.is_open);
        let extension_by = (self.row.extension.is_some() && extended.is_none()).then_some(limit);
        let policy = self.policy(&counted)?;
        let is_certain = obstacles.is_empty();
        Ok(self.dressed(
            self.legal(&counted, obstacles),
            self.safe(&counted, is_certain),
            policy,
            acts,
            extension_by,
        ))
    }

    /// The period from the start, with the pauses that the row allows.
    fn counted(&self, period: Period) -> Result<(Counted, Stopped), Unanswerable> {
        let rule = Rule {
            counting: self.question.law.counting,
            calendar: self.calendar,
            is_floor: self.question.duty.is_floor(),
        };
        if period.unit.is_elapsed() {
            let over = act::stops(&self.question.acts.pauses, self.row, self.question.right, None);
            return Ok((self.elapsed(period)?, over));
        }
        let plain = span::plain_end(self.day, period, &rule)?;
        let stopped = act::stops(&self.question.acts.pauses, self.row, self.question.right, Some(plain));
        let counted = span::count(self.day, period, &rule, &stopped, self.zone)?;
        Ok((counted, stopped))
    }

    fn elapsed(&self, period: Period) -> Result<Counted, TooFar> {
        let end = self.start.checked_add(length(period)).map_err(|_| TooFar)?;
        let words = format!("{period} on the clock from {}: {}", said(self.start), said(&end));
        let still = "nothing moves it, neither a weekend nor a change of the clocks".to_owned();
        Ok(Counted {
            legal: Moment::At(end.clone()),
            safe: Moment::At(end),
            legal_words: vec![words.clone(), still],
            safe_words: vec![words],
            consulted: None,
        })
    }

    fn legal(&self, counted: &Counted, obstacles: Vec<String>) -> Dated {
        if !obstacles.is_empty() {
            return Dated { moment: None, reasons: obstacles };
        }
        let mut reasons = counted.legal_words.clone();
        reasons.push(format!("source: {}, {}", self.question.law.id, self.row.citation));
        if !matches!(counted.legal, Moment::At(_)) {
            reasons.push(format!("counted by: {}", self.question.law.counting));
        }
        if let Some(act) = &self.row.act {
            reasons.push(format!(
                "by the operator's decision of {}, written by {}, approved by {}: {}",
                act.on, act.by, act.approved_by, act.reason
            ));
        }
        Dated { moment: Some(counted.legal.clone()), reasons }
    }

    fn safe(&self, counted: &Counted, is_certain: bool) -> Dated {
        let mut reasons = counted.safe_words.clone();
        if !is_certain {
            reasons.push("it informs; it is not a legal date".to_owned());
        }
        Dated { moment: Some(counted.safe.clone()), reasons }
    }

    fn policy(&self, counted: &Counted) -> Result<Dated, TooFar> {
        if let Some(own) = self.question.duty.policy {
            return self.own(own, Some(counted));
        }
        if self.question.duty.is_floor() {
            let why = "a minimum has no half; the operator has not set a longer one".to_owned();
            return Ok(Dated { moment: None, reasons: vec![why] });
        }
        let percent = self.table.window_percent;
        let (moment, of) = match &counted.safe {
            Moment::Day { day, .. } => {
                let days = span::days_between(self.day, *day);
                let part = count::days(self.day, days * percent / 100)?;
                (Moment::Day { day: part, over: zone::end_of(part, self.zone)? }, format!("the {days} days"))
            }
            Moment::At(end) => {
                let whole = self.start.duration_until(end);
                let part = SignedDuration::from_secs(whole.as_secs() / 100 * i64::from(percent));
                (Moment::At(self.start.checked_add(part).map_err(|_| TooFar)?), "the time".to_owned())
            }
        };
        let reasons = vec![format!("the operator's window: {percent} % of {of} to the safe date")];
        Ok(Dated { moment: Some(moment), reasons })
    }

    /// The operator's own period, kept within what is safe.
    fn own(&self, own: Period, counted: Option<&Counted>) -> Result<Dated, TooFar> {
        let mut reasons =
            vec![format!("the operator's own period of {own}, without weekends or holidays moved")];
        let mut moment = if own.unit.is_elapsed() {
            Moment::At(self.start.checked_add(length(own)).map_err(|_| TooFar)?)
        } else {
            let weekdays = self.calendar.without_holidays();
            let day = match own.unit {
                Unit::BusinessDay => count::business_days(self.day, own.n, &weekdays)?,
                Unit::Month => count::months(self.day, own.n)?,
                Unit::Year => count::months(self.day, own.n * 12)?,
                Unit::CalendarDay | Unit::Hour | Unit::Minute => count::days(self.day, own.n)?,
            };
            Moment::Day { day, over: zone::end_of(day, self.zone)? }
        };
        if let Some(counted) = counted {
            let is_floor = self.question.duty.is_floor();
            let is_beyond = if is_floor {
                moment.over() < counted.safe.over()
            } else {
                moment.over() > counted.safe.over()
            };
            if is_beyond {
                reasons.push("it would miss the safe date, which is taken instead".to_owned());
                moment = counted.safe.clone();
            }
        }
        Ok(Dated { moment: Some(moment), reasons })
    }

    fn without_number(&self) -> Result<Answer<'a>, Unanswerable> {
        let standard = self.row.due.standard.clone().unwrap_or_default();
        let why = vec![
            format!("the law has no number: {standard}"),
            format!("source: {}, {}", self.question.law.id, self.row.citation),
        ];
        let none = Dated { moment: None, reasons: vec!["no number, so nothing to count".to_owned()] };
        let policy = match self.question.duty.policy {
            Some(own) => self.own(own, None)?,
            None => {
                Dated { moment: None, reasons: vec!["the operator has set no period of its own".to_owned()] }
            }
        };
        let refused = self.question.acts.without_period();
        Ok(self.dressed(Dated { moment: None, reasons: why }, none, policy, refused, None))
    }

    fn dressed(
        &self,
        legal: Dated,
        safe: Dated,
        policy: Dated,
        acts: Vec<String>,
        extension_by: Option<Date>,
    ) -> Answer<'a> {
        let zone = self.question.zone.unwrap_or(&self.question.law.zone);
        Answer {
            row: self.row,
            start: self.start.clone(),
            zone: zone.to_owned(),
            calendar: self.calendar,
            legal,
            safe,
            policy,
            acts,
            extension_by,
            warnings: Vec::new(),
        }
    }

    fn obstacles(&self, counted: &Counted, is_stopped: bool) -> Vec<String> {
        let mut found = certify::obstacles(self.row, self.day, self.calendar, counted.consulted, is_stopped);
        if !matches!(counted.legal, Moment::At(_)) {
            found.extend(self.doubt.clone());
        }
        found
    }
}

fn length(period: Period) -> SignedDuration {
    let n = i64::from(period.n);
    if period.unit == Unit::Hour { SignedDuration::from_hours(n) } else { SignedDuration::from_mins(n) }
}

/// A moment as people read it: local time with its offset.
fn said(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
