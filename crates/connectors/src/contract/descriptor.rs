//! The contract of descriptors: the example builds, wrong keys are refused by name, secrets are never shown.

use serde_json::Value;
use writ_model::code;

use crate::descriptor::{Build, ConfigError, Context, Descriptor};

/// Stands in for a secret wherever one could leak from.
const LITERAL: &str = "hunter2-is-no-reference";
/// Words of [`Descriptor::stability`].
const STABILITIES: [&str; 4] = ["stable", "verified: live", "verified: docs", "verified: memory"];

/// Puts a descriptor through its contract. `example` is its own example, read as YAML, with every secret
/// reference replaced by one that `context` resolves.
///
/// # Panics
/// With what is broken.
pub fn descriptor(descriptor: &Descriptor, example: &Value, context: &Context<'_>) {
    let name = descriptor.name;
    assert!(
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    );
    assert!(
        !descriptor.summary.is_empty() && !descriptor.summary.contains('\n'),
        "{name}: one line of summary"
    );
    assert!(STABILITIES.contains(&descriptor.stability), "{name}: stability {}", descriptor.stability);
    schema_describes(descriptor, example);
    if let Err(error) = build(descriptor, example, context) {
        panic!("{name}: the example does not build: {error}");
    }
    proofs_are_announced(descriptor, example, context);
    unknown_keys_are_refused(descriptor, example, context);
    literals_are_refused(descriptor, example, context);
}

/// What a built subscriber proves, its descriptor says that it can; a source proves nothing.
fn proofs_are_announced(descriptor: &Descriptor, example: &Value, context: &Context<'_>) {
    let name = descriptor.name;
    let Build::Subscriber(build) = descriptor.build else {
        return assert!(descriptor.mechanisms.is_empty(), "{name}: a source has no mechanism");
    };
    for proof in build(context, example.clone()).map(|built| built.proofs()).unwrap_or_default() {
        let mut announced = descriptor.mechanisms.iter().map(|one| one.mechanism);
        assert!(announced.any(|one| one == proof.mechanism), "{name} proves {} unannounced", proof.mechanism);
    }
    for one in descriptor.mechanisms {
        assert!(!one.needs.is_empty() && !one.needs.contains('\n'), "{name}: one line of needs");
    }
}

fn build(descriptor: &Descriptor, config: &Value, context: &Context<'_>) -> Result<(), ConfigError> {
    match descriptor.build {
        Build::Pull(build) => build(context, config.clone()).map(drop),
        Build::Push(build) => build(context, config.clone()).map(drop),
        Build::Subscriber(build) => build(context, config.clone()).map(drop),
    }
}

fn schema_describes(descriptor: &Descriptor, example: &Value) {
    let name = descriptor.name;
    let schema = (descriptor.config_schema)();
    assert_eq!(schema["type"], "object", "{name}: keys are an object");
    assert_eq!(schema["additionalProperties"], false, "{name}: unknown keys are refused");
    let properties = schema["properties"].as_object().expect("properties are listed");
    let used = example.as_object().into_iter().flat_map(|keys| keys.keys());
    for key in used.map(String::as_str).chain(descriptor.secrets.iter().copied()) {
        assert!(properties.contains_key(key), "{name}: key {key} is not in the schema");
    }
}

fn unknown_keys_are_refused(descriptor: &Descriptor, example: &Value, context: &Context<'_>) {
    let mut config = example.as_object().cloned().unwrap_or_default();
    config.insert("no_such_key".to_owned(), LITERAL.into());
    let error = build(descriptor, &config.into(), context).expect_err("an unknown key is refused");
    assert_eq!(error.code, code::CONFIG_UNKNOWN_KEY, "{}", descriptor.name);
    assert!(error.key.ends_with("no_such_key"), "{}: {error}", descriptor.name);
    assert!(!error.to_string().contains(LITERAL), "{}: a value is shown", descriptor.name);
}

fn literals_are_refused(descriptor: &Descriptor, example: &Value, context: &Context<'_>) {
    for key in descriptor.secrets {
        let mut config = example.as_object().cloned().unwrap_or_default();
        let Some(value) = config.get_mut(*key) else { continue };
        replace_texts(value);
        let error = build(descriptor, &config.into(), context).expect_err("a literal secret is refused");
        assert_eq!(error.code, code::SECRET_UNRESOLVED, "{} {key}", descriptor.name);
        assert!(!error.to_string().contains(LITERAL), "{} {key}: a secret is shown", descriptor.name);
    }
}

fn replace_texts(value: &mut Value) {
    match value {
        Value::String(text) => LITERAL.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(replace_texts),
        Value::Object(members) => members.values_mut().for_each(replace_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
