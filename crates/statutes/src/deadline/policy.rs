//! The operator's own date: its part of the way to the safe date, or a period of its own, kept within what is safe.

use jiff::SignedDuration;

use super::asked::{Asked, length};
use super::span::{self, Counted};
use super::{Dated, Moment};
use crate::count::{self, TooFar};
use crate::law::{Period, Unit};
use crate::zone;

impl Asked<'_, '_> {
    pub(super) fn policy(&self, counted: &Counted) -> Result<Dated, TooFar> {
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
    pub(super) fn own(&self, own: Period, counted: Option<&Counted>) -> Result<Dated, TooFar> {
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
}
