//! Column values as a source saw them. "Not seen" is a state of its own: it is not null, and nothing may
//! be invented for it (an unchanged TOAST column, a minimal binlog image).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One column's value. Exact: numbers that do not fit an `i64` stay text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// SQL null, JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number within 64 bits.
    Int(i64),
    /// Text; also decimals, dates and everything else whose exact text is the value.
    Text(String),
    /// Several values, in order.
    List(Vec<Value>),
    /// Named values (a JSON or composite column).
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The value as text, the form in which record keys hold it.
    pub fn to_key_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(b) => b.to_string(),
            Self::Int(i) => i.to_string(),
            Self::Text(t) => t.clone(),
            Self::List(_) | Self::Map(_) => self.to_json().to_string(),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => (*b).into(),
            Self::Int(i) => (*i).into(),
            Self::Text(t) => t.as_str().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(map) => {
                serde_json::Value::Object(map.iter().map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// From JSON; a number outside 64 bits or with a fraction becomes its exact text.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => n.as_i64().map_or_else(|| Self::Text(n.to_string()), Self::Int),
            serde_json::Value::String(s) => Self::Text(s.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(map) => {
                Self::Map(map.iter().map(|(k, v)| (k.clone(), Self::from_json(v))).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    /// By what is there. A derived form would try one kind after the other, and word an error for each that it is not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Int))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry()? {
            map.insert(name, value);
        }
        Ok(Value::Map(map))
    }
}

impl fmt::Debug for Value {
    /// Never the content: values are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "<bool>",
            Self::Int(_) => "<int>",
            Self::Text(_) => "<text>",
            Self::List(_) => "<list>",
            Self::Map(_) => "<map>",
        })
    }
}

/// A column in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The source sent this value.
    Seen(Value),
    /// The source sent the row without this column's value.
    Unseen,
}

impl Field {
    /// The value, where it was seen.
    pub fn seen(&self) -> Option<&Value> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Unseen => None,
        }
    }
}

/// A row as a source sent it: column name to field. A column that is missing is unseen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image(pub BTreeMap<String, Field>);

impl Image {
    /// The value of a column, where it was seen.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.0.get(column).and_then(Field::seen)
    }

    /// Sets a column to a seen value.
    pub fn set(&mut self, column: &str, value: Value) {
        self.0.insert(column.to_owned(), Field::Seen(value));
    }
}

/// Known attributes by name: a last-known state, or one side of an event's data.
pub type Attributes = BTreeMap<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_prints_its_content() {
        let value = Value::Map([("email".into(), Value::Text("ada@example.org".into()))].into());
        assert!(!format!("{value:?}").contains("ada"));
    }

    #[test]
    fn numbers_that_json_would_round_stay_exact() {
        let json: serde_json::Value =
            serde_json::from_str("[9223372036854775807, 18446744073709551615]").expect("json");
        let value = Value::from_json(&json);
        let exact = Value::List(vec![Value::Int(i64::MAX), Value::Text("18446744073709551615".into())]);
        assert_eq!(value, exact);
    }

    #[test]
    fn a_value_reads_back_as_it_was_written() {
        let value = Value::Map(BTreeMap::from([
            ("none".into(), Value::Null),
            ("yes".into(), Value::Bool(true)),
            (
                "few".into(),
                Value::List(vec![Value::Int(-3), Value::Int(i64::MAX), Value::Text("a\nb".into())]),
            ),
            ("deep".into(), Value::Map(BTreeMap::from([("x".into(), Value::List(Vec::new()))]))),
        ]));
        let text = serde_json::to_string(&value).expect("a value has a form");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("its own form reads"), value);
    }

    #[test]
    fn a_number_with_a_fraction_is_no_value() {
        assert!(serde_json::from_str::<Value>("1.5").is_err());
        assert_eq!(
            serde_json::from_str::<Value>("18446744073709551615").expect("a whole number"),
            Value::Text("18446744073709551615".into())
        );
    }

    #[test]
    fn unseen_is_not_null() {
        let mut image = Image::default();
        image.0.insert("bio".into(), Field::Unseen);
        image.set("phone", Value::Null);
        assert_eq!(image.get("bio"), None);
        assert_eq!(image.get("phone"), Some(&Value::Null));
    }
}
