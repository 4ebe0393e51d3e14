//! Which days are open. A calendar is rules, not a list: closed weekdays, and holidays by date, by weekday of a month
//! or by Easter, with what happens to one that falls on a closed weekday.
//!
//! A calendar answers for any year, and says for which years its rules are known to hold.

mod easter;
mod on;

pub use easter::easter;
pub use on::On;

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use serde::Deserialize;

use crate::law::{Confidence, Verification};

/// One calendar.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Its id, which is the name of its file.
    #[serde(rename = "calendar")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it rests on.
    pub authority: String,
    /// Weekdays on which it is always closed.
    #[serde(deserialize_with = "on::weekdays")]
    pub closed: Vec<Weekday>,
    /// The years for which its rules are known to hold.
    pub valid: Years,
    /// How sure it is.
    pub confidence: Confidence,
    /// What was read.
    pub verification: Verification,
    /// Where it was read.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What a reader has to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The rules.
    pub holidays: Vec<Holiday>,
}

/// Years, the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Years {
    /// The first.
    pub from: i16,
    /// The last.
    pub to: i16,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// How it is called.
    pub name: String,
    /// When it is.
    pub on: On,
    /// What happens when that is a closed weekday.
    #[serde(default)]
    pub moved: Moved,
    /// The first year that has it.
    pub from: Option<i16>,
    /// The last year that has it.
    pub to: Option<i16>,
    /// Years without it.
    #[serde(default)]
    pub except: Vec<i16>,
}

/// What happens to a holiday that falls on a closed weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moved {
    /// Nothing: no other day is closed for it.
    #[default]
    Stays,
    /// The nearest open weekday is closed, the earlier of two.
    Nearest,
    /// The next open weekday that is no holiday is closed.
    NextFree,
}

impl Calendar {
    /// Why it is closed on this day, or `None` when it is open.
    pub fn closed_on(&self, day: Date) -> Option<String> {
        if self.closed.contains(&day.weekday()) {
            return Some(format!("a {}", on::name_of(day.weekday())));
        }
        // A holiday can be moved over the turn of the year, in either direction.
        let beside = match day.month() {
            1 => day.year().checked_sub(1),
            12 => day.year().checked_add(1),
            _ => None,
        };
        let hit = |year: i16| self.closed_in(year).remove(&day);
        hit(day.year()).or_else(|| beside.and_then(hit))
    }

    /// Whether it is open on this day.
    pub fn is_open(&self, day: Date) -> bool {
        self.closed_on(day).is_none()
    }

    /// The first open day from `day` on, itself included.
    pub fn open_from(&self, day: Date) -> Option<Date> {
        /// No calendar is closed for longer; one that were would have no open days at all.
        const CLOSED_DAYS_MAX: usize = 366;
        let mut days = std::iter::successors(Some(day), |day| day.tomorrow().ok());
        days.by_ref().take(CLOSED_DAYS_MAX).find(|day| self.is_open(*day))
    }

    /// The same closed weekdays and no holidays.
    pub fn without_holidays(&self) -> Self {
        Self { holidays: Vec::new(), ..self.clone() }
    }

    /// Its rules are known to hold on every day between these two, both included.
    pub fn covers(&self, from: Date, to: Date) -> bool {
        self.valid.from <= from.year() && to.year() <= self.valid.to
    }

    /// The days that the holidays of a year close, with their names. A moved day can lie in the year before.
    pub fn closed_in(&self, year: i16) -> BTreeMap<Date, String> {
        let mut holidays: Vec<(Date, &Holiday)> =
            self.holidays.iter().filter_map(|holiday| Some((holiday.in_year(year)?, holiday))).collect();
        holidays.sort_by_key(|(day, _)| *day);
        let is_weekly = |day: &Date| self.closed.contains(&day.weekday());
        let mut closed = BTreeMap::new();
        for (day, holiday) in holidays.iter().filter(|(day, _)| !is_weekly(day)) {
            closed.insert(*day, holiday.name.clone());
        }
        for (day, holiday) in holidays.iter().filter(|(day, _)| is_weekly(day)) {
            if let Some(other) = self.in_lieu(*day, holiday.moved, &closed) {
                closed.insert(other, format!("{} (observed)", holiday.name));
            }
        }
        closed
    }

    fn in_lieu(&self, day: Date, moved: Moved, taken: &BTreeMap<Date, String>) -> Option<Date> {
        const DISTANCE_MAX: i64 = 14;
        let is_weekly = |day: &Date| self.closed.contains(&day.weekday());
        let at = |distance: i64| day.checked_add(jiff::Span::new().days(distance)).ok();
        match moved {
            Moved::Stays => None,
            Moved::Nearest => {
                let both = (1..=DISTANCE_MAX).flat_map(|distance| [at(-distance), at(distance)]);
                both.flatten().find(|day| !is_weekly(day))
            }
            Moved::NextFree => {
                let later = (1..=DISTANCE_MAX).filter_map(at);
                later.into_iter().find(|day| !is_weekly(day) && !taken.contains_key(day))
            }
        }
    }
}

impl Holiday {
    fn in_year(&self, year: i16) -> Option<Date> {
        let is_outside = self.from.is_some_and(|from| year < from) || self.to.is_some_and(|to| year > to);
        if is_outside || self.except.contains(&year) {
            return None;
        }
        self.on.in_year(year)
    }
}

#[cfg(test)]
mod tests;
