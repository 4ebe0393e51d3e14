//! The JSON event format: one event, and a batch.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use writ_model::cloudevent::CloudEvent;

use super::attribute::{Attributes, broken};
use super::{BATCH_EVENTS_MAX, SPEC_VERSION, View, WireError, media};

/// What an encoded event takes, about; most are smaller.
const EVENT_BYTES_TYPICAL: usize = 1024;

/// One event as a JSON object, its members in ascending order. Attributes are text, so the encoding cannot fail.
/// Every event is encoded once for all its subscribers, so the members are written straight away.
pub(super) fn encode(event: &CloudEvent) -> Vec<u8> {
    let core = [("specversion", SPEC_VERSION), ("id", &event.id), ("source", &event.source)];
    let optional = [
        ("subject", &event.subject),
        ("time", &event.time),
        ("datacontenttype", &event.data_content_type),
        ("dataschema", &event.data_schema),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let extensions = event.extensions.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let texts = core.into_iter().chain([("type", event.event_type.as_str())]).chain(optional);
    let mut members: Vec<(&str, Member<'_>)> =
        texts.chain(extensions).map(|(name, value)| (name, Member::Text(value))).collect();
    let data_name = if event.is_base64 { "data_base64" } else { "data" };
    members.extend(event.data.as_ref().map(|data| (data_name, Member::Json(data))));
    members.sort_by_key(|(name, _)| *name);
    let mut out = Vec::with_capacity(EVENT_BYTES_TYPICAL);
    for (index, (name, member)) in members.iter().enumerate() {
        // Of two members of one name the later one stands.
        if members.get(index + 1).is_some_and(|(next, _)| next == name) {
            continue;
        }
        out.push(if out.is_empty() { b'{' } else { b',' });
        write(name, &mut out);
        out.push(b':');
        match member {
            Member::Text(text) => write(text, &mut out),
            Member::Json(value) => write(value, &mut out),
        }
    }
    out.push(b'}');
    out
}

/// A member's value.
enum Member<'a> {
    Text(&'a str),
    Json(&'a Value),
}

fn write<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("text and JSON values always have a JSON form");
}

/// Reads what [`encode`] wrote. Attributes come back as they were, also such as no reader would accept from
/// somebody else.
pub(super) fn read_own(structured: &[u8]) -> CloudEvent {
    let object = serde_json::from_slice::<BTreeMap<String, Value>>(structured);
    let mut object = object.expect("an object of its own encoding");
    object.remove("specversion");
    let base64 = object.remove("data_base64");
    let is_base64 = base64.is_some();
    let data = base64.or_else(|| object.remove("data"));
    let mut texts: BTreeMap<String, String> = object
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        })
        .collect();
    let mut required = |name: &str| texts.remove(name).unwrap_or_default();
    let (id, source, event_type) = (required("id"), required("source"), required("type"));
    CloudEvent {
        id,
        source,
        event_type,
        subject: texts.remove("subject"),
        time: texts.remove("time"),
        data_content_type: texts.remove("datacontenttype"),
        data_schema: texts.remove("dataschema"),
        extensions: texts,
        data,
        is_base64,
    }
}

/// Several events as one JSON array, in the order given, to be sent as [`super::BATCH`]. Uses each view's
/// own structured encoding.
pub fn batch<'a>(views: impl IntoIterator<Item = &'a View, IntoIter: Clone>) -> Vec<u8> {
    let views = views.into_iter();
    // One byte more for each: its comma or the closing bracket.
    let bytes: usize = views.clone().map(|view| view.structured().len() + 1).sum();
    let mut out = Vec::with_capacity(bytes + 2);
    out.push(b'[');
    for view in views {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(view.structured());
    }
    out.push(b']');
    out
}

/// Reads one event in structured mode. A null attribute counts as absent, and so do null data.
pub fn decode_structured(body: &[u8]) -> Result<CloudEvent, WireError> {
    match parse::<Element>(body)? {
        Element::Event(members) => event_from(members),
        Element::Other => Err(WireError::Shape { expected: "a JSON object" }),
    }
}

/// Reads a batch; an empty one is valid. One wrong event makes the whole batch an error: nothing of it may
/// be taken, so that the sender can send it again as it is.
pub fn decode_batch(body: &[u8]) -> Result<Vec<CloudEvent>, WireError> {
    let Elements(elements) = parse(body)?;
    let elements = elements.ok_or(WireError::Shape { expected: "a JSON array of objects" })?;
    if elements.len() > BATCH_EVENTS_MAX {
        return Err(WireError::TooMany { max: BATCH_EVENTS_MAX, what: "events in a batch" });
    }
    let decode = |(index, element)| {
        let event = match element {
            Element::Event(members) => event_from(members),
            Element::Other => Err(WireError::Shape { expected: "a JSON object" }),
        };
        event.map_err(|error| WireError::InBatch { index, error: Box::new(error) })
    };
    elements.into_iter().enumerate().map(decode).collect()
}

fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|e| WireError::Json { line: e.line(), column: e.column() })
}

fn event_from(members: Vec<(String, Value)>) -> Result<CloudEvent, WireError> {
    let mut attributes = Attributes::default();
    let (mut data, mut base64) = (None, None);
    for (name, value) in members {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("data", value) => once(&mut data, value)?,
            ("data_base64", value) => once(&mut base64, value)?,
            (name, value) => attributes.add(name, text_of(name, value)?)?,
        }
    }
    let mut event = attributes.into_event()?;
    (event.data, event.is_base64) = match (data, base64) {
        (Some(_), Some(_)) => return Err(WireError::Data { rule: "both data and data_base64 are given" }),
        (None, Some(encoded)) => (Some(checked_base64(encoded)?), true),
        (data, None) => (data, false),
    };
    let is_json = event.is_base64 || media::is_json(event.data_content_type.as_deref());
    if !is_json && event.data.as_ref().is_some_and(|d| !d.is_string()) {
        return Err(WireError::Data { rule: "must be a string, since datacontenttype is not JSON" });
    }
    Ok(event)
}

fn once(place: &mut Option<Value>, value: Value) -> Result<(), WireError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(WireError::Data { rule: "given twice" }),
    }
}

fn checked_base64(value: Value) -> Result<Value, WireError> {
    let is_base64 = value.as_str().is_some_and(|text| super::binary::from_base64(text).is_some());
    if is_base64 {
        Ok(value)
    } else {
        Err(WireError::Data { rule: "data_base64 must be base64 text (RFC 4648)" })
    }
}

/// Core attributes are strings; extensions may also be a Boolean or a 32-bit Integer, read as their
/// canonical text.
fn text_of(name: &str, value: Value) -> Result<String, WireError> {
    const CORE: [&str; 8] =
        ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];
    match value {
        Value::String(text) => Ok(text),
        _ if CORE.contains(&name) => Err(broken(name, "must be a string")),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => match number.as_i64().map(i32::try_from) {
            Some(Ok(integer)) => Ok(integer.to_string()),
            Some(Err(_)) | None => Err(broken(name, "numbers must be integers of 32 bits")),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(broken(name, "must be a string, a boolean or an integer"))
        }
    }
}

/// One JSON value: the members of an object in document order, repeated names included, or anything else.
enum Element {
    Event(Vec<(String, Value)>),
    Other,
}

/// The elements of an array; `None` for anything else.
struct Elements(Option<Vec<Element>>);

struct ElementVisitor;

/// What a visitor says of JSON that is well-formed and of another shape.
macro_rules! other_shapes {
    ($other:expr, $($visit:ident: $kind:ty),+) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> { Ok($other) })+
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($other) }
    };
}

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Element::Event(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Element, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Element::Other)
    }

    other_shapes!(Element::Other, visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ElementVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Elements, A::Error> {
        while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Elements(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            // One more than allowed is kept, so that the caller sees the bound was passed.
            if elements.len() <= BATCH_EVENTS_MAX {
                elements.push(element);
            }
        }
        Ok(Elements(Some(elements)))
    }

    other_shapes!(Elements(None), visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ElementsVisitor)
    }
}
