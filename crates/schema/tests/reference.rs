//! Holds the published documents against one another: what the reference shows must be valid.

use serde_json::Value;
use writ_schema::cloudevents::decode_structured;
use writ_schema::registry::Registry;

/// The first JSON block of a page.
fn snippet(page: &str) -> &str {
    let (_, rest) = page.split_once("```json\n").expect("the page has a JSON block");
    rest.split_once("\n```").expect("the block ends").0
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn policy_inputs_fit_their_published_schema() {
    let schema = json(include_str!("../../../policies/input.schema.json"));
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let golden = include_str!("../../../policies/input.example.json");
    let shown = snippet(include_str!("../../../docs/reference/policy-input.md"));
    for text in [golden, shown] {
        let document = json(text);
        let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let members = |document: Value| document.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
    assert_eq!(members(json(golden)), members(schema["properties"].clone()));
}

#[test]
fn the_event_of_the_reference_is_one() {
    let event = decode_structured(snippet(include_str!("../../../docs/reference/events.md")).as_bytes());
    let event = event.expect("a CloudEvent");
    assert_eq!(event.event_type, "writ.customer.email.v1");
    let registry = Registry::built_in();
    let (_, schema) = registry.schemas().next().expect("schemas");
    assert_eq!(schema.document()["$id"], "urn:writ:schema:email:v1");
    let validator = jsonschema::validator_for(schema.document()).expect("a schema");
    assert!(validator.is_valid(&event.data.expect("data")));
}
