//! Counts a period of days, months or years from its first day to its last, by each of the counting rules, and says in
//! words what it did.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Moment;
use super::act::Stopped;
use crate::calendar::Calendar;
use crate::count::{self, TooFar};
use crate::law::{Counting, Period, Unit};
use crate::zone;

/// From when, under which rule, and whose holidays and days.
pub(super) struct Rule<'a> {
    pub(super) start: Date,
    pub(super) zone: &'a TimeZone,
    pub(super) counting: Counting,
    pub(super) calendar: &'a Calendar,
    pub(super) is_floor: bool,
}

/// Where a period ends, twice, and why.
pub(super) struct Counted {
    pub(super) legal: Moment,
    pub(super) safe: Moment,
    pub(super) legal_words: Vec<String>,
    pub(super) safe_words: Vec<String>,
    /// The days between which the calendar's holidays were asked for.
    pub(super) consulted: Option<(Date, Date)>,
}

/// Regulation 1182/71 Art. 3(5): a period of two days or more has two working days at least.
const WORKING_DAYS_MIN: usize = 2;

/// Where the period ends before anything is moved or stopped.
pub(super) fn plain_end(period: Period, rule: &Rule<'_>) -> Result<Date, TooFar> {
    let start = rule.start;
    match period.unit {
        Unit::CalendarDay | Unit::Hour | Unit::Minute => count::days(start, period.n),
        Unit::BusinessDay => count::business_days(start, period.n, rule.calendar),
        Unit::Month => count::months(start, period.n),
        Unit::Year => count::months(start, period.n * 12),
    }
}

pub(super) fn count(period: Period, rule: &Rule<'_>, stopped: &Stopped) -> Result<Counted, TooFar> {
    let (start, plain) = (rule.start, plain_end(period, rule)?);
    let mut legal_words = vec![format!("{start} is day 0"), said(start, period, plain)];
    let legal = count::days(plain, stopped.days)?;
    if stopped.days > 0 {
        legal_words.push(format!("{} days of standing still move it to {legal}", stopped.days));
    }
    let (unmoved, mut safe_words) = if period.unit == Unit::BusinessDay {
        legal_words.extend(skipped(start, legal, rule.calendar));
        let weekdays = rule.calendar.without_holidays();
        let safe = count::business_days(start, period.n, &weekdays)?;
        (safe, vec![format!("{} weekdays, no holiday skipped: {safe}", period.n)])
    } else {
        let safe = count::days(plain, stopped.whole_days)?;
        let mut words = vec![format!("{safe}: the plain end of the period, moved for no weekend or holiday")];
        if stopped.days > 0 {
            words.push(format!("only {} whole days of standing still count", stopped.whole_days));
        }
        (safe, words)
    };
    let Moved { last: legal, consulted, words } = moved(legal, period, rule)?;
    legal_words.extend(words);
    let mut safe = unmoved;
    if rule.is_floor && safe < legal {
        safe = legal;
        safe_words = vec![format!("{safe}: of a minimum, the later of the plain and the moved end")];
    }
    let day = |day: Date| Ok(Moment::Day { day, over: zone::end_of(day, rule.zone)? });
    Ok(Counted { legal: day(legal)?, safe: day(safe)?, legal_words, safe_words, consulted })
}

/// The end as the counting rule moves it.
struct Moved {
    last: Date,
    /// The days for which the calendar had to be asked.
    consulted: Option<(Date, Date)>,
    words: Vec<String>,
}

fn moved(end: Date, period: Period, rule: &Rule<'_>) -> Result<Moved, TooFar> {
    let start = rule.start;
    let unmoved = |consulted| Ok(Moved { last: end, consulted, words: Vec::new() });
    let moves = match (rule.counting, period.unit) {
        (_, Unit::BusinessDay) => return unmoved(Some((start, end))),
        (_, Unit::Hour | Unit::Minute) | (Counting::Plain, _) => false,
        (Counting::Eu118271, _) => true,
        (Counting::UkCorrespondingDate, unit) => unit != Unit::CalendarDay,
    };
    if !moves {
        return unmoved(None);
    }
    let mut words = Vec::new();
    let mut last = roll(end, rule.calendar, &mut words)?;
    if rule.counting == Counting::Eu118271 && count::days(start, 2)? <= end {
        while count::open_days_within(start, last, rule.calendar, WORKING_DAYS_MIN) < WORKING_DAYS_MIN {
            last = count::next_open(last, rule.calendar)?;
            words.push(format!("a period of two days or more has two working days: moved to {last}"));
        }
    }
    Ok(Moved { last, consulted: Some((start, last)), words })
}

/// The day itself when it is open, else the next that is.
fn roll(end: Date, calendar: &Calendar, words: &mut Vec<String>) -> Result<Date, TooFar> {
    let open = calendar.open_from(end).ok_or(TooFar)?;
    if open == end {
        return Ok(end);
    }
    let days = std::iter::successors(Some(end), |day| day.tomorrow().ok()).take_while(|day| *day < open);
    let closed = days.filter_map(|day| calendar.closed_on(day).map(|why| format!("{day} is {why}")));
    let closed: Vec<String> = closed.collect();
    words.push(format!(
        "{}: moved to the next working day, {open} (calendar {})",
        closed.join(", "),
        calendar.id
    ));
    Ok(open)
}

fn said(start: Date, period: Period, end: Date) -> String {
    let is_monthly = matches!(period.unit, Unit::Month | Unit::Year);
    if is_monthly && end.day() != start.day() {
        return format!("{period} on: {end}, the last day of a month that has no day {}", start.day());
    }
    format!("{period} on: {end}")
}

/// The holidays between the two that fell on weekdays.
fn skipped(start: Date, end: Date, calendar: &Calendar) -> Option<String> {
    let after = std::iter::successors(start.tomorrow().ok(), |day| day.tomorrow().ok());
    let weekdays =
        after.take_while(|day| *day <= end).filter(|day| !calendar.closed.contains(&day.weekday()));
    let holidays = weekdays.filter_map(|day| calendar.closed_on(day).map(|why| format!("{day} {why}")));
    let holidays: Vec<String> = holidays.collect();
    let of = format!("calendar {}", calendar.id);
    Some(if holidays.is_empty() {
        format!("weekends skipped; no holiday lay between ({of})")
    } else {
        format!("weekends skipped, and {} ({of})", holidays.join(", "))
    })
}

/// Days from one date to a later one.
pub(super) fn days_between(from: Date, to: Date) -> u32 {
    let days = from.until(to).map_or(0, |span| span.get_days());
    u32::try_from(days).unwrap_or(0)
}
