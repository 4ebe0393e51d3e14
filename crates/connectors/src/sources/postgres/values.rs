//! The text form of a PostgreSQL value, by type, as a [`Value`]. Exact: what would be rounded stays text, so
//! `NaN`, `infinity`, five-digit years and 40-digit numbers pass as they are. The stream and the snapshot
//! both send text under the same session settings, so both give the same value.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use writ_model::value::Value;

/// Object ids of built-in types (`pg_type.dat`); they are the same in every database.
mod type_id {
    pub(super) const BOOL: u32 = 16;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const JSON: u32 = 114;
    pub(super) const JSONB: u32 = 3802;
}

/// Each level of a JSON document is scanned once more; deeper parts stay JSON text.
const JSON_DEPTH_MAX: usize = 32;

/// The value of `text`, a value of the type `type_id` in its text form.
pub(super) fn from_text(type_id: u32, text: String) -> Value {
    match type_id {
        type_id::BOOL => truth(text),
        type_id::INT2 | type_id::INT4 | type_id::INT8 => number(text),
        type_id::JSON | type_id::JSONB => document(text),
        _ => Value::Text(text),
    }
}

fn truth(text: String) -> Value {
    match text.as_str() {
        "t" => Value::Bool(true),
        "f" => Value::Bool(false),
        _ => Value::Text(text),
    }
}

fn number(text: String) -> Value {
    match text.parse::<i64>() {
        // A JSON `-0` would lose its sign.
        Ok(number) if text != "-0" => Value::Int(number),
        _ => Value::Text(text),
    }
}

/// A document that is only `null` becomes the text `null`: the column is set, unlike an SQL null.
fn document(text: String) -> Value {
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) if raw.get() != "null" => exact(raw, JSON_DEPTH_MAX),
        _ => Value::Text(text),
    }
}

/// Numbers keep their digits, which `serde_json::Value` would pass through a double.
fn exact(raw: &RawValue, depth_left: usize) -> Value {
    let text = raw.get();
    let Some(deeper) = depth_left.checked_sub(1) else { return Value::Text(text.to_owned()) };
    let parsed = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<BTreeMap<String, &RawValue>>(text)
            .map(|map| Value::Map(map.into_iter().map(|(name, raw)| (name, exact(raw, deeper))).collect())),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
            .map(|items| Value::List(items.into_iter().map(|raw| exact(raw, deeper)).collect())),
        Some(b'"') => serde_json::from_str(text).map(Value::Text),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        Some(b'n') => Ok(Value::Null),
        _ => Ok(number(text.to_owned())),
    };
    parsed.unwrap_or_else(|_| Value::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMERIC: u32 = 1700;
    const TIMESTAMP: u32 = 1114;

    fn check(type_id: u32, given: &str, expected: Value) {
        let value = from_text(type_id, given.to_owned());
        assert!(value == expected, "{given}: {}", value.to_json());
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn truth_values_and_whole_numbers_are_typed() {
        check(type_id::BOOL, "t", Value::Bool(true));
        check(type_id::BOOL, "f", Value::Bool(false));
        check(type_id::INT8, "-9223372036854775808", Value::Int(i64::MIN));
    }

    #[test]
    fn what_has_no_exact_type_stays_text() {
        for (type_id, given) in [
            (NUMERIC, "12345678901234567890.1234567890"),
            (NUMERIC, "NaN"),
            (TIMESTAMP, "infinity"),
            (TIMESTAMP, "0044-03-15 00:00:00 BC"),
            (TIMESTAMP, "20256-01-01 00:00:00"),
            (1009, "{a,NULL,\"b c\"}"),
        ] {
            check(type_id, given, text(given));
        }
    }

    #[test]
    fn json_numbers_keep_their_digits() {
        let document = r#"{"a": [1, 1.10, 18446744073709551615, -0], "b": {"c": null, "d": "é\n"}}"#;
        let list = Value::List(vec![Value::Int(1), text("1.10"), text("18446744073709551615"), text("-0")]);
        let inner = Value::Map([("c".into(), Value::Null), ("d".into(), text("é\n"))].into());
        check(type_id::JSONB, document, Value::Map([("a".into(), list), ("b".into(), inner)].into()));
    }

    #[test]
    fn a_json_null_is_not_an_sql_null() {
        check(type_id::JSONB, "null", text("null"));
        check(type_id::JSON, " null ", text(" null "));
    }

    #[test]
    fn deep_json_ends_in_text_instead_of_a_deep_stack() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let mut value = from_text(type_id::JSON, deep);
        let mut levels = 0;
        while let Value::List(mut items) = value {
            value = items.remove(0);
            levels += 1;
        }
        assert_eq!(levels, JSON_DEPTH_MAX);
        assert!(matches!(value, Value::Text(_)));
    }
}
