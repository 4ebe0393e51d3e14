//! The input document as the engine's own value, built in one pass over the JSON: going through the library's
//! deserializer would copy the document first and took about as long as a usual policy.

use std::collections::BTreeMap;

use regorus::Value;
use serde_json::Value as Json;

/// The same document. A number that fits no machine integer is read by the library, so that nothing is rounded here.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(fact) => Value::Bool(*fact),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(whole)) => Value::from(whole),
            (None, None) => Value::from(json.clone()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value).collect::<Vec<Value>>()),
        Json::Object(members) => Value::from(
            members
                .iter()
                .map(|(name, member)| (Value::from(name.as_str()), value(member)))
                .collect::<BTreeMap<Value, Value>>(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_the_one_that_the_library_reads_itself() {
        let document = json!({
            "text": "ä \"quoted\"", "empty": "", "none": null, "facts": [true, false],
            "numbers": [0, -1, i64::MIN, i64::MAX, u64::MAX, 0.5, -1.5e300],
            "deep": {"b": [{"c": []}, {}], "a": {"": 1}},
        });
        assert_eq!(value(&document), Value::from(document));
    }
}
