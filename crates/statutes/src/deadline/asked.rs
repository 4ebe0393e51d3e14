//! Counts one question: the first period, the acts that change it, the obstacles, and the answer with its reasons.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};

use super::act::{self, Stopped};
use super::span::{self, Counted, Rule};
use super::{Answer, Dated, Moment, Question, Unanswerable, certify};
use crate::calendar::Calendar;
use crate::count::TooFar;
use crate::law::{Period, Row, Unit};
use crate::table::Table;

/// A question with everything that it names looked up.
pub(super) struct Asked<'a, 'q> {
    pub(super) table: &'a Table,
    pub(super) question: &'q Question<'a>,
    pub(super) row: &'a Row,
    pub(super) calendar: &'a Calendar,
    pub(super) start: &'q Zoned,
    pub(super) zone: &'q TimeZone,
    /// Day 0.
    pub(super) day: Date,
    /// Why it may be another day.
    pub(super) doubt: Option<String>,
}

impl<'a> Asked<'a, '_> {
    pub(super) fn answer(&self) -> Result<Answer<'a>, Unanswerable> {
        let Some(period) = self.row.due.period else { return self.without_number() };
        let (first, _) = self.counted(period)?;
        let is_known = certify::obstacles(self, &first, false).is_empty();
        let limit = if is_known { first.legal.day() } else { first.safe.day() };
        let extended = act::extension(&self.question.acts.told, self.row, self.day..=limit);
        let (counted, stopped) = self.counted(extended.whole.unwrap_or(period))?;
        let obstacles = certify::obstacles(self, &counted, stopped.is_open);
        let mut acts = extended.words;
        acts.extend(stopped.words);
        Ok(Answer {
            policy: self.policy(&counted)?,
            safe: self.safe(&counted, obstacles.is_empty()),
            legal: self.legal(&counted, obstacles),
            acts,
            extension_by: (self.row.extension.is_some() && extended.whole.is_none()).then_some(limit),
            ..self.undated()
        })
    }

    /// The period from the start, with the pauses that the row allows.
    fn counted(&self, period: Period) -> Result<(Counted, Stopped), Unanswerable> {
        let rule = Rule {
            start: self.day,
            zone: self.zone,
            counting: self.question.law.counting,
            calendar: self.calendar,
            is_floor: self.question.duty.is_floor(),
        };
        if period.unit.is_elapsed() {
            return Ok((self.elapsed(period)?, act::stops(self.question, self.row, None)));
        }
        let stopped = act::stops(self.question, self.row, Some(span::plain_end(period, &rule)?));
        let counted = span::count(period, &rule, &stopped)?;
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

    fn without_number(&self) -> Result<Answer<'a>, Unanswerable> {
        let standard = self.row.due.standard.clone().unwrap_or_default();
        let source = format!("source: {}, {}", self.question.law.id, self.row.citation);
        let mut answer = self.undated();
        answer.legal.reasons = vec![format!("the law has no number: {standard}"), source];
        answer.safe.reasons.push("no number, so nothing to count".to_owned());
        match self.question.duty.policy {
            Some(own) => answer.policy = self.own(own, None)?,
            None => answer.policy.reasons.push("the operator has set no period of its own".to_owned()),
        }
        answer.acts = self.question.acts.without_period();
        Ok(answer)
    }

    /// What is known before anything is counted.
    fn undated(&self) -> Answer<'a> {
        let none = Dated { moment: None, reasons: Vec::new() };
        Answer {
            row: self.row,
            start: self.start.clone(),
            zone: self.question.zone.unwrap_or(&self.question.law.zone).to_owned(),
            calendar: self.calendar,
            legal: none.clone(),
            safe: none.clone(),
            policy: none,
            acts: Vec::new(),
            extension_by: None,
            warnings: Vec::new(),
        }
    }
}

pub(super) fn length(period: Period) -> SignedDuration {
    let n = i64::from(period.n);
    if period.unit == Unit::Hour { SignedDuration::from_hours(n) } else { SignedDuration::from_mins(n) }
}

/// A moment as people read it: local time with its offset.
fn said(moment: &Zoned) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
