//! Pushed JSON as exact values, and the mapped columns of it. Nothing that the mapping does not name is kept.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use writ_model::value::{Image, Value};

/// Deepest nesting that is read; each level reads its text once more.
const DEPTH_MAX: usize = 32;

/// The text is not JSON, or nests deeper than [`DEPTH_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotJson;

/// Reads JSON. A number that is not a whole number within 64 bits becomes the very text it was written as:
/// no float stands in between.
pub(super) fn parse(body: &[u8]) -> Result<Value, NotJson> {
    exact(std::str::from_utf8(body).map_err(|_| NotJson)?, DEPTH_MAX)
}

fn exact(json: &str, depth: usize) -> Result<Value, NotJson> {
    let json = json.trim_matches([' ', '\t', '\r', '\n']);
    let inner = depth.checked_sub(1).ok_or(NotJson)?;
    match json.bytes().next().ok_or(NotJson)? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|_| NotJson)?;
            let members = members.into_iter().map(|(name, raw)| Ok((name, exact(raw.get(), inner)?)));
            members.collect::<Result<_, _>>().map(Value::Map)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| NotJson)?;
            items.into_iter().map(|raw| exact(raw.get(), inner)).collect::<Result<_, _>>().map(Value::List)
        }
        b'-' | b'0'..=b'9' => {
            let number: &RawValue = serde_json::from_str(json).map_err(|_| NotJson)?;
            Ok(number.get().parse().map_or_else(|_| Value::Text(number.get().to_owned()), Value::Int))
        }
        _ => serde_json::from_str(json).map(|json| Value::from_json(&json)).map_err(|_| NotJson),
    }
}

/// The columns of a pushed object. A column is a member, or a path of members (`default_address.city`).
/// Below a null, everything is null; a member that is not there is unseen.
pub(super) fn columns<'a>(object: &Value, names: impl IntoIterator<Item = &'a str>) -> Image {
    let mut image = Image::default();
    for name in names {
        if let Some(value) = column(object, name) {
            image.set(name, value.clone());
        }
    }
    image
}

/// One column of a pushed object.
pub(super) fn column<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    match object {
        Value::Null => Some(object),
        Value::Map(members) => members.get(name).or_else(|| {
            let dots = name.match_indices('.').map(|(at, _)| at);
            dots.filter_map(|at| column(members.get(&name[..at])?, &name[at + 1..])).next()
        }),
        Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let read = parse(br#"{"id": 706405506930370084, "big": 18446744073709551616, "price": 10.10}"#);
        let text = |t: &str| Value::Text(t.into());
        let value = Value::Map(
            [
                ("id".to_owned(), Value::Int(706_405_506_930_370_084)),
                ("big".to_owned(), text("18446744073709551616")),
                ("price".to_owned(), text("10.10")),
            ]
            .into(),
        );
        assert_eq!(read, Ok(value));
    }

    #[test]
    fn what_is_not_json_or_nests_too_deep_is_refused() {
        for bad in ["", "{", "{\"a\":}", "01", "1x", "[1,]", "nul", "\u{feff}{}", &"[".repeat(100_000)] {
            assert_eq!(parse(bad.as_bytes()), Err(NotJson), "{}", &bad[..bad.len().min(20)]);
        }
        assert_eq!(parse(b"\xff"), Err(NotJson));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(parse(nested(DEPTH_MAX + 1).as_bytes()), Err(NotJson));
    }

    #[test]
    fn a_path_reads_members_and_a_null_above_it_is_a_null() {
        let object = parse(br#"{"a": {"b": {"c": 1}}, "n": null, "x.y": 2, "t": "s"}"#).expect("json");
        let image = columns(&object, ["a.b.c", "n.city", "x.y", "t.city", "absent.city"]);
        assert_eq!(image.get("a.b.c"), Some(&Value::Int(1)));
        assert_eq!(image.get("n.city"), Some(&Value::Null));
        assert_eq!(image.get("x.y"), Some(&Value::Int(2)));
        assert_eq!((image.get("t.city"), image.get("absent.city")), (None, None));
    }
}
