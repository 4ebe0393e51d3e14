//! The attributes of an event that receiving it once needs; the data are the caller's business.

use serde::Deserialize;

/// An event as it came from Writ (`docs/reference/events.md`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// The event's id; with `source` its identity.
    pub id: String,
    /// `/writ/<tenant>/<source>`.
    pub source: String,
    /// The share of subjects that numbers the event.
    pub slot: String,
    /// The number there: twenty digits, ordered as text.
    pub sequence: String,
    /// The subject under an internal id: order holds for each.
    #[serde(rename = "partitionkey")]
    pub subject: String,
    /// When Writ admitted it, RFC 3339.
    #[serde(rename = "recordedtime")]
    pub recorded: String,
    /// The delivery id, where the event carries it (events of a lease).
    #[serde(rename = "deliveryid", default)]
    pub delivery: Option<String>,
}

/// The text is no event of Writ's. Says what is missing, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no event from Writ: {0}")]
pub struct NotAnEvent(String);

/// Digits of a sequence.
const SEQUENCE_DIGITS: usize = 20;

impl Event {
    /// From one JSON object: structured mode, an element of a batch, or the data of a server-sent event.
    ///
    /// # Errors
    /// When it is no JSON object with these attributes.
    pub fn parse(json: &[u8]) -> Result<Self, NotAnEvent> {
        let event: Self = serde_json::from_slice(json).map_err(|error| {
            // The parser's text may quote a value; its place may not.
            NotAnEvent(format!("not as expected at line {}, column {}", error.line(), error.column()))
        })?;
        event.checked()
    }

    /// From the `ce-` headers of binary mode; `header` gives a header's value by its lower-case name.
    ///
    /// # Errors
    /// When an attribute is missing.
    pub fn from_headers(header: impl Fn(&str) -> Option<String>) -> Result<Self, NotAnEvent> {
        let attribute = |name: &str| {
            header(&format!("ce-{name}")).ok_or_else(|| NotAnEvent(format!("header ce-{name} is missing")))
        };
        let event = Self {
            id: attribute("id")?,
            source: attribute("source")?,
            slot: attribute("slot")?,
            sequence: attribute("sequence")?,
            subject: attribute("partitionkey")?,
            recorded: attribute("recordedtime")?,
            delivery: header("webhook-id"),
        };
        event.checked()
    }

    /// Sequences are compared as text, which only holds for one length.
    fn checked(self) -> Result<Self, NotAnEvent> {
        let is_sequence =
            self.sequence.len() == SEQUENCE_DIGITS && self.sequence.bytes().all(|b| b.is_ascii_digit());
        if is_sequence { Ok(self) } else { Err(NotAnEvent("sequence is not twenty digits".to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"id": "e", "source": "/writ/acme/shop", "slot": "17", "partitionkey": "p",
        "sequence": "00000000000000000042", "recordedtime": "2026-11-21T05:30:00Z", "deliveryid": "d",
        "data": {"after": {"email": "ada@example.org"}}}"#;

    #[test]
    fn json_and_headers_give_the_same_event() {
        let json: serde_json::Value = serde_json::from_str(WHOLE).expect("json");
        let header = |name: &str| match name {
            "webhook-id" => Some("d".to_owned()),
            other => json[other.strip_prefix("ce-")?].as_str().map(str::to_owned),
        };
        assert_eq!(Event::from_headers(header), Event::parse(WHOLE.as_bytes()));
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused_without_being_shown() {
        for attribute in ["id", "source", "slot", "sequence", "partitionkey", "recordedtime"] {
            let mut json: serde_json::Value = serde_json::from_str(WHOLE).expect("json");
            json.as_object_mut().expect("an object").remove(attribute);
            assert!(Event::parse(json.to_string().as_bytes()).is_err(), "{attribute}");
        }
        for sequence in ["42", "0000000000000000004x", "000000000000000000042"] {
            let text = WHOLE.replace("00000000000000000042", sequence);
            assert!(Event::parse(text.as_bytes()).is_err(), "{sequence}");
        }
        let error = Event::parse(br#"{"id": {"secret": "ada@example.org"}}"#).expect_err("refused");
        assert!(!error.to_string().contains("ada@"), "{error}");
    }
}
