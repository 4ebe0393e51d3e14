//! Values as SQLite holds them, and as the triggers write them down; both ways give the same [`Value`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::types::ValueRef;
use writ_model::value::{Image, Value};

/// A recorded image that the triggers did not write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// A value read from a table. Reals become the shortest text that reads back as the same number, blobs (and
/// text that is not UTF-8) become base64.
pub(super) fn from_table(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Text(real(number)),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Text(STANDARD.encode(bytes)),
        },
        ValueRef::Blob(bytes) => Value::Text(STANDARD.encode(bytes)),
    }
}

fn real(number: f64) -> String {
    format!("{number:?}")
}

/// An image that a trigger recorded.
pub(super) fn from_trigger(json: &str) -> Result<Image, Unreadable> {
    let columns: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|_| Unreadable)?;
    let mut image = Image::default();
    for (column, recorded) in columns {
        image.set(&column, tagged(&recorded)?);
    }
    Ok(image)
}

fn tagged(recorded: &serde_json::Value) -> Result<Value, Unreadable> {
    if recorded.is_null() {
        return Ok(Value::Null);
    }
    if let Some(number) = recorded.as_i64() {
        return Ok(Value::Int(number));
    }
    let text = recorded.as_str().ok_or(Unreadable)?;
    match text.split_at_checked(1).ok_or(Unreadable)? {
        ("t", text) => Ok(Value::Text(text.to_owned())),
        ("r", digits) => digits.parse().map(|number| Value::Text(real(number))).map_err(|_| Unreadable),
        ("b", digits) => unhex(digits).map(|bytes| Value::Text(STANDARD.encode(bytes))).ok_or(Unreadable),
        _ => Err(Unreadable),
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    if pairs.remainder().is_empty() { pairs.map(byte).collect() } else { None }
}
