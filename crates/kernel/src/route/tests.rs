//! Filters over one known header.

use serde_json::json;
use writ_model::lineage::{Lineage, Ordinals, Standing};

use super::*;
use crate::gate::fixtures::envelope;

fn compile(filters: &Value) -> Result<Filter, FilterError> {
    Filter::compile(filters.as_array().expect("filters are an array"))
}

fn header() -> ClearHeader {
    let mut header = envelope().header;
    header.location = Some("graz".into());
    header.lineage = Some(Lineage { standing: Some(Standing::Stale), ..Lineage::default() });
    header
}

#[track_caller]
fn check(filters: Value, expected: bool) {
    let filter = compile(&filters).expect("the filters compile");
    assert_eq!(filter.matches(&header(), PriorityClass::Standard), expected, "{filters}");
}

#[track_caller]
fn refused(filters: Value, expected: &str) {
    let error = compile(&filters).expect_err("the filters are refused").to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.starts_with("WRIT-1009 "), "{error}");
}

#[test]
fn no_filter_means_everything_and_a_set_means_all_of_it() {
    check(json!([]), true);
    check(json!([{"exact": {"operation": "update"}}, {"exact": {"entity": "customer"}}]), true);
    check(json!([{"exact": {"operation": "update"}}, {"exact": {"entity": "account"}}]), false);
}

#[test]
fn the_dialects_mean_what_the_specification_says() {
    check(json!([{"exact": {"type": "writ.customer.email.v1"}}]), true);
    check(json!([{"exact": {"type": "writ.customer.email.v11"}}]), false);
    check(json!([{"exact": {"type": "writ.customer.email.v"}}]), false);
    check(json!([{"prefix": {"type": "writ.customer."}}]), true);
    check(json!([{"prefix": {"type": "writ.customer.email.v1"}}]), true);
    check(json!([{"prefix": {"type": "writ.customer.email.v11"}}]), false);
    check(json!([{"suffix": {"type": ".v1"}}]), true);
    check(json!([{"suffix": {"type": "x.writ.customer.email.v1"}}]), false);
    check(json!([{"suffix": {"source": "/crm", "tenant": "shop"}}]), true);
    check(json!([{"suffix": {"source": "/crm", "tenant": "chop"}}]), false);
    check(json!([{"any": [{"exact": {"changetype": "phone"}}, {"exact": {"changetype": "email"}}]}]), true);
    check(json!([{"all": [{"exact": {"changetype": "phone"}}, {"exact": {"changetype": "email"}}]}]), false);
    check(json!([{"not": {"exact": {"priorityclass": "express"}}}]), true);
}

#[test]
fn comparisons_are_case_sensitive_and_absent_attributes_never_match() {
    check(json!([{"exact": {"location": "Graz"}}]), false);
    check(json!([{"exact": {"location": "graz"}}]), true);
    check(json!([{"prefix": {"locale": "d"}}]), false);
    check(json!([{"not": {"prefix": {"locale": "d"}}}]), true);
}

#[test]
fn every_public_attribute_reads_as_the_event_shows_it() {
    use writ_model::cloudevent::{CloudEvent, Placement};
    use writ_model::id::Sequence;
    let placement =
        Placement { sequence: Sequence(1), class: PriorityClass::Standard, ordinals: Ordinals::default() };
    let event = CloudEvent::from_event(&header(), &envelope().private, placement);
    let own = ["changetype", "entity", "locale"];
    for name in attribute::NAMES.iter().filter(|name| !own.contains(name)) {
        let value = event.attribute(name).unwrap_or_else(|| panic!("the event has {name}"));
        check(json!([{"exact": {*name: value}}]), true);
    }
}

#[test]
fn private_attributes_are_refused_with_the_reason() {
    refused(json!([{"exact": {"subject": "customer/17"}}]), "routing never decrypts");
    refused(json!([{"prefix": {"data": "x"}}]), "routing never decrypts");
    refused(json!([{"exact": {"colour": "red"}}]), "no attribute \"colour\"");
    refused(json!([{"exact": {"Type": "x"}}]), "no attribute \"Type\"");
}

#[test]
fn what_the_specification_calls_invalid_is_refused_with_its_place() {
    refused(json!([{"sql": "type = 'x'"}]), "filters/0: dialect \"sql\" is not supported");
    refused(json!([{"exact": {"type": "x"}}, {"all": []}]), "filters/1/all: needs an array of at least one");
    refused(
        json!([{"any": [{"exact": {"type": ""}}]}]),
        "filters/0/any/0/exact/type: the value must not be empty",
    );
    refused(json!([{"exact": {"": "x"}}]), "must not be empty");
    refused(json!([{"exact": {}}]), "at least one attribute");
    refused(json!([{"exact": {"type": 1}}]), "must be a string");
    refused(json!([{"exact": {"type": "x"}, "prefix": {"type": "x"}}]), "exactly one dialect");
    refused(json!([{}]), "exactly one dialect");
    refused(json!(["type"]), "exactly one dialect");
    refused(json!([{"not": [{"exact": {"type": "x"}}]}]), "exactly one dialect");
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = (0..20).fold(json!({"exact": {"type": "x"}}), |inner, _| json!({"not": inner}));
    refused(json!([deep]), "nested deeper");
    let many: Vec<Value> = (0..300).map(|n| json!({"exact": {"type": n.to_string()}})).collect();
    refused(json!([{"any": many}]), "comparisons");
}

#[test]
fn the_router_names_the_matching_subscribers_in_order() {
    let filter = |operation: &str| compile(&json!([{"exact": {"operation": operation}}])).expect("compiles");
    let router = Router::new(vec![filter("update"), filter("delete"), Filter::default()]);
    let matching: Vec<usize> = router.matches(&header(), PriorityClass::Standard).collect();
    assert_eq!(matching, [0, 2]);
}
