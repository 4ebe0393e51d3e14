//! Extensions and pauses, and what an operator lays over the table.

use jiff::civil::Date;
use writ_statutes::deadline::{Acts, Pause, Told, Unanswerable};

use crate::stage::{Asked, asked, table};

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

fn told(on: &str) -> Told {
    Told { on: day(on), reason: "many requests at once".to_owned() }
}

fn pause(from: &str, to: Option<&str>) -> Pause {
    Pause { from: day(from), to: to.map(day) }
}

fn with_told<'a>(law: &'a str, duty: &'a str, received: &'a str, on: &[&str]) -> Asked<'a> {
    let told = on.iter().map(|on| told(on)).collect();
    Asked { acts: Acts { told, pauses: Vec::new() }, ..asked(law, duty, received) }
}

fn access(received: &'static str, pauses: &[Pause]) -> Asked<'static> {
    let acts = Acts { told: Vec::new(), pauses: pauses.to_vec() };
    Asked { right: Some("access"), acts, ..asked("uk-gdpr", "respond", received) }
}

#[test]
fn an_extension_is_counted_from_the_start_not_from_the_telling() {
    assert_eq!(with_told("gdpr", "respond", "2026-08-31", &["2026-09-20"]).days()[0], "2026-11-30");
    assert_eq!(with_told("ccpa", "respond", "2026-01-01", &["2026-02-01"]).days()[0], "2026-04-01");
    assert_eq!(with_told("fl-dbr", "respond", "2026-01-01", &["2026-02-01"]).days()[0], "2026-03-02");
    assert_eq!(with_told("co-cpa", "appeal", "2026-01-01", &["2026-02-01"]).days()[0], "2026-04-16");
}

#[test]
fn an_extension_told_late_or_twice_or_where_none_is_allowed_changes_nothing_and_says_why() {
    let late = with_told("gdpr", "respond", "2026-08-31", &["2026-10-01"]).answer();
    assert_eq!(late.legal.moment.expect("a date").day(), day("2026-09-30"));
    assert!(late.acts[0].contains("by 2026-09-30"), "{:?}", late.acts);

    let twice = with_told("gdpr", "respond", "2026-08-31", &["2026-09-20", "2026-09-21"]).answer();
    assert_eq!(twice.legal.moment.expect("a date").day(), day("2026-11-30"));
    assert!(twice.acts[1].contains("once"), "{:?}", twice.acts);

    let none = with_told("gdpr", "refuse", "2026-08-31", &["2026-09-20"]).answer();
    assert_eq!(none.legal.moment.expect("a date").day(), day("2026-09-30"));
    assert!(none.acts[0].contains("allows none"), "{:?}", none.acts);

    let early = with_told("gdpr", "respond", "2026-08-31", &["2026-08-30"]).answer();
    assert!(early.acts[0].contains("starts on"), "{:?}", early.acts);
}

#[test]
fn an_open_extension_says_by_when_it_has_to_be_told() {
    assert_eq!(asked("gdpr", "respond", "2026-08-31").answer().extension_by, Some(day("2026-09-30")));
    let extended = with_told("gdpr", "respond", "2026-08-31", &["2026-09-20"]).answer();
    assert_eq!(extended.extension_by, None);
    assert_eq!(asked("gdpr", "refuse", "2026-08-31").answer().extension_by, None);
}

#[test]
fn a_pause_moves_the_legal_date_by_its_days_and_the_safe_date_by_its_whole_days() {
    let days = access("2026-03-02", &[pause("2026-03-09", Some("2026-03-12"))]).days();
    assert_eq!(days[..2], ["2026-04-07", "2026-04-04"]);
    let two = [pause("2026-03-09", Some("2026-03-12")), pause("2026-03-16", Some("2026-03-17"))];
    // 2 April + 4 days = 6 April, which is Easter Monday.
    assert_eq!(access("2026-03-02", &two).days()[..2], ["2026-04-07", "2026-04-04"]);
}

#[test]
fn a_clock_that_stands_still_has_no_legal_date_and_the_safe_one_does_not_wait() {
    let answer = access("2026-03-02", &[pause("2026-03-09", None)]).answer();
    assert!(answer.legal.moment.is_none());
    assert_eq!(answer.safe.moment.expect("a date").day(), day("2026-04-02"));
}

#[test]
fn a_pause_where_the_law_stops_no_clock_changes_nothing_and_says_why() {
    let mut erasure = access("2026-03-02", &[pause("2026-03-09", Some("2026-03-12"))]);
    erasure.right = Some("erasure");
    let answer = erasure.answer();
    assert_eq!(answer.legal.moment.expect("a date").day(), day("2026-04-02"));
    assert!(answer.acts[0].contains("access only"), "{:?}", answer.acts);

    let before_the_act = access("2026-01-05", &[pause("2026-01-09", Some("2026-01-12"))]).answer();
    assert_eq!(before_the_act.legal.moment.expect("a date").day(), day("2026-02-05"));
    assert!(before_the_act.acts[0].contains("stops no clock"), "{:?}", before_the_act.acts);

    let late = access("2026-03-02", &[pause("2026-04-09", Some("2026-04-12"))]).answer();
    assert!(late.acts[0].contains("had ended"), "{:?}", late.acts);
}

#[test]
fn pauses_that_no_clock_can_have_had_are_refused() {
    for pauses in [
        vec![pause("2026-03-01", Some("2026-03-03"))],
        vec![pause("2026-03-09", Some("2026-03-08"))],
        vec![pause("2026-03-09", Some("2026-03-12")), pause("2026-03-11", Some("2026-03-14"))],
        vec![pause("2026-03-09", None), pause("2026-03-11", Some("2026-03-14"))],
    ] {
        let answer = access("2026-03-02", &pauses).try_answer(table());
        assert!(matches!(answer, Err(Unanswerable::Pause(_))), "{pauses:?}");
    }
}

#[test]
fn an_unknown_zone_or_calendar_is_answered_with_the_nearest() {
    let mut question = asked("gdpr", "respond", "2026-03-02");
    question.zone = Some("Europe/Brussel");
    let error = question.try_answer(table()).expect_err("no such zone").to_string();
    assert!(error.contains("Europe/Brussels"), "{error}");
    question.zone = None;
    question.calendar = Some("englandwales");
    let error = question.try_answer(table()).expect_err("no such calendar").to_string();
    assert!(error.contains("england-wales"), "{error}");
}
