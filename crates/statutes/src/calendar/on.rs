//! When a holiday is, in the words of a calendar's file: `25 december`, `third monday of january`,
//! `last monday of may`, `monday before 25 may`, `easter - 2`, `2026-06-15`.

use std::fmt;

use jiff::Span;
use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Deserializer};

use super::easter::easter;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const ORDINALS: [(&str, i8); 5] = [("first", 1), ("second", 2), ("third", 3), ("fourth", 4), ("last", -1)];

/// When a holiday is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum On {
    /// On this day of every year.
    Each {
        /// The month, from 1.
        month: i8,
        /// The day, from 1.
        day: i8,
    },
    /// On a weekday of a month, counted from its beginning, or the last.
    Weekday {
        /// The month, from 1.
        month: i8,
        /// The weekday.
        weekday: Weekday,
        /// 1 to 4, or -1 for the last.
        nth: i8,
    },
    /// On the last such weekday before a day.
    Before {
        /// The weekday.
        weekday: Weekday,
        /// The month, from 1.
        month: i8,
        /// The day, from 1, which is itself not meant.
        day: i8,
    },
    /// So many days after Easter Sunday.
    Easter(i64),
    /// Once.
    Once(Date),
}

impl On {
    /// The day in this year, if it has one.
    pub fn in_year(self, year: i16) -> Option<Date> {
        match self {
            Self::Each { month, day } => Date::new(year, month, day).ok(),
            Self::Weekday { month, weekday, nth } => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
            Self::Before { weekday, month, day } => {
                Date::new(year, month, day).ok()?.nth_weekday(-1, weekday).ok()
            }
            Self::Easter(distance) => easter(year).checked_add(Span::new().days(distance)).ok(),
            Self::Once(day) => (day.year() == year).then_some(day),
        }
    }
}

impl TryFrom<String> for On {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let read = match words.as_slice() {
            ["easter", sign, days] => easter_days(sign, days).map(Self::Easter),
            [nth, weekday, "of", month] => (|| {
                let nth = ORDINALS.iter().find(|(word, _)| word == nth)?.1;
                Some(Self::Weekday { month: month_of(month)?, weekday: weekday_of(weekday)?, nth })
            })(),
            [weekday, "before", day, month] => (|| {
                Some(Self::Before {
                    weekday: weekday_of(weekday)?,
                    month: month_of(month)?,
                    day: day.parse().ok()?,
                })
            })(),
            [day, month] => (|| Some(Self::Each { month: month_of(month)?, day: day.parse().ok()? }))(),
            [once] => once.parse().ok().map(Self::Once),
            _ => None,
        };
        // 2028 has every day that a year can have.
        let read = read.filter(|on| matches!(on, Self::Once(_)) || on.in_year(2028).is_some());
        read.ok_or_else(|| {
            format!(
                "{text:?} is no day; write `25 december`, `third monday of january`, `last monday of may`, \
                 `monday before 25 may`, `easter - 2` or `2026-06-15`"
            )
        })
    }
}

fn easter_days(sign: &str, days: &str) -> Option<i64> {
    let days: i64 = days.parse().ok().filter(|days| (0..=100).contains(days))?;
    match sign {
        "+" => Some(days),
        "-" => Some(-days),
        _ => None,
    }
}

fn weekday_of(word: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(name, _)| *name == word).map(|(_, weekday)| *weekday)
}

fn month_of(word: &str) -> Option<i8> {
    MONTHS.iter().position(|name| *name == word).and_then(|at| i8::try_from(at + 1).ok())
}

/// A weekday as people write it.
pub(crate) fn name_of(weekday: Weekday) -> String {
    let name = WEEKDAYS[usize::from(weekday.to_monday_zero_offset().unsigned_abs())].0;
    name[..1].to_uppercase() + &name[1..]
}

/// The closed weekdays of a file.
pub(super) fn weekdays<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Weekday>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let known = |word: String| {
        weekday_of(&word).ok_or_else(|| serde::de::Error::custom(format!("{word:?} is no day of the week")))
    };
    words.into_iter().map(known).collect()
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month_name = |month: i8| {
            let name = MONTHS[usize::from(month.unsigned_abs()) - 1];
            name[..1].to_uppercase() + &name[1..]
        };
        match *self {
            Self::Each { month, day } => write!(f, "{day} {}", month_name(month)),
            Self::Weekday { month, weekday, nth } => {
                let word = ORDINALS.iter().find(|(_, value)| *value == nth).map_or("", |(word, _)| word);
                write!(f, "{word} {} of {}", name_of(weekday), month_name(month))
            }
            Self::Before { weekday, month, day } => {
                write!(f, "{} before {day} {}", name_of(weekday), month_name(month))
            }
            Self::Easter(days) if days < 0 => write!(f, "{} days before Easter", -days),
            Self::Easter(days) => write!(f, "{days} days after Easter"),
            Self::Once(day) => write!(f, "{day}"),
        }
    }
}
