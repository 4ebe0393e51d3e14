//! What holds of the module above.

use jiff::civil::date;

use super::*;

const ACT: &str = "{by: legal, approved_by: counsel, on: 2026-11-01, reason: read the text}";

fn over(text: &str) -> Result<Table, String> {
    let table = Table::shipped().expect("readable");
    let overlay =
        Overlay::read("own.yaml", &format!("overlay: own\n{text}")).map_err(|finding| finding.to_string())?;
    overlay
        .over(&table, "own.yaml")
        .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn change(law: &str, duty: &str, more: &str) -> String {
    format!("changes:\n  - {{law: {law}, duty: {duty}, from: 2026-11-01, act: {ACT}, {more}}}\n")
}

fn row_on(table: &Table, law: &str, duty: &str, day: Date) -> Row {
    let duty = table.law(law).expect("known").duty(duty).expect("known");
    duty.row_on(day).expect("a row holds").clone()
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = over(text).expect_err("it is refused");
    assert!(error.starts_with("own.yaml: ") && error.contains(expected), "{expected} in {error}");
}

#[test]
fn counsels_figure_holds_since_its_day_and_the_laws_before() {
    let table = over(&change("pipeda", "respond", "due: {n: 20, unit: calendar_day}")).expect("laid");
    let period = |day| row_on(&table, "pipeda", "respond", day).due.period.expect("a number").n;
    assert_eq!(period(date(2026, 10, 31)), 30);
    assert_eq!(period(date(2026, 11, 1)), 20);
    assert_eq!(table.overlay.as_deref(), Some("own"));
}

#[test]
fn a_decision_that_has_lapsed_leaves_the_laws_row() {
    let text = change("pipeda", "respond", "due: {n: 20, unit: calendar_day}")
        .replace("reason: read", "until: 2026-12-31, reason: read");
    let table = over(&text).expect("laid");
    let period = |day| row_on(&table, "pipeda", "respond", day).due.period.expect("a number").n;
    assert_eq!(period(date(2026, 12, 31)), 20);
    assert_eq!(period(date(2027, 1, 1)), 30);
}

#[test]
fn a_confirmed_row_may_carry_a_date() {
    let table = over(&change("mt-cdpa", "stop-after-withdrawal", "confirm: true")).expect("laid");
    let row = row_on(&table, "mt-cdpa", "stop-after-withdrawal", date(2026, 11, 2));
    assert_eq!(row.confidence, Confidence::High);
    assert_eq!(row.act.expect("the decision").approved_by, "counsel");
}

#[test]
fn an_overlay_never_gives_a_number_to_a_law_that_has_none() {
    refused(
        &change("gdpr", "tell-recipients", "due: {n: 14, unit: calendar_day}"),
        "house policy: give `policy`",
    );
    let table =
        over(&change("gdpr", "tell-recipients", "policy: {n: 14, unit: calendar_day}")).expect("laid");
    let duty = table.law("gdpr").expect("known").duty("tell-recipients").expect("known");
    assert!(duty.rows.iter().all(|row| row.due.period.is_none()));
    assert_eq!(duty.policy, Some(Period { n: 14, unit: crate::law::Unit::CalendarDay }));
}

#[test]
fn the_author_does_not_approve() {
    let text =
        change("pipeda", "respond", "confirm: true").replace("approved_by: counsel", "approved_by: legal");
    refused(&text, "somebody else approves");
    let text = change("pipeda", "respond", "confirm: true").replace("reason: read the text", "reason: \"\"");
    refused(&text, "`reason` is empty");
}

#[test]
fn words_that_nobody_knows_and_decisions_about_nothing_are_refused() {
    refused(&change("gdrp", "respond", "confirm: true"), "did you mean \"gdpr\"");
    refused(&change("gdpr", "responds", "confirm: true"), "did you mean \"respond\"");
    refused(&change("gdpr", "respond", "confirm: false"), "decides nothing");
    refused(
        &change("gdpr", "respond", "due: {n: 30, unit: calendar_day}, extension: {n: 1, unit: month}"),
        "period's unit",
    );
    refused("window_percent: 0\n", "from 1 to 100");
    refused("colour: red\n", "colour");
}

#[test]
fn a_wish_to_keep_records_never_holds_back_an_erasure() {
    let text = format!(
        "retention:\n  - {{law: gdpr, record: everything, keep: {{n: 90, unit: year}}, act: {ACT}}}\n"
    );
    let table = over(&text).expect("laid");
    let kept = table.law("gdpr").expect("known").retention.iter().find(|kept| kept.record == "everything");
    assert!(!kept.expect("laid").holds_back_erasure());
}

#[test]
fn an_operators_calendar_stands_beside_the_tables_and_does_not_replace_one() {
    let own = |id: &str| {
        format!(
            "calendars:\n  - act: {ACT}\n    calendar: {{calendar: {id}, name: Own, authority: house, \
             closed: [friday], valid: {{from: 2026, to: 2027}}, confidence: high, \
             verification: primary_text_seen, holidays: [{{name: Day, on: 2026-12-01}}]}}\n"
        )
    };
    let table = over(&own("house")).expect("laid");
    assert!(!table.calendar("house").expect("known").is_open(date(2026, 12, 1)));
    refused(&own("target"), "choose another");
}
