//! What holds of the module above.

use jiff::civil::date;

use super::*;
use crate::table::parse;

fn calendar(holidays: &str) -> Calendar {
    let text = format!(
        "calendar: own\nname: Own\nauthority: none\nclosed: [saturday, sunday]\nvalid: {{from: 2020, to: 2030}}\n\
         confidence: high\nverification: primary_text_seen\nholidays:\n{holidays}"
    );
    parse(&text).expect("a calendar")
}

#[track_caller]
fn check(on: &str, expected: Option<(i8, i8)>) {
    let day = On::try_from(on.to_owned()).ok().and_then(|on| on.in_year(2026));
    assert_eq!(day, expected.map(|(month, day)| date(2026, month, day)), "{on}");
}

#[test]
fn a_day_is_written_as_people_say_it() {
    check("25 december", Some((12, 25)));
    check("third monday of january", Some((1, 19)));
    check("last monday of may", Some((5, 25)));
    check("monday before 25 may", Some((5, 18)));
    check("easter - 2", Some((4, 3)));
    check("easter + 1", Some((4, 6)));
    check("2026-06-15", Some((6, 15)));
    check("2025-06-15", None);
    check("29 february", None);
}

#[test]
fn what_is_no_day_is_refused() {
    for text in [
        "",
        "32 january",
        "fifth monday of may",
        "easter",
        "easter * 2",
        "monday",
        "31 june",
        "first day of may",
    ] {
        assert!(On::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn the_monday_before_a_monday_is_the_week_before() {
    // 25 May 2026 is a Monday.
    check("monday before 25 may", Some((5, 18)));
    check("monday before 26 may", Some((5, 25)));
}

#[test]
fn a_holiday_on_a_weekend_is_moved_as_its_rule_says() {
    // 1 August 2026 is a Saturday, 2 August a Sunday.
    let closed = |moved: &str| {
        let both = format!(
            "  - {{name: One, on: 1 august, moved: {moved}}}\n  - {{name: Two, on: 2 august, moved: {moved}}}\n"
        );
        calendar(&both).closed_in(2026).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(closed("stays"), []);
    assert_eq!(closed("nearest"), [date(2026, 7, 31), date(2026, 8, 3)]);
    assert_eq!(closed("next-free"), [date(2026, 8, 3), date(2026, 8, 4)]);
}

#[test]
fn a_moved_holiday_closes_days_across_the_turn_of_the_year() {
    // 31 December 2022 is a Saturday.
    let own = calendar("  - {name: Last, on: 31 december, moved: next-free}\n");
    assert_eq!(own.closed_on(date(2023, 1, 2)).as_deref(), Some("Last (observed)"));
}

#[test]
fn a_rule_holds_in_its_years_only() {
    let own = calendar("  - {name: One, on: 3 june, from: 2025, to: 2027, except: [2026]}\n");
    let has = |year| !own.closed_in(year).is_empty();
    assert_eq!([2024, 2025, 2026, 2027, 2028].map(has), [false, true, false, true, false]);
}

#[test]
fn its_years_bound_what_it_covers() {
    let own = calendar("  - {name: One, on: 3 june}\n");
    assert!(own.covers(date(2020, 1, 1), date(2030, 12, 31)));
    assert!(!own.covers(date(2019, 12, 31), date(2020, 1, 1)));
    assert!(!own.covers(date(2030, 12, 31), date(2031, 1, 1)));
}
