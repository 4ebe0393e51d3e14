//! Binary content mode of the HTTP protocol binding: attributes as `ce-` headers, data as the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use writ_model::cloudevent::CloudEvent;

use super::attribute::{Attributes, broken};
use super::{SPEC_VERSION, WireError, media};

const PREFIX: &str = "ce-";

/// One event as HTTP carries it in binary mode.
#[derive(Clone, PartialEq, Eq)]
pub struct Binary {
    /// Header names in lower case with their values, all printable ASCII. Holds `content-type` where the
    /// event has data.
    pub headers: Vec<(String, String)>,
    /// The data's bytes; empty without data.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Binary({} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

pub(super) fn encode(event: &CloudEvent) -> Binary {
    let mut headers = vec![("ce-specversion".to_owned(), SPEC_VERSION.to_owned())];
    let mut set = |name: &str, value: &str| headers.push((format!("{PREFIX}{name}"), escape(value)));
    set("id", &event.id);
    set("source", &event.source);
    set("type", &event.event_type);
    for (name, value) in
        [("subject", &event.subject), ("time", &event.time), ("dataschema", &event.data_schema)]
    {
        value.iter().for_each(|v| set(name, v));
    }
    event.extensions.iter().for_each(|(name, value)| set(name, value));
    // The media type travels as it is: it is ASCII already, and its quotes and spaces mean something.
    let implied = event.data.as_ref().map(|_| "application/json");
    let content_type = event.data_content_type.as_deref().or(implied);
    content_type.iter().for_each(|c| headers.push(("content-type".to_owned(), (*c).to_owned())));
    Binary { headers, body: event.data.as_ref().map(|data| body_of(event, data)).unwrap_or_default() }
}

fn body_of(event: &CloudEvent, data: &Value) -> Vec<u8> {
    match data {
        Value::String(text) if event.is_base64 => from_base64(text).unwrap_or_default(),
        Value::String(text) if !media::is_json(event.data_content_type.as_deref()) => {
            text.clone().into_bytes()
        }
        data => data.to_string().into_bytes(),
    }
}

/// Percent-encodes what the binding says (section 3.1.3.2): space, `"`, `%` and all outside U+0021 to U+007E.
fn escape(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    out
}

/// Reverses [`escape`], and takes what other senders write: a quoted string (RFC 9110, section 5.6.4) and
/// hex digits in lower case. Overlong or otherwise invalid UTF-8 is an error.
fn unescape(name: &str, value: &str) -> Result<String, WireError> {
    let value = unquote(name, value.trim_matches([' ', '\t']))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(broken(name, "a percent sign must come before two hex digits"));
        };
        bytes.push(u8::try_from(high << 4 | low).expect("two hex digits fit a byte"));
    }
    String::from_utf8(bytes).map_err(|_| broken(name, "not UTF-8 after percent-decoding"))
}

fn unquote(name: &str, value: &str) -> Result<String, WireError> {
    let Some(inner) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let (mut out, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    loop {
        match chars.next() {
            Some('"') if chars.as_str().is_empty() => return Ok(out),
            Some('\\') => out.extend(chars.next()),
            Some('"') | None => return Err(broken(name, "the quotes do not match")),
            Some(other) => out.push(other),
        }
    }
}

pub(super) fn decode(headers: &[(String, String)], body: &[u8]) -> Result<CloudEvent, WireError> {
    let mut attributes = Attributes::default();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "content-type" {
            attributes.add("datacontenttype", value.trim().to_owned())?;
        } else if let Some(attribute) = name.strip_prefix(PREFIX) {
            if attribute == "datacontenttype" {
                return Err(broken(attribute, "travels as content-type in binary mode"));
            }
            attributes.add(attribute, unescape(attribute, value)?)?;
        }
    }
    let mut event = attributes.into_event()?;
    (event.data, event.is_base64) = data_of(event.data_content_type.as_deref(), body)?;
    Ok(event)
}

fn data_of(media_type: Option<&str>, body: &[u8]) -> Result<(Option<Value>, bool), WireError> {
    if body.is_empty() {
        return Ok((None, false));
    }
    if media::is_json(media_type) {
        let parsed = serde_json::from_slice(body);
        let data = parsed.map_err(|e| WireError::Json { line: e.line(), column: e.column() })?;
        return Ok((Some(data), false));
    }
    match (media_type.is_some_and(media::is_text), std::str::from_utf8(body)) {
        (true, Ok(text)) => Ok((Some(text.into()), false)),
        (true, Err(_)) | (false, _) => Ok((Some(STANDARD.encode(body).into()), true)),
    }
}

/// Standard alphabet, padding required.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
