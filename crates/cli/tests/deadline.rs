//! `writ deadline` as a person types it.

use std::process::{Command, Output};

fn writ(line: &str) -> Output {
    let mut words: Vec<String> = vec!["deadline".to_owned()];
    // A word in quotes may hold spaces.
    let quoted = line.split('"').enumerate();
    for (at, part) in quoted {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    Command::new(env!("CARGO_BIN_EXE_writ")).args(words).output().expect("the binary runs")
}

fn said(line: &str) -> String {
    let output = writ(line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn refused(line: &str, code: &str, part: &str) {
    let output = writ(line);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{line}: {error}");
    assert!(error.contains(code) && error.contains(part), "{line}: {error}");
}

const ASK: &str = "--law gdpr --right erasure --received 2026-03-31T10:00:00+02:00";

#[test]
fn each_date_is_explained() {
    let text = said(&format!("{ASK} --calendar eu-institutions --zone Europe/Vienna"));
    for part in [
        "legal       2026-04-30, a Thursday",
        "the last day of a month that has no day 31",
        "source: gdpr, Art. 12(3)",
        "Regulation (EEC, Euratom) 1182/71",
        "safe        2026-04-30",
        "policy      2026-04-15",
        "in Europe/Vienna",
        "extension   2 months, told by 2026-04-30, if complexity",
        "the law has no number",
        "each-recipient",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn acts_are_counted_and_told() {
    let extended = said(&format!("{ASK} --duty respond --extend 2026-04-20 \"many requests\""));
    assert!(extended.contains("legal       2026-06-30") && extended.contains("many requests"), "{extended}");
    let paused = said(
        "--law uk-gdpr --right access --received 2026-03-02T10:00:00Z --pause 2026-03-09 2026-03-12 \
         --pause 2026-03-16 2026-03-17",
    );
    assert!(paused.contains("4 days of standing still"), "{paused}");
}

#[test]
fn one_json_document_has_the_three_dates() {
    let text = said(&format!("{ASK} --duty respond --json"));
    let compact: String = text.split_whitespace().collect();
    for part in [
        "\"legal_due\":{\"day\":\"2026-04-30\",\"over\":\"2026-05-01T00:00:00+02:00\"",
        "\"safe_due\":{\"day\":\"2026-04-30\"",
        "\"policy_due\":{\"day\":\"2026-04-15\"",
        "\"confidence\":\"high\"",
        "\"told_by\":\"2026-04-30\"",
    ] {
        assert!(compact.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_word_that_is_not_in_the_table_is_answered_with_the_nearest() {
    refused(
        "--law gdrp --right erasure --received 2026-03-31T10:00:00Z",
        "WRIT-9001",
        "did you mean \"gdpr\"",
    );
    refused(
        "--law gdpr --right erazure --received 2026-03-31T10:00:00Z",
        "WRIT-9001",
        "did you mean \"erasure\"",
    );
    refused(&format!("{ASK} --calendar targe"), "WRIT-9001", "did you mean \"target\"");
    refused(&format!("{ASK} --zone Europe/Brussel"), "WRIT-9003", "did you mean \"Europe/Brussels\"");
    refused("--law gdpr --right erasure --received yesterday", "WRIT-9003", "2026-03-31T10:00:00+02:00");
    refused(&format!("{ASK} --pause 2026-03-01 2026-03-02"), "WRIT-9003", "begins before");
}

#[test]
fn the_list_says_what_each_row_is_good_for() {
    let text = said("list --law tcpa");
    assert!(text.contains("stop-all-topics             informs"), "{text}");
    assert!(text.contains("stop                        legal date"), "{text}");
    assert!(said("list").lines().count() > 200);
    assert!(said("list --law gdpr --json").contains("\"can_certify\": true"));
}

#[test]
fn an_operators_own_decisions_are_laid_over_the_table() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("deadline-overlay.yaml");
    let act = "{by: legal, approved_by: counsel, on: 2026-01-02, reason: our promise}";
    let own = "policy: {n: 14, unit: calendar_day}";
    let text = |duty: &str, more: &str| {
        format!(
            "overlay: acme\nchanges:\n  - {{law: gdpr, duty: {duty}, from: 2026-01-02, act: {act}, {more}}}\n"
        )
    };
    std::fs::write(&file, text("tell-recipients", own)).expect("writable");
    let said = said(&format!("{ASK} --duty tell-recipients --overlay {}", file.display()));
    assert!(said.contains("under the overlay acme") && said.contains("policy      2026-04-14"), "{said}");
    assert!(said.contains("legal       no date"), "{said}");

    std::fs::write(&file, text("tell-recipients", "due: {n: 14, unit: calendar_day}")).expect("writable");
    refused(&format!("{ASK} --overlay {}", file.display()), "WRIT-9002", "house policy");
    refused(&format!("{ASK} --overlay {}", folder.join("absent.yaml").display()), "WRIT-9002", "absent.yaml");
}
