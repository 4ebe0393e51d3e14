//! What holds of the module above.

use super::*;
use crate::embedded::FILES;

/// What the linter finds when `old` is written as `new` in one of the shipped files.
fn found(path: &str, old: &str, new: &str) -> Vec<String> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == path).expect("shipped");
    assert!(text.contains(old), "{path} has no {old}");
    let changed = text.replacen(old, new, 1);
    let files: Vec<(&str, &str)> =
        FILES.iter().map(|(known, text)| (*known, if *known == path { &changed } else { *text })).collect();
    lint(&Table::read(&files).expect("it still reads")).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(old: &str, new: &str, expected: &str) {
    let found = found("laws/gdpr.yaml", old, new);
    assert!(found.iter().any(|one| one.contains(expected)), "{expected} in {found:?}");
    assert!(found.iter().all(|one| one.starts_with("laws/gdpr.yaml: law gdpr: ")), "{found:?}");
}

#[test]
fn nothing_is_found_in_what_is_shipped() {
    assert_eq!(lint(&Table::shipped().expect("readable")), []);
}

#[test]
fn a_finding_names_file_law_and_duty() {
    let found = found("laws/gdpr.yaml", "n: 2\n          unit: month", "n: 2\n          unit: year");
    assert_eq!(
        found,
        ["laws/gdpr.yaml: law gdpr: duty respond: row from 2018-05-25: 1 month are extended by years"]
    );
}

#[test]
fn a_law_names_a_zone_a_calendar_and_an_anchor_that_exist() {
    check("zone: Europe/Brussels", "zone: Europe/Nowhere", "no time zone");
    check("Europe/Helsinki", "Europe/Elsewhere", "no time zone");
    check("calendar: weekends", "calendar: weekend", "did you mean \"weekends\"");
    check("anchor: 1", "anchor: 6", "none of the five");
}

#[test]
fn a_row_is_bounded_cited_sourced_and_dated() {
    check("n: 72, unit: hour", "n: 0, unit: hour", "no period of a law");
    check("citation: Art. 12(4)", "citation: \"\"", "citation is empty");
    check("sources: [ico1m]", "sources: [hearsay]", "no source is called");
    check("from: 2018-05-25", "from: 2017-05-25", "begins before the law");
    check("status: in_force", "status: future", "but it begins before the table");
    check(
        "confidence: medium\n        verification: not_opened",
        "confidence: high\n        verification: not_opened",
        "nothing was opened",
    );
}

#[test]
fn a_duty_serves_known_rights_and_tells_recipients() {
    check("rights: [breach-notice]", "rights: [breach-note]", "not in rights.yaml");
    check("rights: [breach-notice]", "rights: []", "serves no right");
    check("duty: refuse", "duty: respond", "the duty respond stands twice");
    check("who: [each-recipient]", "who: []", "names its recipients");
}

#[test]
fn a_pause_is_for_rights_of_the_duty() {
    let found = found("laws/uk-gdpr.yaml", "rights: [access]", "rights: [complaint]");
    assert!(found[0].contains("which the duty does not serve"), "{found:?}");
}

#[test]
fn rows_follow_each_other() {
    let found = found("laws/uk-gdpr.yaml", "from: 2026-02-05", "from: 2021-01-01");
    assert!(found[0].contains("does not follow"), "{found:?}");
}

#[test]
fn two_laws_do_not_go_by_one_name() {
    let found = found("laws/ccpa.yaml", "aliases: [us-ca-ccpa", "aliases: [gdpr, us-ca-ccpa");
    assert!(found[0].contains("gdpr is the name of both"), "{found:?}");
}

#[test]
fn a_calendar_is_open_sometimes_and_valid_for_some_years() {
    let path = "calendars/target.yaml";
    let found_years = found(path, "{from: 2002, to: 2035}", "{from: 2035, to: 2002}");
    assert!(found_years[0].contains("before the first"), "{found_years:?}");
    let week = "[monday, tuesday, wednesday, thursday, friday, saturday, sunday]";
    assert!(found(path, "[saturday, sunday]", week)[0].contains("never open"));
}
