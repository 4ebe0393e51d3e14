//! The values of the derived state. Control facts are kept as the journal's JSON; rows that come once per
//! event or once per delivery are protobuf, for their size. Fields are added, never changed or reused.

use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{EventId, Offset};
use writ_model::time::Timestamp;

use crate::pairs::Fault;
use crate::state::OpenEvent;

/// An event without a final leaf; its offset is in the key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct OpenRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) event_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(super) intent_index: u64,
    #[prost(int64, tag = "3")]
    pub(super) settle_by: i64,
}

impl OpenRow {
    /// The event, without its acknowledgements.
    pub(super) fn into_event(self, offset: Offset) -> Option<OpenEvent> {
        Some(OpenEvent {
            offset,
            event_id: EventId(uuid::Uuid::from_slice(&self.event_id).ok()?),
            intent_index: self.intent_index,
            settle_by: Timestamp(self.settle_by),
            settled: Vec::new(),
        })
    }
}

/// How an event ended at one subscriber; offset and subscriber are in the key.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct AcknowledgementRow {
    #[prost(uint32, tag = "1")]
    settled: u32,
    #[prost(int64, tag = "2")]
    at: i64,
    #[prost(uint32, tag = "3")]
    attempts: u32,
    #[prost(string, optional, tag = "4")]
    answer_sha256: Option<String>,
}

impl AcknowledgementRow {
    pub(super) fn new(from: &Acknowledgement) -> Self {
        let Acknowledgement { settled, at, attempts, answer_sha256 } = from;
        let settled = match settled {
            SettledAs::Acknowledged => 1,
            SettledAs::DeadLettered => 2,
            SettledAs::Withheld => 3,
            SettledAs::Pending => 4,
        };
        Self { settled, at: at.0, attempts: *attempts, answer_sha256: answer_sha256.clone() }
    }

    pub(super) fn into_acknowledgement(self) -> Option<Acknowledgement> {
        let settled = match self.settled {
            1 => SettledAs::Acknowledged,
            2 => SettledAs::DeadLettered,
            3 => SettledAs::Withheld,
            4 => SettledAs::Pending,
            _ => return None,
        };
        let Self { at, attempts, answer_sha256, .. } = self;
        Some(Acknowledgement { settled, at: Timestamp(at), attempts, answer_sha256 })
    }
}

/// Encodes a control fact.
pub(super) fn to_json<T: Serialize>(fact: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(fact).map_err(|_| unreadable("control fact"))
}

/// Decodes a control fact.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|_| unreadable("control fact"))
}

/// Decodes a protobuf row.
pub(super) fn from_proto<T: prost::Message + Default>(bytes: &[u8]) -> Result<T, Fault> {
    T::decode(bytes).map_err(|_| unreadable("row"))
}

/// Decodes a number of eight bytes.
pub(super) fn number(bytes: &[u8]) -> Result<u64, Fault> {
    let bytes = bytes.try_into().map_err(|_| unreadable("number"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A value or key that this version did not write. The decoder's own words would quote the value.
pub(super) fn unreadable(what: &str) -> Fault {
    Fault::Damaged { path: "state".to_owned(), cause: format!("a {what} cannot be decoded") }
}
