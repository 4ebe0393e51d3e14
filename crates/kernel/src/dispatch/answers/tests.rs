//! Rules over status, headers and body, and what is refused of them.

use serde_json::json;
use writ_model::delivery::{AnswerBody, HttpAnswer};

use writ_model::taxonomy::ChangeType;

use super::*;

fn rules(rules: Value) -> Rules {
    Rules { rules: serde_json::from_value(rules).expect("rules"), items: None }
}

fn http(status: u16, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = Some(AnswerBody::new(body.as_bytes().to_vec()));
    HttpAnswer { status, headers, body, ..HttpAnswer::default() }
}

fn judged(rules: &Rules, http: &HttpAnswer) -> Option<(usize, Meaning)> {
    let body = rules.body(http);
    rules.judge(Seen { status: http.status, http, body: body.as_ref(), change_type: ChangeType::Email })
}

fn wrong(given: Value) -> Vec<String> {
    let found = rules(given).check().err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn the_first_rule_that_fits_decides_and_what_fits_none_is_left_to_the_table() {
    let rules = rules(json!([
        { "status": 409, "then": "acknowledged" },
        { "status": "200-299", "body": { "at": "/error/code", "equals": "RATE" }, "then": "throttled" },
        { "status": "200-299", "header": { "name": "x-result", "contains": "fail" }, "then": "retry" },
        { "status": 400, "body": { "at": "/gone", "equals": true }, "then": "gone" },
    ]));
    assert_eq!(rules.check(), Ok(()));
    assert_eq!(judged(&rules, &http(409, &[], "")), Some((1, Meaning::Acknowledged)));
    let rate = http(200, &[("x-result", "failed")], r#"{"error": {"code": "RATE"}}"#);
    assert_eq!(judged(&rules, &rate), Some((2, Meaning::Throttled)));
    assert_eq!(judged(&rules, &http(202, &[("x-result", "has failed")], "{")), Some((3, Meaning::Retry)));
    assert_eq!(judged(&rules, &http(400, &[], r#"{"gone": true}"#)), Some((4, Meaning::Gone)));
    assert_eq!(judged(&rules, &http(400, &[], r#"{"gone": "true"}"#)), None);
    assert_eq!(judged(&rules, &http(200, &[], "ok")), None);
}

#[test]
fn a_connector_is_asked_for_the_named_headers_and_for_a_body_only_where_one_is_looked_into() {
    let header = json!([{ "header": { "name": "x-a", "equals": "1" }, "then": "retry" }]);
    assert_eq!(rules(header).wants(), Wants { headers: vec!["x-a".into()], body: false });
    let body = json!([{ "body": { "at": "", "equals": 1 }, "then": "retry" }]);
    assert_eq!(rules(body).wants(), Wants { headers: Vec::new(), body: true });
    assert_eq!(Rules::default().wants(), Wants::default());
}

#[test]
fn results_per_item_have_a_status_of_their_own() {
    let items = Items { at: "/results".into(), status: Some("/code".into()) };
    let rules = Rules { rules: Vec::new(), items: Some(items) };
    let answer = http(207, &[], r#"{"results": [{"code": 200}, {"code": "422 No"}, {}]}"#);
    let body = rules.body(&answer);
    let statuses = rules.results(&answer, body.as_ref()).map(|all| all.iter().map(|(s, _)| *s).collect());
    assert_eq!(statuses, Some(vec![200, 422, 207]));
    let failed = HttpAnswer { status: 503, ..answer };
    assert_eq!(rules.results(&failed, body.as_ref()), None, "only a 2xx answer holds results");
}

#[test]
fn a_rule_that_is_never_reached_is_refused() {
    let by_range = wrong(json!([
        { "status": "400-499", "then": "rejected" },
        { "status": 429, "header": { "name": "x", "equals": "1" }, "then": "throttled" },
    ]));
    assert_eq!(by_range, ["rule 2 is never reached: rule 1 takes all that it would"]);
    let by_part = wrong(json!([
        { "header": { "name": "x", "contains": "fail" }, "then": "retry" },
        { "header": { "name": "x", "equals": "failed" }, "then": "rejected" },
    ]));
    assert_eq!(by_part, ["rule 2 is never reached: rule 1 takes all that it would"]);
    let narrower_first = wrong(json!([
        { "header": { "name": "x", "equals": "failed" }, "then": "rejected" },
        { "header": { "name": "x", "contains": "fail" }, "then": "retry" },
        { "then": "acknowledged" },
    ]));
    assert_eq!(narrower_first, Vec::<String>::new());
}

#[test]
fn contradictions_and_rules_that_never_fit_are_refused() {
    let twice = json!([{ "status": 409, "then": "retry" }, { "status": 409, "then": "rejected" }]);
    assert_eq!(wrong(twice), ["rule 2 contradicts rule 1: the same conditions, another meaning"]);
    let never = |rule: Value| wrong(json!([rule])).concat();
    assert!(never(json!({ "status": "299-200", "then": "retry" })).contains("range of statuses is empty"));
    assert!(never(json!({ "status": 99, "then": "retry" })).contains("from 100 to 599"));
    let both = json!({ "header": { "name": "x", "equals": "a", "contains": "a" }, "then": "retry" });
    assert!(never(both).contains("either `equals` or `contains`"));
    assert!(
        never(json!({ "header": { "name": "X-A", "equals": "a" }, "then": "gone" })).contains("lower case")
    );
    assert!(
        never(json!({ "body": { "at": "error", "equals": 1 }, "then": "gone" })).contains("JSON pointer")
    );
}

#[test]
fn statuses_read_as_people_write_them() {
    let read = |value: Value| serde_json::from_value::<Statuses>(value).map(|statuses| statuses.to_string());
    assert_eq!(read(json!(409)).ok().as_deref(), Some("409"));
    assert_eq!(read(json!("200-299")).ok().as_deref(), Some("200-299"));
    assert!(read(json!("2xx")).is_err() && read(json!(-1)).is_err());
}
