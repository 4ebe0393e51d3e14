//! The shipped files themselves.

use std::collections::BTreeSet;

use writ_statutes::law::{Confidence, Counting, Kind};
use writ_statutes::lint::lint;
use writ_statutes::overlay::Overlay;
use writ_statutes::page::page;

use crate::stage::table;

const GUIDE: &str = include_str!("../../../../docs/guide/deadlines.md");
const PAGE: &str = include_str!("../../../../docs/reference/statutes.md");

#[test]
fn the_shipped_files_have_no_mistakes() {
    let findings: Vec<String> = lint(table()).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn the_reference_page_is_what_would_be_written() {
    assert!(page(table()) == PAGE, "docs/reference/statutes.md is stale; run `cargo xtask codegen`");
}

#[test]
fn the_overlay_in_the_guide_can_be_used() {
    let block =
        GUIDE.split("```yaml\n").nth(1).and_then(|text| text.split("```").next()).expect("the guide has one");
    let overlay = Overlay::read("guide.yaml", block).expect("it parses");
    let laid = overlay.over(table(), "guide.yaml").expect("it can be laid over the table");
    assert_eq!(laid.window_percent, 40);
    assert!(laid.calendar("bavaria").is_ok());
}

#[test]
fn the_laws_that_events_are_judged_by_are_there() {
    for law in [
        "gdpr", "uk-gdpr", "ccpa", "tcpa", "can-spam", "casl", "pecr", "eprivacy", "pci-dss", "hipaa", "lgpd",
    ] {
        assert!(table().law(law).is_ok(), "{law}");
    }
    let with_duties = table().laws.values().filter(|law| !law.duties.is_empty()).count();
    assert_eq!(with_duties, 45);
}

#[test]
fn an_alias_and_another_word_for_a_right_lead_to_the_same_duties() {
    let by_alias = table().law("eu-gdpr").expect("an alias");
    assert_eq!(by_alias.id, "gdpr");
    for word in ["erasure", "delete", "erase"] {
        let duties = table().duties(by_alias, word).expect("known");
        assert!(duties.iter().any(|duty| duty.id == "respond"), "{word}");
    }
}

#[test]
fn an_unknown_word_is_answered_with_the_nearest() {
    let error = table().law("gdrp").expect_err("no such law").to_string();
    assert!(error.contains("did you mean \"gdpr\""), "{error}");
    let gdpr = table().law("gdpr").expect("known");
    let error = table().duties(gdpr, "erazure").expect_err("no such right").to_string();
    assert!(error.contains("did you mean \"erasure\""), "{error}");
    let error = table().duties(gdpr, "do-not-call").expect_err("not under this law").to_string();
    assert!(error.contains("there are access"), "{error}");
}

#[test]
fn no_minimum_that_holds_back_an_erasure_rests_on_a_habit_or_a_wish() {
    let holding: BTreeSet<&str> = table()
        .laws
        .values()
        .filter(|law| law.retention.iter().any(|kept| kept.holds_back_erasure()))
        .map(|law| law.id.as_str())
        .collect();
    for habit in ["gdpr", "tcpa", "can-spam", "casl", "fcra", "pci-dss", "ftc", "qc-law25"] {
        assert!(!holding.contains(habit), "{habit}");
    }
    assert!(holding.contains("ccpa") && holding.contains("hipaa"));
}

#[test]
fn every_specified_retention_stands_beside_what_the_law_says() {
    let both =
        table().laws.values().flat_map(|law| &law.retention).filter(|kept| kept.spec.is_some()).count();
    assert_eq!(both, 15);
}

#[test]
fn a_law_whose_numbers_were_not_verified_has_none() {
    for law in ["la-dpa", "al-pdpa", "vt-dpa"] {
        let law = table().law(law).expect("known");
        assert!(law.duties.is_empty());
        assert_eq!(law.reference.as_ref().map(|said| said.confidence), Some(Confidence::Medium));
    }
}

#[test]
fn the_union_and_the_uk_are_counted_by_their_own_rules() {
    let counting = |law| table().law(law).expect("known").counting;
    assert_eq!(counting("gdpr"), Counting::Eu118271);
    assert_eq!(counting("uk-gdpr"), Counting::UkCorrespondingDate);
    assert_eq!(counting("ccpa"), Counting::Plain);
    let telling = table().law("gdpr").expect("known").duty("tell-recipients").expect("known");
    assert_eq!(telling.kind, Kind::Propagate);
    assert!(telling.rows[0].due.period.is_none(), "the Union has no number for recipients");
}
