//! Every duty of the shipped table, asked on many days: a legal date is there only where the table supports one.

use jiff::Span;
use jiff::civil::{Date, date};
use writ_statutes::deadline::{Answer, Question, answer};
use writ_statutes::law::{Confidence, Duty, Law, Status};
use writ_statutes::zone;

use crate::stage::table;

/// Noon of every 29th day over nine years, in the law's zone.
fn days() -> impl Iterator<Item = Date> {
    (0..120).map(|n| date(2020, 1, 1).saturating_add(Span::new().days(n * 29)))
}

fn asked(law: &'static Law, duty: &'static Duty, day: Date) -> Answer<'static> {
    let zone = zone::find(&law.zone).expect("linted");
    let start = day.at(12, 0, 0, 0).to_zoned(zone).expect("noon exists").timestamp();
    let acts = Default::default();
    let question = Question { law, duty, right: None, start, zone: None, calendar: None, acts };
    answer(table(), &question).expect("every duty has an answer")
}

#[test]
fn a_legal_date_is_there_only_where_the_table_supports_one() {
    let (mut certain, mut informing, mut silent) = (0_u32, 0_u32, 0_u32);
    for law in table().laws.values() {
        for duty in &law.duties {
            for day in days() {
                let answer = asked(law, duty, day);
                let row = answer.row;
                let place = format!("{} {} on {day}", law.id, duty.id);
                match (&answer.legal.moment, &answer.safe.moment) {
                    (Some(legal), Some(safe)) => {
                        certain += 1;
                        assert!(row.from <= day && row.status == Status::InForce, "{place}");
                        assert!(row.confidence > Confidence::Low && row.due.period.is_some(), "{place}");
                        let is_strict = if duty.is_floor() {
                            safe.over() >= legal.over()
                        } else {
                            safe.over() <= legal.over()
                        };
                        assert!(is_strict && legal.day() >= day, "{place}");
                    }
                    (None, Some(_)) => {
                        informing += 1;
                        assert!(row.due.period.is_some(), "{place}");
                        assert!(!answer.legal.reasons.is_empty(), "{place} says why it has no legal date");
                    }
                    (None, None) => {
                        silent += 1;
                        assert!(row.due.period.is_none(), "{place}");
                    }
                    (Some(_), None) => panic!("{place} has a legal date and no safe one"),
                }
            }
        }
    }
    assert!(certain > 5_000 && informing > 500 && silent > 500, "{certain} {informing} {silent}");
}

#[test]
fn a_row_that_binds_and_is_known_has_its_legal_date() {
    for law in table().laws.values() {
        for duty in &law.duties {
            let answer = asked(law, duty, date(2026, 9, 14));
            let row = answer.row;
            let is_known = row.status == Status::InForce && row.confidence > Confidence::Low;
            let is_expected = is_known && row.from <= date(2026, 9, 14) && row.due.period.is_some();
            let reasons = &answer.legal.reasons;
            assert_eq!(answer.legal.moment.is_some(), is_expected, "{} {}: {reasons:?}", law.id, duty.id);
        }
    }
}
