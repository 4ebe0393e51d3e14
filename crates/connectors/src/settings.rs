//! Reads a connector's own keys into its configuration type; every error names the key, none shows a value.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use writ_model::code::{self, Code};

use crate::descriptor::ConfigError;

/// Reads `config` as `T`, whose type denies unknown fields. A missing configuration is an empty one.
///
/// # Errors
/// `CONFIG_UNKNOWN_KEY` or `CONFIG_INVALID`, with the key that is wrong.
pub fn read<T: DeserializeOwned>(config: Value) -> Result<T, ConfigError> {
    let keys = match config {
        Value::Object(keys) => keys,
        Value::Null => Map::new(),
        _ => return Err(invalid("", "this is not a list of keys", "write `key: value` lines")),
    };
    serde_json::from_value(Value::Object(keys.clone()))
        .map_err(|error| explain::<T>(&keys, &error.to_string()))
}

/// A value that cannot be used.
pub fn invalid(key: &str, cause: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
    of(code::CONFIG_INVALID, key, cause.into(), remedy.into())
}

fn of(code: Code, key: &str, cause: String, remedy: String) -> ConfigError {
    ConfigError { code, key: key.to_owned(), cause, remedy }
}

/// serde's message may quote the value, so only its fixed parts are used.
fn explain<T: DeserializeOwned>(keys: &Map<String, Value>, message: &str) -> ConfigError {
    if let Some((key, expected)) = quoted(message, "unknown field ") {
        let remedy =
            format!("remove it, or correct its name{}", expected.replace(", expected", "; it takes"));
        return of(code::CONFIG_UNKNOWN_KEY, &key, "this key is not known".to_owned(), remedy);
    }
    if let Some((key, _)) = quoted(message, "missing field ") {
        return invalid(&key, "this key is missing", "add it");
    }
    let key = culprit::<T>(keys, message);
    invalid(&key, "the value is not of the kind that this key takes", "see the connector's example")
}

fn quoted(message: &str, opening: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix(opening)?.strip_prefix('`')?;
    let (key, rest) = rest.split_once('`')?;
    Some((key.to_owned(), rest.to_owned()))
}

/// The key without which the error is another one.
fn culprit<T: DeserializeOwned>(keys: &Map<String, Value>, message: &str) -> String {
    let heals = |key: &&String| {
        let mut rest = keys.clone();
        rest.remove(key.as_str());
        serde_json::from_value::<T>(Value::Object(rest)).map_err(|e| e.to_string()).err().as_deref()
            != Some(message)
    };
    keys.keys().find(heals).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        #[serde(rename = "path")]
        _path: String,
        #[serde(default, rename = "poll_ms")]
        _poll_ms: u64,
    }

    fn check(config: Value, code: Code, key: &str) {
        let error = read::<Keys>(config).expect_err("refused");
        assert_eq!((error.code, error.key.as_str()), (code, key));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn every_error_names_the_key_and_hides_the_value() {
        check(serde_json::json!({"path": "a", "pahs": "hunter2"}), code::CONFIG_UNKNOWN_KEY, "pahs");
        check(serde_json::json!({"path": "a", "poll_ms": "hunter2"}), code::CONFIG_INVALID, "poll_ms");
        check(serde_json::json!({"path": ["hunter2"]}), code::CONFIG_INVALID, "path");
        check(Value::Null, code::CONFIG_INVALID, "path");
        check(serde_json::json!("hunter2"), code::CONFIG_INVALID, "");
    }
}
