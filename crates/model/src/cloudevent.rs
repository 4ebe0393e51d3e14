//! A CloudEvent (specification 1.0.2) as subscribers see it and producers send it. The wire formats are
//! in `writ-schema`.

use std::collections::BTreeMap;

use crate::envelope::{ClearHeader, PrivatePart};
use crate::id::Sequence;
use crate::lineage::{Lineage, Ordinals};
use crate::taxonomy::{PriorityClass, event_type};

/// One CloudEvent. Attribute values are text, as every binding carries them.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// `id`: with `source` it is the event's identity.
    pub id: String,
    /// `source`: a URI reference.
    pub source: String,
    /// `type`.
    pub event_type: String,
    /// `subject`: personal data here, so this type has no `Debug` that prints it.
    pub subject: Option<String>,
    /// `time`: RFC 3339.
    pub time: Option<String>,
    /// `datacontenttype`; absent means `application/json`.
    pub data_content_type: Option<String>,
    /// `dataschema`: a URI.
    pub data_schema: Option<String>,
    /// Extension attributes, `[a-z0-9]{1,20}` to text.
    pub extensions: BTreeMap<String, String>,
    /// `data` as JSON; other content is a JSON string with `data_base64` set.
    pub data: Option<serde_json::Value>,
    /// The data is base64 text of binary content.
    pub is_base64: bool,
}

impl std::fmt::Debug for CloudEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CloudEvent({} {})", self.event_type, self.id)
    }
}

/// What the log adds to an event when it stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Number in the slot.
    pub sequence: Sequence,
    /// Stream inside the slot.
    pub class: PriorityClass,
    /// The other orders that it has a number in.
    pub ordinals: Ordinals,
}

impl CloudEvent {
    /// The event as subscribers see it. `sequence` is ordered within (`source`, `slot`).
    pub fn from_event(header: &ClearHeader, private: &PrivatePart, placement: Placement) -> Self {
        let mut event = Self::without_data(header, placement);
        event.extensions.insert("causationid".to_owned(), private.causation_id.to_string());
        if let Some(correlation) = &private.correlation_id {
            event.extensions.insert("correlationid".to_owned(), correlation.clone());
        }
        Self {
            subject: Some(format!("{}/{}", header.entity, private.key.reveal())),
            data_content_type: Some("application/json".to_owned()),
            data_schema: Some(format!("urn:writ:schema:{}:v{}", header.change_type, header.schema_major)),
            data: serde_json::to_value(&private.data).ok(),
            ..event
        }
    }

    /// What is left of an event whose content key was destroyed: no subject, no data, `shredded` is `true`.
    pub fn tombstone(header: &ClearHeader, placement: Placement) -> Self {
        let mut event = Self::without_data(header, placement);
        event.extensions.insert("shredded".to_owned(), "true".to_owned());
        event
    }

    fn without_data(header: &ClearHeader, placement: Placement) -> Self {
        let mut extensions = BTreeMap::new();
        let mut set = |name: &str, value: String| {
            extensions.insert(name.to_owned(), value);
        };
        set("sequence", placement.sequence.to_string());
        set("slot", header.slot.number().to_string());
        set("priorityclass", placement.class.to_string());
        set("partitionkey", header.subject_id.to_string());
        set("hlc", header.hlc.to_string());
        set("lamport", placement.ordinals.lamport.to_string());
        set("subjectsequence", placement.ordinals.subject.to_string());
        set("generation", header.generation.to_string());
        set("tenant", header.tenant.to_string());
        set("operation", header.operation.to_string());
        set("recordedtime", header.recorded_at.to_string());
        header.location.iter().for_each(|l| set("location", l.clone()));
        header.locale.iter().for_each(|l| set("locale", l.clone()));
        if let Some(Lineage { standing, vector }) = &header.lineage {
            standing.iter().for_each(|standing| set("standing", standing.as_str().to_owned()));
            if !vector.is_empty() {
                set("versionvector", vector.to_string());
            }
        }
        Self {
            id: header.event_id.to_string(),
            source: format!("/writ/{}/{}", header.tenant, header.source),
            event_type: event_type(header.entity, header.change_type, header.schema_major),
            subject: None,
            time: Some(header.time.to_string()),
            data_content_type: None,
            data_schema: None,
            extensions,
            data: None,
            is_base64: false,
        }
    }

    /// A context attribute by its CloudEvents name, as filters and headers read it. Never `data`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match name {
            "specversion" => Some("1.0"),
            "id" => Some(&self.id),
            "source" => Some(&self.source),
            "type" => Some(&self.event_type),
            "subject" => self.subject.as_deref(),
            "time" => self.time.as_deref(),
            "datacontenttype" => self.data_content_type.as_deref(),
            "dataschema" => self.data_schema.as_deref(),
            other => self.extensions.get(other).map(String::as_str),
        }
    }
}
