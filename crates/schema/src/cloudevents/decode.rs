//! Which mode a request is in, and reading it.

use writ_model::cloudevent::CloudEvent;

use super::{BATCH, STRUCTURED, WireError, binary, json, media};

/// The content modes of the HTTP protocol binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers.
    Binary,
    /// One event in the body.
    Structured,
    /// Several events in the body.
    Batched,
}

/// The mode of a request by its headers; `None` when it is not a CloudEvent, or in an event format other
/// than JSON. Header names in any case.
pub fn mode_of(headers: &[(String, String)]) -> Option<Mode> {
    let value =
        |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| v);
    let kind = value("content-type").map(|v| media::essence(v).to_ascii_lowercase()).unwrap_or_default();
    match kind.as_str() {
        STRUCTURED => Some(Mode::Structured),
        BATCH => Some(Mode::Batched),
        other if other.starts_with("application/cloudevents") => None,
        _ => value("ce-specversion").map(|_| Mode::Binary),
    }
}

/// Reads the events of a request, in the mode that its headers say. Header names in any case, values as they
/// came. Never takes a part of a request: one wrong event makes the whole an error.
pub fn decode(headers: &[(String, String)], body: &[u8]) -> Result<Vec<CloudEvent>, WireError> {
    match mode_of(headers).ok_or(WireError::NoEvent)? {
        Mode::Binary => binary::decode(headers, body).map(|event| vec![event]),
        Mode::Structured => json::decode_structured(body).map(|event| vec![event]),
        Mode::Batched => json::decode_batch(body),
    }
}
