//! The values of the derived state. Control facts are kept as the journal's JSON; rows that come once per
//! event or once per delivery are protobuf, for their size. Fields are added, never changed or reused.

use serde::Serialize;
use serde::de::DeserializeOwned;
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
