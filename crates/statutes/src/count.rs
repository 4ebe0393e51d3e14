//! The arithmetic of periods on civil dates, one rule each. Day 0 is the day on which the clock starts.

use jiff::Span;
use jiff::civil::Date;

use crate::calendar::Calendar;

/// The date of a period's end lies beyond what the calendar can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the period ends after the year 9999")]
pub struct TooFar;

/// So many days later.
pub fn days(start: Date, n: u32) -> Result<Date, TooFar> {
    start.checked_add(Span::new().days(i64::from(n))).map_err(|_| TooFar)
}

/// The same day of the month so many months later, or the last of that month where it has no such day.
pub fn months(start: Date, n: u32) -> Result<Date, TooFar> {
    start.checked_add(Span::new().months(i64::from(n))).map_err(|_| TooFar)
}

/// The `n`th open day after the start; the start itself never counts.
pub fn business_days(start: Date, n: u32, calendar: &Calendar) -> Result<Date, TooFar> {
    let mut day = start;
    for _ in 0..n {
        day = next_open(day, calendar)?;
    }
    Ok(day)
}

/// The first open day after this one.
pub fn next_open(day: Date, calendar: &Calendar) -> Result<Date, TooFar> {
    let next = day.tomorrow().map_err(|_| TooFar)?;
    calendar.open_from(next).ok_or(TooFar)
}

/// Open days in a period, its start excluded and its end included, counted no further than `most`.
pub fn open_days_within(start: Date, end: Date, calendar: &Calendar, most: usize) -> usize {
    let after = std::iter::successors(start.tomorrow().ok(), |day| day.tomorrow().ok());
    after.take_while(|day| *day <= end).filter(|day| calendar.is_open(*day)).take(most).count()
}
