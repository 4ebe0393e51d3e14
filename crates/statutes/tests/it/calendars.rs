//! The days that calendars close, held against lists that were published or computed elsewhere.

use jiff::civil::{Date, Weekday, date};
use writ_statutes::calendar::easter;

use crate::stage::table;

/// Weekdays that the holidays of a calendar close in these years, as `01-19`.
fn closed(calendar: &str, year: i16) -> Vec<String> {
    let calendar = table().calendar(calendar).expect("known");
    let is_weekend = |day: &Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let days = std::iter::successors(Some(date(year, 1, 1)), |day| day.tomorrow().ok());
    let days =
        days.take_while(|day| day.year() == year).filter(|day| !is_weekend(day) && !calendar.is_open(*day));
    days.map(|day| day.strftime("%m-%d").to_string()).collect()
}

#[track_caller]
fn check(calendar: &str, year: i16, expected: &str) {
    assert_eq!(closed(calendar, year).join(" "), expected, "{calendar} {year}");
}

#[test]
fn the_federal_holidays_of_the_united_states() {
    check("us-federal", 2026, "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25");
    check("us-federal", 2027, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31");
    check("us-federal", 2028, "01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-10 11-23 12-25");
    check("us-federal", 2029, "01-01 01-15 02-19 05-28 06-19 07-04 09-03 10-08 11-12 11-22 12-25");
}

#[test]
fn the_federal_holidays_of_canada() {
    check("canada-federal", 2026, "01-01 04-03 05-18 07-01 09-07 09-30 10-12 11-11 12-25");
    check("canada-federal", 2027, "01-01 03-26 05-24 07-01 09-06 09-30 10-11 11-11");
    check("canada-federal", 2028, "04-14 05-22 09-04 10-09 12-25 12-26");
    check("canada-federal", 2029, "01-01 03-30 05-21 09-03 10-08 12-25 12-26");
}

#[test]
fn the_bank_holidays_of_england_and_wales() {
    check("england-wales", 2021, "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28");
    check("england-wales", 2022, "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27");
    check("england-wales", 2023, "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26");
    check("england-wales", 2026, "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28");
    check("england-wales", 2027, "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28");
    check("england-wales", 2028, "01-03 04-14 04-17 05-01 05-29 08-28 12-25 12-26");
    check("england-wales", 2029, "01-01 03-30 04-02 05-07 05-28 08-27 12-25 12-26");
}

#[test]
fn the_bank_holidays_of_scotland() {
    check("scotland", 2022, "01-03 01-04 04-15 05-02 06-02 06-03 08-01 09-19 11-30 12-26 12-27");
    check("scotland", 2023, "01-02 01-03 04-07 05-01 05-08 05-29 08-07 11-30 12-25 12-26");
    check("scotland", 2026, "01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28");
    check("scotland", 2028, "01-03 01-04 04-14 05-01 05-29 08-07 11-30 12-25 12-26");
}

#[test]
fn the_bank_holidays_of_northern_ireland() {
    check("northern-ireland", 2024, "01-01 03-18 03-29 04-01 05-06 05-27 07-12 08-26 12-25 12-26");
    check("northern-ireland", 2026, "01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28");
}

#[test]
fn the_public_holidays_of_the_unions_institutions_in_brussels() {
    check(
        "eu-institutions",
        2014,
        "01-01 01-02 04-17 04-18 04-21 05-01 05-09 05-29 05-30 06-09 07-21 08-15 12-24 12-25 12-26 12-29 12-30 12-31",
    );
    check(
        "eu-institutions",
        2023,
        "01-02 04-06 04-07 04-10 05-01 05-09 05-18 05-19 05-29 07-21 08-15 11-01 11-02 12-25 12-26 12-27 12-28 12-29",
    );
}

#[test]
fn the_closing_days_of_target() {
    check("target", 2026, "01-01 04-03 04-06 05-01 12-25");
    check("target", 2024, "01-01 03-29 04-01 05-01 12-25 12-26");
}

#[test]
fn easter_is_where_the_almanacs_have_it() {
    for (year, month, day) in [
        (1583, 4, 10),
        (1818, 3, 22),
        (1943, 4, 25),
        (2000, 4, 23),
        (2008, 3, 23),
        (2024, 3, 31),
        (2026, 4, 5),
        (2027, 3, 28),
        (2028, 4, 16),
        (2029, 4, 1),
        (2038, 4, 25),
        (2285, 3, 22),
    ] {
        assert_eq!(easter(year), date(year, month, day));
    }
}

#[test]
fn a_holiday_that_is_observed_in_the_year_before_is_closed_there() {
    let us = table().calendar("us-federal").expect("known");
    assert_eq!(us.closed_on(date(2027, 12, 31)).as_deref(), Some("New Year's Day (observed)"));
    assert!(us.is_open(date(2028, 1, 3)));
}
