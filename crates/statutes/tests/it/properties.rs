//! What must hold of every date, over four centuries, whatever the period, rule, calendar and zone.

use std::sync::OnceLock;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use proptest::prelude::*;
use writ_statutes::calendar::{Calendar, easter};
use writ_statutes::count;
use writ_statutes::deadline::{Acts, Answer, Moment, Question, answer};
use writ_statutes::law::{Counting, Due, Duty, Kind, Law, Period, Unit};
use writ_statutes::zone;

use crate::stage::table;
use crate::zones::with_daylight_saving;

fn any_day() -> impl Strategy<Value = Date> {
    (0..400 * 365_i64).prop_map(|days| date(1900, 1, 1).saturating_add(Span::new().days(days)))
}

fn any_calendar() -> impl Strategy<Value = &'static Calendar> {
    let calendars: Vec<&'static Calendar> = table().calendars.values().collect();
    proptest::sample::select(calendars)
}

fn any_zone() -> impl Strategy<Value = &'static (&'static str, TimeZone)> {
    static ZONES: OnceLock<Vec<(&'static str, TimeZone)>> = OnceLock::new();
    let zones = ZONES.get_or_init(with_daylight_saving);
    (0..zones.len()).prop_map(|at| &zones[at])
}

fn any_counting() -> impl Strategy<Value = Counting> {
    proptest::sample::select(vec![Counting::Eu118271, Counting::UkCorrespondingDate, Counting::Plain])
}

fn any_period() -> impl Strategy<Value = Period> {
    prop_oneof![
        (1..100_u32).prop_map(|n| Period { n, unit: Unit::CalendarDay }),
        (1..40_u32).prop_map(|n| Period { n, unit: Unit::BusinessDay }),
        (1..30_u32).prop_map(|n| Period { n, unit: Unit::Month }),
        (1..8_u32).prop_map(|n| Period { n, unit: Unit::Year }),
        (1..200_u32).prop_map(|n| Period { n, unit: Unit::Hour }),
        (1..200_u32).prop_map(|n| Period { n, unit: Unit::Minute }),
    ]
}

/// A law with one duty that has held for ever, under calendars that are known for ever.
fn law(counting: Counting, kind: Kind, period: Period) -> Law {
    let mut law = table().law("gdpr").expect("known").clone();
    law.counting = counting;
    let mut row = law.duty("respond").expect("known").rows[0].clone();
    row.from = date(1800, 1, 1);
    row.extension = None;
    row.due = Due { period: Some(period), also: None, standard: None };
    let duty = Duty {
        id: "any".to_owned(),
        kind,
        rights: vec!["erasure".to_owned()],
        rows: vec![row],
        policy: None,
    };
    law.duties = vec![duty];
    law
}

fn asked<'a>(
    timeless: &'a writ_statutes::table::Table,
    law: &'a Law,
    start: Timestamp,
    zone: &'a str,
    calendar: &'a str,
) -> Answer<'a> {
    let duty = &law.duties[0];
    let question = Question {
        law,
        duty,
        right: None,
        start,
        zone: Some(zone),
        calendar: Some(calendar),
        acts: Acts::default(),
    };
    answer(timeless, &question).expect("answered")
}

fn timeless() -> &'static writ_statutes::table::Table {
    static TABLE: OnceLock<writ_statutes::table::Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = table().clone();
        for calendar in table.calendars.values_mut() {
            (calendar.valid.from, calendar.valid.to) = (1600, 2600);
        }
        table
    })
}

fn moments(answer: &Answer<'_>) -> [Moment; 3] {
    [&answer.legal, &answer.safe, &answer.policy]
        .map(|dated| dated.moment.clone().expect("every date is there"))
}

/// The corresponding day, or the last of the month: by tables, without the library's own arithmetic.
fn corresponding(start: Date, months: u32) -> Date {
    let at =
        i32::from(start.year()) * 12 + i32::from(start.month()) - 1 + i32::try_from(months).expect("small");
    let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    date(i16::try_from(year).expect("small"), i8::try_from(month).expect("small"), start.day().min(last))
}

proptest! {
    #[test]
    fn a_month_ends_on_the_corresponding_day_or_the_last(start in any_day(), n in 1..600_u32) {
        prop_assert_eq!(count::months(start, n), Ok(corresponding(start, n)));
    }

    #[test]
    fn business_days_are_open_and_exactly_as_many_as_asked(
        start in any_day(), n in 1..40_u32, calendar in any_calendar()
    ) {
        let end = count::business_days(start, n, calendar).expect("in range");
        prop_assert!(calendar.is_open(end));
        let open = count::open_days_within(start, end, calendar, usize::MAX);
        prop_assert_eq!(open, usize::try_from(n).expect("small"));
    }

    #[test]
    fn dates_are_never_before_the_start_and_never_go_back_when_it_goes_on(
        day in any_day(), later in 0..90_000_i64, secs in 0..86_400_i64, period in any_period(),
        counting in any_counting(), calendar in any_calendar(), zone in any_zone(),
    ) {
        let law = law(counting, Kind::Respond, period);
        let first = day.to_zoned(TimeZone::UTC).expect("in range").timestamp() + SignedDuration::from_secs(secs);
        let second = first + SignedDuration::from_secs(later);
        let [one, other] = [first, second].map(|start| asked(timeless(), &law, start, zone.0, &calendar.id));
        for (earlier, later) in moments(&one).iter().zip(moments(&other).iter()) {
            prop_assert!(earlier.over() <= later.over(), "{earlier:?} {later:?}");
            prop_assert!(earlier.over().timestamp() > first);
        }
        let [legal, safe, policy] = moments(&one);
        prop_assert!(safe.over() <= legal.over(), "safe {safe:?} legal {legal:?}");
        prop_assert!(policy.over() <= safe.over(), "policy {policy:?} safe {safe:?}");
    }

    #[test]
    fn a_minimum_is_never_shorter_than_its_plain_end(
        day in any_day(), period in any_period(), counting in any_counting(), calendar in any_calendar(),
    ) {
        let law = law(counting, Kind::Floor, period);
        let start = day.to_zoned(TimeZone::UTC).expect("in range").timestamp();
        let answer = asked(timeless(), &law, start, "UTC", &calendar.id);
        let at = |moment: &Option<Moment>| moment.clone().expect("a date").over().timestamp();
        prop_assert!(at(&answer.safe.moment) >= at(&answer.legal.moment));
        prop_assert!(answer.policy.moment.is_none());
    }

    #[test]
    fn regulation_1182_71_ends_on_an_open_day_with_two_working_days_in_it(
        day in any_day(), n in 1..100_u32, is_monthly in any::<bool>(), calendar in any_calendar(), zone in any_zone(),
    ) {
        let unit = if is_monthly { Unit::Month } else { Unit::CalendarDay };
        let law = law(Counting::Eu118271, Kind::Respond, Period { n, unit });
        let noon = day.at(12, 0, 0, 0).to_zoned(zone.1.clone()).expect("in range");
        let start = noon.date();
        let legal = asked(timeless(), &law, noon.timestamp(), zone.0, &calendar.id).legal.moment.expect("a date").day();

        let plain = if is_monthly { corresponding(start, n) } else { start.saturating_add(Span::new().days(i64::from(n))) };
        let mut expected = plain;
        let is_short = |end: Date| {
            let inside = std::iter::successors(Some(start.tomorrow().expect("in range")), |day| day.tomorrow().ok());
            inside.take_while(|day| *day <= end).filter(|day| calendar.is_open(*day)).count() < 2
        };
        let two_days = plain >= start.saturating_add(Span::new().days(2));
        while !calendar.is_open(expected) || (two_days && is_short(expected)) {
            expected = expected.tomorrow().expect("in range");
        }
        prop_assert_eq!(legal, expected);
    }

    #[test]
    fn hours_are_exactly_elapsed_in_every_zone(secs in 0..12_000_000_000_i64, n in 1..1000_u32, zone in any_zone()) {
        let law = law(Counting::Eu118271, Kind::Respond, Period { n, unit: Unit::Hour });
        let start = Timestamp::from_second(secs).expect("in range");
        let [legal, safe, _] = moments(&asked(timeless(), &law, start, zone.0, "eu-institutions"));
        prop_assert_eq!(legal.over().timestamp() - SignedDuration::from_hours(i64::from(n)), start);
        prop_assert_eq!(legal.over(), safe.over());
    }

    #[test]
    fn a_due_day_depends_on_the_local_day_only(secs in 0..12_000_000_000_i64, zone in any_zone()) {
        let law = law(Counting::UkCorrespondingDate, Kind::Respond, Period { n: 1, unit: Unit::Month });
        let start = Timestamp::from_second(secs).expect("in range");
        let day = zone::day_of(start, &zone.1);
        let last = zone::end_of(day, &zone.1).expect("in range").timestamp() - SignedDuration::from_secs(1);
        let due = |start| {
            let answer = asked(timeless(), &law, start, zone.0, "weekends");
            answer.safe.moment.expect("a date").day()
        };
        prop_assert_eq!(due(start), corresponding(day, 1));
        prop_assert_eq!(due(last), corresponding(day, 1));
    }

    #[test]
    fn easter_is_a_sunday_in_its_five_weeks(year in 1583..2600_i16) {
        let easter = easter(year);
        prop_assert_eq!(easter.weekday(), jiff::civil::Weekday::Sunday);
        prop_assert!(date(year, 3, 22) <= easter && easter <= date(year, 4, 25));
    }
}
