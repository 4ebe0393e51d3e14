//! What holds of the module above.

use super::*;

#[track_caller]
fn check(path: &str, text: &str, expected: &str) {
    let findings = Table::read(&[("table.yaml", "as_of: 2026-01-01\nreview_by: 2026-07-01\n"), (path, text)]);
    let findings = findings.expect_err("the file cannot be read");
    let found = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(found.starts_with(path) && found.contains(expected), "{expected} in {found}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_place() {
    check("laws/own.yaml", "law: own\nname: Own\ncolour: red\n", "colour");
    check("laws/own.yaml", "law: own\n", "missing field");
    check("calendars/own.yaml", "calendar: [", "line");
    check("notes.yaml", "a: b\n", "no such file belongs here");
    check("rights.yaml", "- {right: a, means: b}\n- {right: a, means: c}\n", "stands twice");
}

#[test]
fn a_file_is_called_after_what_is_in_it() {
    let (_, text) = FILES.iter().find(|(path, _)| *path == "laws/gdpr.yaml").expect("shipped");
    check("laws/other.yaml", text, "a file that holds gdpr is called gdpr.yaml");
}

#[test]
fn a_number_without_a_unit_is_refused() {
    let (_, text) = FILES.iter().find(|(path, _)| *path == "laws/gdpr.yaml").expect("shipped");
    check(
        "laws/gdpr.yaml",
        &text.replacen("{n: 1, unit: month, also", "{n: 1, also", 1),
        "`n` needs a `unit`",
    );
}

#[test]
fn a_table_without_an_edition_is_refused() {
    assert!(Table::read(&[]).is_err());
}
