//! `writ init`, `writ check` and `writ doctor` as their user meets them: through the binary.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Writ with a working folder and an environment of its own.
fn writ(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    let command = command.current_dir(folder).args(arguments).env_clear();
    command.envs(environment.iter().copied()).output().expect("the binary runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const GOOD: &str = "\
tenant: acme
store: { path: data }
sources:
  shop:
    kind: sqlite
    path: shop.db
    tables:
      customers: { entity: customer, key: [id], changes: { email: [email] } }
subscribers:
  archive: { kind: file, path: archive.jsonl }
";

/// A folder with the good configuration, changed in one place, and these files beside it.
fn stage(from: &str, to: &str, files: &[(&str, &str)]) -> TempDir {
    assert!(GOOD.contains(from), "{from}");
    let folder = tempfile::tempdir().expect("folder");
    for (name, content) in files.iter().chain([&("writ.yaml", GOOD.replacen(from, to, 1).as_str())]) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, content).expect("write");
    }
    folder
}

/// Checks the changed configuration and gives its only error.
fn only_error(from: &str, to: &str, files: &[(&str, &str)]) -> Value {
    let folder = stage(from, to, files);
    let output = writ(folder.path(), &["check", "--json"], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["holds"], false);
    let findings = document["findings"].as_array().expect("findings");
    let errors: Vec<&Value> = findings.iter().filter(|finding| finding["level"] == "error").collect();
    let [error] = errors.as_slice() else { panic!("{to}: {document:#}") };
    assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error}");
    (*error).clone()
}

/// Expects one error with this code and these words in place, cause or remedy.
fn check(from: &str, to: &str, files: &[(&str, &str)], code: &str, words: &[&str]) {
    let error = only_error(from, to, files);
    assert_eq!(error["code"], code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn what_init_writes_passes_check() {
    for (source, environment) in [
        ("sqlite", &[][..]),
        ("postgres", &[("WRIT_SHOP_URL", "postgres://writ:pw@127.0.0.1:5432/shop")][..]),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let made = writ(folder.path(), &["init", "--yes", "--source", source], &[]);
        assert!(made.status.success(), "{}", text(&made));
        let output = writ(folder.path(), &["check"], environment);
        assert!(output.status.success(), "{source}: {}", text(&output));
        assert!(!text(&output).contains("pw@"), "no secret is printed");
        let again = writ(folder.path(), &["init", "--yes"], &[]);
        assert!(text(&again).contains("kept"), "nothing is overwritten");
    }
}

#[test]
fn a_secret_that_is_not_there_names_its_variable_and_place() {
    let folder = tempfile::tempdir().expect("folder");
    writ(folder.path(), &["init", "--yes", "--source", "postgres"], &[]);
    let output = writ(folder.path(), &["check"], &[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let place = said.contains("writ.yaml:") && said.contains("sources.shop.url");
    assert!(place && said.contains("WRIT-1005") && said.contains("WRIT_SHOP_URL"), "{said}");
}

#[test]
fn a_token_without_its_secret_is_found_and_a_literal_one_is_not_printed() {
    let token = |secret: &str| {
        format!("api: {{ tokens: [{{ name: shop, secret: {secret}, scopes: [ingest] }}] }}\nsources:")
    };
    check("sources:", &token("env:NOT_SET"), &[], "WRIT-1005", &["writ.yaml:3:", "NOT_SET", "shop"]);
    check("sources:", &token("file:absent"), &[], "WRIT-1005", &["absent"]);
    let literal = only_error("sources:", &token("hunter2hunter2"), &[]);
    assert!(literal["code"] == "WRIT-1005" && !literal.to_string().contains("hunter2"), "{literal}");
}

#[test]
fn an_unknown_connector_lists_the_known_ones() {
    check(
        "kind: sqlite",
        "kind: sqlight",
        &[],
        "WRIT-1004",
        &["sqlight", "cloudevents", "postgres", "sqlite"],
    );
    check("kind: file", "kind: fiel", &[], "WRIT-1004", &["fiel", "file, postgres, pull, webhook"]);
    check("kind: file", "kind: sqlite", &[], "WRIT-1004", &["file, postgres, pull, webhook"]);
}

#[test]
fn an_unknown_key_is_named_once_with_its_place_and_the_nearest() {
    check("path: shop.db", "paht: shop.db", &[], "WRIT-1003", &["writ.yaml:6:5", "paht", "path"]);
}

#[test]
fn a_bad_filter_names_its_subscriber_and_where_in_the_filter() {
    let filter = "path: archive.jsonl, filters: [{ exat: { type: a } }] }";
    check(
        "path: archive.jsonl }",
        filter,
        &[],
        "WRIT-1009",
        &["writ.yaml:10:", "subscribers.archive.filters"],
    );
}

#[test]
fn a_bad_schema_names_its_file() {
    let files = [("schemas/email.v1.json", "{ \"type\": 7 }")];
    check("sources:", "schemas: schemas\nsources:", &files, "WRIT-1006", &["email.v1.json"]);
    check("sources:", "schemas: absent\nsources:", &[], "WRIT-1006", &["absent"]);
}

#[test]
fn a_bad_policy_names_its_file_and_line() {
    let policy = "package writ\nimport rego.v1\ndecision := {\"answer\": \"clear\"\n";
    let files = [("policies/writ.rego", policy)];
    check("sources:", "policies: policies\nsources:", &files, "WRIT-1007", &["writ.rego", ":4:"]);
    let clock = "package writ\nimport rego.v1\ndecision := {\"answer\": \"clear\"} if time.now_ns() > 0\n";
    let files = [("policies/writ.rego", clock)];
    check(
        "sources:",
        "policies: policies\nsources:",
        &files,
        "WRIT-1007",
        &["writ.rego", "line 3", "time.now_ns"],
    );
}

#[test]
fn a_failing_policy_test_names_its_rule() {
    let files = [
        ("policies/writ.rego", "package writ\nimport rego.v1\ndecision := {\"answer\": \"clear\"}\n"),
        (
            "policies/writ_test.rego",
            "package writ_test\nimport rego.v1\ntest_holds if data.writ.decision.answer == \"hold\"\n",
        ),
    ];
    check("sources:", "policies: policies\nsources:", &files, "WRIT-1007", &["test_holds"]);
}

#[test]
fn a_file_that_cannot_be_read_is_bad_input_for_every_command() {
    let folder = tempfile::tempdir().expect("folder");
    for command in ["check", "run", "status", "doctor"] {
        let output = writ(folder.path(), &[command], &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("WRIT-1001") && said.contains("writ init"), "{command}: {said}");
    }
}

#[test]
fn run_refuses_a_configuration_that_check_refuses() {
    for (from, to, code) in [
        ("path: shop.db", "paht: shop.db", "WRIT-1003"),
        ("tenant: acme", "tenant: Acme Inc", "WRIT-1004"),
        ("store: { path: data }", "store: { path: data }\nlimits: { intake_changes: 0 }", "WRIT-1004"),
    ] {
        let folder = stage(from, to, &[]);
        let output = writ(folder.path(), &["run"], &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(code) && said.contains("writ.yaml:"), "{said}");
        assert!(!folder.path().join("data").exists(), "nothing was opened");
    }
}

#[test]
fn doctor_reports_on_the_machine_as_json() {
    let folder = stage("tenant", "tenant", &[]);
    let output = writ(folder.path(), &["doctor", "--json"], &[]);
    assert!(output.status.success(), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(document["holds"], true);
    let places: Vec<&str> = document["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|one| one["place"].as_str())
        .collect();
    assert_eq!(places, ["store sync", "clock", "keys", "audit storage"]);
    assert!(!folder.path().join("data/.doctor").exists(), "it leaves nothing behind");
}

const WEBHOOK: &str = "kind: webhook, url: 'https://crm.example.com/'";

/// The subscriber with other keys.
fn subscriber_error(keys: &str, code: &str, words: &[&str]) {
    check("kind: file, path: archive.jsonl", keys, &[], code, words);
}

#[test]
fn a_guarantee_that_nothing_proves_is_refused_with_what_would_prove_it() {
    let choice = "guarantee: { email: exactly-once, tier: exactly-once }";
    let file = format!("kind: file, path: archive.jsonl, {choice}");
    subscriber_error(&file, "WRIT-1010", &["email", "tier", "choose at-least-once", "archive.guarantee"]);
    let webhook = format!("{WEBHOOK}, {choice}");
    subscriber_error(&webhook, "WRIT-1010", &["email", "configure idempotency-key", "how long the receiver"]);
    let all = format!("{WEBHOOK}, guarantee: exactly-once");
    subscriber_error(&all, "WRIT-1010", &["address", "suppression"]);
}

#[test]
fn at_most_once_is_refused_where_an_event_is_owed_or_never_expires() {
    let choice = |word: &str| format!("{WEBHOOK}, guarantee: {{ {word}: at-most-once }}");
    let owed = choice("erasure") + ", delivery: { expires_after: 1h }";
    subscriber_error(&owed, "WRIT-1011", &["erasure", "statute"]);
    subscriber_error(&choice("segment"), "WRIT-1011", &["segment", "expires_after"]);
}

#[test]
fn a_receiver_that_forgets_too_early_is_named_with_both_times() {
    let stated = "idempotency_key: { retention_hours: 24, source: a page }";
    let webhook = format!("{WEBHOOK}, {stated}, guarantee: {{ tier: exactly-once }}");
    subscriber_error(&webhook, "WRIT-1012", &["tier", "86400s", "age_max"]);
}

#[test]
fn check_prints_what_each_subscriber_is_promised_and_warns_of_a_default_that_is_not_kept() {
    let findings = |keys: &str| {
        let folder = stage("kind: file, path: archive.jsonl", keys, &[]);
        let output = writ(folder.path(), &["check", "--json"], &[]);
        assert!(output.status.success(), "{}", text(&output));
        let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        document["findings"].as_array().expect("findings").clone()
    };
    let promises = |findings: &[Value]| {
        let found = findings.iter().find(|one| one["place"] == "subscribers.archive.guarantee");
        found.expect("the table")["guarantees"].clone()
    };
    let warnings = |findings: &[Value]| findings.iter().filter(|one| one["level"] == "warning").count();

    let plain = findings(WEBHOOK);
    assert_eq!(promises(&plain)["tier"], serde_json::json!({"guarantee": "at-least-once"}));
    assert_eq!(warnings(&plain), 3, "consent, tier and erasure are exactly-once by default");
    let stated = "idempotency_key: { retention_hours: 720, source: a page }";
    let stated =
        findings(&format!("{WEBHOOK}, {stated}, ad_audience: true, delivery: {{ expires_after: 1h }}"));
    let proven = serde_json::json!({"guarantee": "exactly-once", "mechanism": "idempotency-key"});
    assert_eq!(promises(&stated)["tier"], proven);
    assert_eq!(promises(&stated)["segment"], serde_json::json!({"guarantee": "at-most-once"}));
    assert_eq!(promises(&stated)["email"], serde_json::json!({"guarantee": "at-least-once"}));
    assert_eq!(warnings(&stated), 0);
}
