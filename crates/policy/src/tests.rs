//! Bundles from small texts, and the default bundle from its folder.

use serde_json::{Value, json};
use writ_model::taxonomy::PriorityClass;
use writ_model::verdict::{PolicyAnswer, PolicyVerdict};

use super::*;

fn bundle(rego: &str) -> Bundle {
    Bundle::load("test", [("p.rego", format!("package writ\nimport rego.v1\n{rego}"))]).expect("a bundle")
}

fn decide(rego: &str, input: &Value) -> Result<PolicyVerdict, PolicyError> {
    bundle(rego).engine().decide(input)
}

#[track_caller]
fn refused<const N: usize>(files: [(&str, &str); N], expected: &str) {
    let error = Bundle::load("test", files).expect_err("the bundle is refused").to_string();
    assert!(error.starts_with("WRIT-1007 ") && error.contains(expected), "{error}");
}

fn default_files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("policy.rego", include_str!("../../../policies/default/policy.rego")),
        ("policy_test.rego", include_str!("../../../policies/default/policy_test.rego")),
        ("data.json", include_str!("../../../policies/default/data.json")),
    ]
}

#[test]
fn without_a_policy_everything_is_cleared() {
    let bundle = Bundle::none();
    let verdict = bundle.engine().verdict(&json!({}));
    assert_eq!(verdict.answer, PolicyAnswer::Clear);
    assert!(verdict.version.0.starts_with("none@sha256:"));
    assert_eq!(bundle.test(), Ok(vec![]));
}

#[test]
fn the_default_bundle_passes_its_own_tests() {
    let trials = Bundle::load("default", default_files()).expect("a bundle").test().expect("tests");
    assert!(trials.len() >= 5);
    let failed: Vec<_> = trials.iter().filter(|trial| trial.result != TrialResult::Passed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn the_default_bundle_decides_the_same_when_it_is_compiled() {
    let mut engine = Bundle::load("default", default_files()).expect("a bundle").engine();
    let mut decide = |change_type: &str, after: Value| {
        let input = json!({"change_type": change_type, "data": {"after": after}});
        engine.decide(&input).expect("a verdict")
    };
    assert_eq!(decide("email", json!({"email": "a@example.org"})).answer, PolicyAnswer::Clear);
    assert_eq!(decide("email", Value::Null).answer, PolicyAnswer::Clear);
    assert_eq!(decide("preference", json!({"status": "opted_out"})).class, Some(PriorityClass::Express));
    assert_eq!(decide("email", json!({"email": "a@example.org"})).class, None);
    assert!(matches!(decide("identity_merge", json!({"confidence": 10})).answer, PolicyAnswer::Hold(_)));
}

#[test]
fn every_member_of_a_decision_is_read() {
    let rego = r#"decision := {"answer": "hold", "reason": input.why, "class": "express",
        "deny_subscribers": {"b", "a", "a"}, "withhold": ["phone"]}"#;
    let verdict = decide(rego, &json!({"why": "because"})).expect("a verdict");
    assert_eq!(verdict.answer, PolicyAnswer::Hold("because".into()));
    assert_eq!(verdict.class, Some(PriorityClass::Express));
    assert_eq!(
        (verdict.deny_subscribers, verdict.withhold),
        (vec!["a".into(), "b".into()], vec!["phone".into()])
    );
    for (text, expected) in [
        (r#"{"allow": true}"#, PolicyAnswer::Clear),
        (r#"{"allow": false}"#, PolicyAnswer::Refuse("no reason given".into())),
        (r#"{"answer": "clear"}"#, PolicyAnswer::Clear),
        (r#"{"answer": "refuse", "reason": "x"}"#, PolicyAnswer::Refuse("x".into())),
    ] {
        assert_eq!(decide(&format!("decision := {text}"), &json!({})).map(|v| v.answer), Ok(expected));
    }
}

#[test]
fn a_decision_that_cannot_be_read_holds_the_event() {
    for text in [
        "true",
        "{}",
        r#"{"allow": "yes"}"#,
        r#"{"answer": "drop"}"#,
        r#"{"allow": true, "answer": "clear"}"#,
        r#"{"allow": true, "deny": ["a"]}"#,
        r#"{"allow": true, "withhold": "phone"}"#,
        r#"{"allow": true, "class": "fast"}"#,
        r#"{"allow": true, "withhold": [1]}"#,
        r#"{"allow": true, "reason": 1}"#,
    ] {
        let mut engine = bundle(&format!("decision := {text}")).engine();
        assert!(engine.decide(&json!({})).is_err(), "{text}");
        assert!(matches!(engine.verdict(&json!({})).answer, PolicyAnswer::Hold(_)), "{text}");
    }
}

#[test]
fn an_undefined_decision_holds_the_event_and_says_what_to_do() {
    let verdict =
        bundle(r#"decision := {"allow": true} if input.ok"#).engine().verdict(&json!({"secret": "ada"}));
    let PolicyAnswer::Hold(reason) = verdict.answer else { panic!("held") };
    assert!(reason.contains("give it a default") && !reason.contains("ada"), "{reason}");
}

#[test]
fn nothing_of_one_input_is_left_for_the_next() {
    let mut engine =
        bundle("default decision := {\"allow\": false}\ndecision := {\"allow\": true} if input.ok").engine();
    for ok in [true, false, true, true, false] {
        let answer = engine.decide(&json!({"ok": ok})).map(|v| v.answer == PolicyAnswer::Clear);
        assert_eq!(answer, Ok(ok));
    }
}

#[test]
fn a_policy_that_never_ends_is_stopped_and_holds_the_event() {
    let rego = "xs := numbers.range(1, 3000)\ndecision := {\"allow\": count([1 | some x in xs; some y in xs; x > y]) > 0}";
    let mut engine = bundle(rego).engine();
    assert!(matches!(engine.verdict(&json!({})).answer, PolicyAnswer::Hold(_)));
    assert!(matches!(engine.verdict(&json!({})).answer, PolicyAnswer::Hold(_)));
}

#[test]
fn bundles_that_cannot_be_used_are_refused_with_the_reason() {
    refused([], "there is no .rego file");
    refused([("p.rego", "package writ\nx := ")], "p.rego");
    refused([("p.rego", "package other\nx := 1")], "data.writ.decision");
    refused(
        [("p.rego", "package writ\ndecision := http.send({})")],
        "p.rego, line 2: http.send is not available",
    );
    refused([("p.rego", "package writ\ndecision := nosuch(1)")], "nosuch");
    refused([("p.rego", "package writ\ndecision := 1"), ("data.json", "[1]")], "data.json");
    refused(
        [("p.rego", "package writ\ndecision := 1"), ("p.rego", "package writ\ndecision := 1")],
        "given twice",
    );
}

#[test]
fn the_version_covers_what_decides_and_nothing_else() {
    let version = |files: &[(&str, &str)]| {
        Bundle::load("v", files.iter().copied()).expect("a bundle").version().0.clone()
    };
    let policy = ("p.rego", "package writ\ndecision := {\"allow\": true}");
    let same = ("a_test.rego", "package writ_test\ntest_x := true");
    assert_eq!(version(&[policy]), version(&[same, policy]));
    assert_ne!(version(&[policy]), version(&[policy, ("data.json", "{}")]));
    assert!(version(&[policy]).starts_with("v@sha256:"));
}

#[test]
fn tests_that_fail_are_told_by_name() {
    let files = [
        ("p.rego", "package writ\nimport rego.v1\ndecision := {\"allow\": true}"),
        (
            "p_test.rego",
            "package writ_test\nimport rego.v1\nimport data.writ\ntest_a if writ.decision.allow\ntest_b if not writ.decision.allow",
        ),
    ];
    let trials = Bundle::load("t", files).expect("a bundle").test().expect("tests");
    let told: Vec<_> = trials.into_iter().map(|t| (t.rule, t.result)).collect();
    let expected =
        [("data.writ_test.test_a", TrialResult::Passed), ("data.writ_test.test_b", TrialResult::Failed)];
    assert_eq!(told, expected.map(|(rule, result)| (rule.to_owned(), result)));
}

#[test]
fn an_engine_can_be_moved_to_the_thread_that_decides() {
    fn is_send<T: Send>() {}
    is_send::<Engine>();
    is_send::<Bundle>();
}
