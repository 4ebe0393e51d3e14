//! The rules on attribute names and values (CloudEvents 1.0.2, "Naming Conventions" and "Type System"), and
//! the building of an event from named values, which every decoder ends in.

use std::collections::BTreeMap;

use writ_model::cloudevent::CloudEvent;
use writ_model::time::Timestamp;

use super::{EXTENSIONS_MAX, SPEC_VERSION, WireError, media};

/// The specification recommends 20; longer names are valid and are read up to this bound.
const NAME_BYTES_MAX: usize = 64;

/// Checks an attribute's name.
pub(super) fn check_name(name: &str) -> Result<(), WireError> {
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_plain {
        return Err(broken(name, "names are 1 to 64 of a-z and 0-9"));
    }
    if name == "data" {
        return Err(broken(name, "not an attribute name"));
    }
    Ok(())
}

/// Checks a String value: no control characters, no noncharacters (surrogates cannot occur in a `str`).
fn check_text(name: &str, text: &str) -> Result<(), WireError> {
    let is_bad = |c: char| {
        let point = u32::from(c);
        c.is_control() || (0xFDD0..=0xFDEF).contains(&point) || point & 0xFFFE == 0xFFFE
    };
    if text.chars().any(is_bad) {
        return Err(broken(name, "control characters and noncharacters are not allowed"));
    }
    Ok(())
}

pub(super) fn broken(name: &str, rule: &'static str) -> WireError {
    let is_printable = name.len() <= NAME_BYTES_MAX && name.bytes().all(|b| b.is_ascii_graphic());
    let name = if is_printable { name.to_owned() } else { "(unprintable)".to_owned() };
    WireError::Attribute { name, rule }
}

/// Attributes as they were read, before the rules on single ones are checked.
#[derive(Default)]
pub(super) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Adds one. The same name twice is an error, whatever the values.
    pub(super) fn add(&mut self, name: &str, value: String) -> Result<(), WireError> {
        check_name(name)?;
        check_text(name, &value)?;
        if self.0.insert(name.to_owned(), value).is_some() {
            return Err(broken(name, "given twice"));
        }
        Ok(())
    }

    fn required(&mut self, name: &'static str) -> Result<String, WireError> {
        let value = self.0.remove(name).ok_or(WireError::Missing { name })?;
        if value.is_empty() { Err(broken(name, "must not be empty")) } else { Ok(value) }
    }

    fn optional(
        &mut self,
        name: &str,
        rule: &'static str,
        fits: fn(&str) -> bool,
    ) -> Result<Option<String>, WireError> {
        let value = self.0.remove(name);
        if value.as_deref().is_some_and(|v| !fits(v)) {
            return Err(broken(name, rule));
        }
        Ok(value)
    }

    /// The event, without data.
    pub(super) fn into_event(mut self) -> Result<CloudEvent, WireError> {
        if self.required("specversion")? != SPEC_VERSION {
            return Err(broken("specversion", "must be 1.0"));
        }
        let id = self.required("id")?;
        let source = self.required("source")?;
        if !is_uri_reference(&source) {
            return Err(broken("source", "must be a URI reference (RFC 3986)"));
        }
        let event = CloudEvent {
            id,
            source,
            event_type: self.required("type")?,
            subject: self.optional("subject", "must not be empty", |s| !s.is_empty())?,
            time: self.optional("time", "must be an RFC 3339 time", is_time)?,
            data_content_type: self.optional(
                "datacontenttype",
                "must be a media type",
                media::is_media_type,
            )?,
            data_schema: self.optional("dataschema", "must be an absolute URI", is_uri)?,
            extensions: self.0,
            data: None,
            is_base64: false,
        };
        if event.extensions.len() > EXTENSIONS_MAX {
            return Err(WireError::TooMany { max: EXTENSIONS_MAX, what: "extension attributes" });
        }
        Ok(event)
    }
}

/// The characters of RFC 3986 section 2, and percent signs only before two hex digits.
fn is_uri_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.iter().enumerate().all(|(at, byte)| match byte {
            b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            other => other.is_ascii_graphic(),
        })
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme && is_uri_reference(text)
}

/// The shape of RFC 3339 section 5.6, then the calendar: the parser behind [`Timestamp`] takes more than
/// RFC 3339 does.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let fixed = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|b| allowed.contains(b));
    let date = digits(0..4) && fixed(4, b"-") && digits(5..7) && fixed(7, b"-") && digits(8..10);
    let time = digits(11..13) && fixed(13, b":") && digits(14..16) && fixed(16, b":") && digits(17..19);
    let Some(rest) = text.get(19..) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    date && fixed(10, b"Tt") && time && is_zone(zone) && text.parse::<Timestamp>().is_ok()
}

fn is_zone(zone: &str) -> bool {
    let shape = |b: &[u8]| {
        matches!(b, [b'+' | b'-', h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|d| d.is_ascii_digit()))
    };
    matches!(zone, "Z" | "z") || shape(zone.as_bytes())
}
