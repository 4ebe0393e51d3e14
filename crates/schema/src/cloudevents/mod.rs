//! CloudEvents 1.0.2 wire formats: JSON structured, JSON batch, HTTP binary. Pure text in, text out: reading a
//! socket and choosing a format are the connectors' business.

mod attribute;
mod binary;
mod decode;
mod json;
mod media;

pub use binary::Binary;
pub use decode::{Mode, decode, mode_of};
pub use json::{batch, decode_batch, decode_structured};

use std::sync::OnceLock;

use writ_model::cloudevent::CloudEvent;
use writ_model::code::{self, Code};

/// Media type of one event in structured mode (JSON event format, section 3).
pub const STRUCTURED: &str = "application/cloudevents+json";

/// Media type of a batch (JSON event format, section 4). To be sent only where the receiver asked for it.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// The only `specversion` that is written and read.
pub const SPEC_VERSION: &str = "1.0";

/// Most events that one batch may hold when it is read; the body's size is bounded by the caller.
pub const BATCH_EVENTS_MAX: usize = 4096;

/// Most extension attributes that one event may have when it is read.
pub const EXTENSIONS_MAX: usize = 64;

/// One event as a class of subscribers sees it, encoded once. Shared by every subscriber of that class, and by
/// all their retries. Thousands are in memory at a time, so only the one encoding that most of them need is
/// kept; the others are made from it.
#[derive(Debug)]
pub struct View {
    structured: Box<[u8]>,
    binary: OnceLock<Binary>,
}

impl View {
    /// Encodes the event.
    pub fn new(event: &CloudEvent) -> Self {
        Self { structured: json::encode(event).into_boxed_slice(), binary: OnceLock::new() }
    }

    /// The event, read back from its encoding.
    pub fn event(&self) -> CloudEvent {
        json::read_own(&self.structured)
    }

    /// The event as one JSON object, to be sent as [`STRUCTURED`].
    pub fn structured(&self) -> &[u8] {
        &self.structured
    }

    /// The event as HTTP headers and a body (HTTP protocol binding, section 3.1). Made at the first call.
    pub fn binary(&self) -> &Binary {
        self.binary.get_or_init(|| binary::encode(&self.event()))
    }
}

/// Bytes that are not a CloudEvent. Says where and which rule, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The body is not JSON.
    #[error("the body is not valid JSON: line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The JSON is not an object, or for a batch not an array of objects.
    #[error("the body is not {expected}")]
    Shape {
        /// What it should be.
        expected: &'static str,
    },
    /// A required attribute is absent.
    #[error("attribute {name} is missing")]
    Missing {
        /// Which.
        name: &'static str,
    },
    /// An attribute that is there does not keep a rule.
    #[error("attribute {name}: {rule}")]
    Attribute {
        /// Which; `(unprintable)` for a name that is not plain ASCII.
        name: String,
        /// The rule.
        rule: &'static str,
    },
    /// The data does not keep a rule.
    #[error("data: {rule}")]
    Data {
        /// The rule.
        rule: &'static str,
    },
    /// More than is read at once.
    #[error("more than {max} {what}")]
    TooMany {
        /// The bound.
        max: usize,
        /// Of what.
        what: &'static str,
    },
    /// One event of a batch is wrong.
    #[error("event {index} of the batch: {error}")]
    InBatch {
        /// From 0.
        index: usize,
        /// What is wrong with it.
        error: Box<WireError>,
    },
    /// The request is in none of the three modes.
    #[error("no CloudEvent: neither a cloudevents media type nor ce- headers")]
    NoEvent,
}

impl WireError {
    /// The code under which an intake reports it.
    pub fn code(&self) -> Code {
        match self {
            Self::Json { .. } => code::INTAKE_JSON,
            Self::InBatch { error, .. } => error.code(),
            Self::Shape { .. }
            | Self::Missing { .. }
            | Self::Attribute { .. }
            | Self::Data { .. }
            | Self::TooMany { .. }
            | Self::NoEvent => code::INTAKE_NOT_CLOUDEVENT,
        }
    }
}

#[cfg(test)]
mod tests;
