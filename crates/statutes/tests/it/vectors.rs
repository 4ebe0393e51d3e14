//! Dates that were counted by hand from the rules.

use jiff::Timestamp;
use writ_statutes::deadline::{Moment, Question, answer};

use crate::stage::{asked, table};

#[track_caller]
fn check(law: &str, duty: &str, received: &str, calendar: Option<&str>, expected: [&str; 2]) {
    let mut question = asked(law, duty, received);
    question.calendar = calendar;
    let [legal, safe, _] = question.days();
    assert_eq!([legal.as_str(), safe.as_str()], expected, "{law} {duty} {received}");
}

#[test]
fn business_days_skip_weekends_and_federal_holidays_and_the_safe_count_skips_no_holiday() {
    check("tcpa", "stop", "2026-11-20", None, ["2026-12-07", "2026-12-04"]);
    check("ccpa", "stop-selling", "2026-11-20", None, ["2026-12-14", "2026-12-11"]);
    check("can-spam", "stop", "2026-12-18", None, ["2027-01-05", "2027-01-01"]);
    check("tcpa", "stop", "2027-12-23", None, ["2028-01-10", "2028-01-06"]);
    check("tcpa", "stop", "2026-11-21", None, ["2026-12-07", "2026-12-04"]);
}

#[test]
fn a_month_under_regulation_1182_71_ends_on_the_next_working_day() {
    check("gdpr", "respond", "2026-03-05", Some("eu-institutions"), ["2026-04-07", "2026-04-05"]);
    check("gdpr", "respond", "2026-08-31", None, ["2026-09-30", "2026-09-30"]);
    check("gdpr", "respond", "2027-01-31", None, ["2027-03-01", "2027-02-28"]);
}

#[test]
fn an_unknown_list_of_holidays_gives_the_earlier_date() {
    check("gdpr", "respond", "2026-03-05", None, ["2026-04-06", "2026-04-05"]);
}

#[test]
fn a_month_in_the_uk_ends_on_the_corresponding_date_or_the_next_working_day() {
    check("uk-gdpr", "respond", "2026-09-03", None, ["2026-10-05", "2026-10-03"]);
    check("uk-gdpr", "respond", "2027-01-31", None, ["2027-03-01", "2027-02-28"]);
    check("uk-gdpr", "respond", "2026-11-25", None, ["2026-12-29", "2026-12-25"]);
}

#[test]
fn days_of_a_law_without_a_moving_rule_are_not_moved() {
    check("ccpa", "respond", "2026-01-01", None, ["2026-02-15", "2026-02-15"]);
    check("uk-gdpr", "acknowledge-complaint", "2026-07-02", None, ["2026-08-01", "2026-08-01"]);
    check("fl-dbr", "tell-done", "2026-01-01", None, ["2026-03-02", "2026-03-02"]);
}

#[test]
fn half_of_the_way_to_the_safe_date_is_the_operators_own() {
    assert_eq!(asked("gdpr", "respond", "2026-08-31").days()[2], "2026-09-15");
    assert_eq!(asked("tcpa", "stop", "2026-11-20").days()[2], "2026-11-27");
}

#[test]
fn hours_are_elapsed_and_stand_on_weekends_and_through_a_change_of_the_clocks() {
    let law = table().law("gdpr").expect("known");
    let duty = law.duty("notify-breach").expect("known");
    // Friday before the clocks go forward in Brussels on Sunday 2026-03-29.
    let start: Timestamp = "2026-03-27T09:20:00+01:00".parse().expect("a moment");
    let question =
        Question { law, duty, right: None, start, zone: None, calendar: None, acts: Default::default() };
    let answer = answer(table(), &question).expect("answered");
    let Some(Moment::At(at)) = answer.legal.moment else { panic!("hours give a moment") };
    assert_eq!(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), "2026-03-30T10:20:00+02:00");
}

#[test]
fn a_day_is_over_at_midnight_of_its_zone() {
    let answer = asked("gdpr", "respond", "2026-02-28").answer();
    let moment = answer.legal.moment.expect("a legal date");
    assert_eq!(moment.day().to_string(), "2026-03-30");
    assert_eq!(moment.over().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), "2026-03-31T00:00:00+02:00");
}

#[test]
fn the_zone_decides_which_day_a_moment_belongs_to() {
    let day_in = |zone: &str| {
        let law = table().law("gdpr").expect("known");
        let start: Timestamp = "2026-03-31T23:30:00+02:00".parse().expect("a moment");
        let zone = zone.to_owned().leak();
        let question = Question {
            law,
            duty: law.duty("respond").expect("known"),
            right: None,
            start,
            zone: Some(zone),
            calendar: None,
            acts: Default::default(),
        };
        answer(table(), &question).expect("answered").legal.moment.expect("a date").day().to_string()
    };
    assert_eq!(day_in("Europe/Brussels"), "2026-04-30");
    assert_eq!(day_in("Europe/Helsinki"), "2026-05-01");
}

#[test]
fn a_moment_on_two_days_of_the_laws_reach_has_no_legal_date_until_a_zone_is_named() {
    let law = table().law("tcpa").expect("known");
    let duty = law.duty("stop").expect("known");
    // 22:30 of Friday in Los Angeles, Saturday in New York.
    let start: Timestamp = "2026-11-20T22:30:00-08:00".parse().expect("a moment");
    let mut question =
        Question { law, duty, right: None, start, zone: None, calendar: None, acts: Default::default() };
    let unsure = answer(table(), &question).expect("answered");
    assert!(unsure.legal.moment.is_none());
    assert!(unsure.legal.reasons[0].contains("name the zone"), "{:?}", unsure.legal.reasons);
    assert_eq!(unsure.safe.moment.expect("a date").day().to_string(), "2026-12-04");
    question.zone = Some("America/Los_Angeles");
    let sure = answer(table(), &question).expect("answered");
    assert_eq!(sure.legal.moment.expect("a date").day().to_string(), "2026-12-07");
}

#[test]
fn a_row_that_is_low_proposed_waived_future_or_numberless_gives_no_legal_date() {
    for (law, duty, received) in [
        ("ccpa", "stop-automated-decisions", "2027-02-01"),
        ("nj-dpa", "acknowledge", "2026-06-01"),
        ("nj-dpa", "appeal", "2026-06-01"),
        ("tcpa", "stop-all-topics", "2026-06-01"),
        ("tcpa", "stop-all-topics", "2027-02-01"),
        ("ok-cdpa", "respond", "2026-11-21"),
        ("ok-cdpa", "respond", "2027-02-01"),
        ("tx-scope", "parent-asks", "2026-06-01"),
        ("gdpr", "tell-recipients", "2026-06-01"),
        ("dpdp", "grievance", "2027-06-01"),
    ] {
        let answer = asked(law, duty, received).answer();
        assert!(answer.legal.moment.is_none(), "{law} {duty}");
        assert!(!answer.legal.reasons.is_empty(), "{law} {duty}");
    }
}

#[test]
fn a_row_without_a_number_has_no_safe_date_either_and_an_unsure_one_has_it_as_information() {
    assert_eq!(asked("gdpr", "tell-recipients", "2026-06-01").days(), ["-", "-", "-"]);
    let [legal, safe, _] = asked("mt-cdpa", "stop-after-withdrawal", "2026-06-01").days();
    assert_eq!([legal.as_str(), safe.as_str()], ["-", "2026-07-16"]);
}

#[test]
fn a_clock_is_under_the_row_that_held_when_it_started() {
    assert_eq!(asked("tcpa", "own-do-not-call-list", "2025-04-10").days()[..2], ["-", "2025-05-10"]);
    assert_eq!(asked("tcpa", "own-do-not-call-list", "2025-04-11").days()[..2], ["2025-04-25", "2025-04-25"]);
    let before = asked("ut-cpa", "respond-to-rectification", "2026-06-30").answer();
    assert!(before.legal.moment.is_none());
    assert!(before.legal.reasons[0].contains("begins on 2026-07-01"), "{:?}", before.legal.reasons);
    assert_eq!(asked("ut-cpa", "respond-to-rectification", "2026-07-01").days()[0], "2026-08-15");
}

#[test]
fn a_calendar_outside_of_its_years_carries_no_legal_date() {
    let [legal, safe, _] = asked("tcpa", "stop", "2031-03-03").days();
    assert_eq!([legal.as_str(), safe.as_str()], ["-", "2031-03-17"]);
    let answer = asked("tcpa", "stop", "2031-03-03").answer();
    assert!(answer.legal.reasons[0].contains("known for 2021 to 2030 only"), "{:?}", answer.legal.reasons);
}

#[test]
fn a_minimum_says_not_before_and_has_no_half() {
    // 2026-06-06 is a Saturday: a minimum under 1182/71 would end later, a plain one does not move.
    assert_eq!(asked("can-spam", "mechanism-works", "2026-05-07").days(), ["2026-06-06", "2026-06-06", "-"]);
}

#[test]
fn a_table_past_its_review_says_so() {
    assert!(asked("gdpr", "respond", "2026-12-01").answer().warnings.is_empty());
    assert_eq!(asked("gdpr", "respond", "2027-06-01").answer().warnings.len(), 1);
}

#[test]
fn every_reason_of_a_moved_date_is_told() {
    let mut question = asked("gdpr", "respond", "2026-03-05");
    question.calendar = Some("eu-institutions");
    let reasons = question.answer().legal.reasons.join("\n");
    for part in
        ["2026-04-05 is a Sunday", "2026-04-06 is Easter Monday", "2026-04-07", "Art. 12(3)", "1182/71"]
    {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
    let reasons = asked("tcpa", "stop", "2026-11-20").answer().legal.reasons.join("\n");
    assert!(reasons.contains("2026-11-26 Thanksgiving Day"), "{reasons}");
}
