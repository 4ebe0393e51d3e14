//! `writ assess` on a sound configuration and on a weak one.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SOUND: &str = include_str!("../../../examples/operator.yaml");

/// Everything that a gap can be about is wrong in it.
const WEAK: &str = r#"
tenant: acme
store: { path: data }
compliance: { demand: E0, approvals: one }
sources:
  members:
    kind: sqlite
    path: members.db
    tables:
      members:
        entity: customer
        key: [id]
        changes: { email: [email], tier: [tier] }
subscribers:
  crm:
    kind: webhook
    url: https://crm.example.com/events
    mode: structured
    filters: [{ exact: { changetype: email } }]
  graz:
    kind: webhook
    url: https://graz.example.com/events
    mode: structured
    filters: [{ exact: { location: graz } }, { not: { exact: { changetype: tier } } }]
    delivery: { order: unordered, age_max: 2000h }
"#;

fn assess(folder: &Path, config: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("writ.yaml"), config).expect("write the configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    for name in ["SHOP_TOKEN", "ADA_TOKEN", "GRACE_TOKEN"] {
        command.env(format!("WRIT_{name}"), "0123456789abcdef");
    }
    for name in ["CRM", "ESP", "SMS"] {
        command.env(format!("WRIT_{name}_SECRET"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    }
    command.current_dir(folder).arg("assess").args(more).output().expect("run writ")
}

fn gaps(output: &Output) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let text = |gap: &Value, name: &str| gap[name].as_str().unwrap_or_default().to_owned();
    let all = report["gaps"].as_array().expect("a list");
    all.iter().map(|gap| (text(gap, "severity"), text(gap, "kind"), text(gap, "about"))).collect()
}

#[test]
fn the_example_configuration_has_no_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/default");
    let config = SOUND.replace("../policies/default", &policies.display().to_string());
    let output = assess(folder.path(), &config, &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no gaps\n", "{output:?}");
    assert!(output.status.success());
}

#[test]
fn every_planted_gap_of_a_weak_configuration_is_found_the_worst_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = assess(folder.path(), WEAK, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = gaps(&output);
    let expected = [
        ("P1", "unhandled_change", "sources"),
        ("P1", "inconsistent_fan_out", "subscribers.crm"),
        ("P1", "inconsistent_fan_out", "subscribers.crm"),
        ("P1", "inconsistent_fan_out", "subscribers.graz"),
        ("P1", "inconsistent_fan_out", "subscribers.graz"),
        ("P1", "unfit_guarantee", "subscribers.graz"),
        ("P1", "unenforced_window", "subscribers.graz"),
        ("P1", "unenforced_window", "subscribers.graz"),
        ("P1", "unenforced_window", "subscribers.graz"),
        ("P1", "unenforced_window", "subscribers.graz"),
        ("P1", "missing_evidence", "compliance.demand"),
        ("P2", "missing_evidence", "compliance.approvals"),
        ("P3", "unhandled_change", "sources.members"),
        ("P3", "inconsistent_fan_out", "subscribers.crm"),
        ("P3", "unfit_guarantee", "subscribers.graz"),
        ("P3", "missing_evidence", "policies"),
        ("P3", "missing_evidence", "subscribers.graz"),
    ];
    let found: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|(severity, kind, about)| (severity.as_str(), kind.as_str(), about.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn only_named_laws_set_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let windows = |law: &str| {
        let output = assess(folder.path(), WEAK, &["--json", "--law", law]);
        gaps(&output).into_iter().filter(|(_, kind, _)| kind == "unenforced_window").count()
    };
    assert_eq!(windows("tcpa"), 2, "suppression and consent");
    let unknown = assess(folder.path(), WEAK, &["--law", "gdqr"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("WRIT-9001"), "{unknown:?}");
}

#[test]
fn the_gaps_are_printed_as_words_as_csv_and_as_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = assess(folder.path(), WEAK, &["--csv", "--html", "gaps.html"]);
    let csv = String::from_utf8_lossy(&csv.stdout).into_owned();
    assert_eq!(csv.lines().next(), Some("order,severity,kind,about,found,remedy,citation"));
    assert_eq!(csv.lines().count(), 18, "{csv}");
    let page = std::fs::read_to_string(folder.path().join("gaps.html")).expect("the page");
    assert_eq!(page.matches("<tr>").count(), 18, "{page}");
    assert!(
        page.contains("<html lang=\"en\">") && page.contains("<caption>") && page.contains("scope=\"col\"")
    );
    let words = assess(folder.path(), WEAK, &[]);
    assert!(String::from_utf8_lossy(&words.stdout).contains("17 gaps"), "{words:?}");
}
