//! What the command makes of its arguments.

use writ_statutes::deadline::{Pause, Told};

use super::*;

#[test]
fn pairs_on_the_command_line_become_acts() {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let acts = given::acts(
        &text(&["2026-04-02", "many requests"]),
        &text(&["2026-03-09", "2026-03-12", "2026-03-16", "2026-03-17"]),
    );
    let acts = acts.expect("dates");
    let day = |text: &str| text.parse().expect("a date");
    assert_eq!(acts.told, [Told { on: day("2026-04-02"), reason: "many requests".to_owned() }]);
    assert_eq!(acts.pauses.len(), 2);
    assert_eq!(acts.pauses[0], Pause { from: day("2026-03-09"), to: Some(day("2026-03-12")) });
}

#[test]
fn what_is_no_date_and_no_moment_is_refused_with_an_example() {
    for text in ["2026-02-30", "2026-03-31T10:00:00Z", "yesterday"] {
        let error = given::acts(&[text.to_owned(), "why".to_owned()], &[]).expect_err("no date").to_string();
        assert!(error.contains("WRIT-9003") && error.contains("2026-03-31"), "{error}");
    }
    let error = given::moment("2026-03-31").expect_err("no moment").to_string();
    assert!(error.contains("+02:00"), "{error}");
}

#[test]
fn a_duty_that_does_not_serve_the_right_is_refused_with_those_that_do() {
    let table = table(None).expect("shipped");
    let law = table.law("gdpr").expect("known");
    let found = duties(&table, law, Some("erasure"), Some("notify-breach")).expect_err("another right");
    assert!(found.to_string().contains("respond"), "{found}");
    assert_eq!(duties(&table, law, None, Some("notify-breach")).expect("named").len(), 1);
    assert!(duties(&table, law, Some("erasure"), None).expect("served").len() > 3);
}
