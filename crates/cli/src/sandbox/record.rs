//! What a receiver saw, in order.

use std::time::Instant;

use serde_json::Value;

/// One event in one request that was answered 2xx.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// When it arrived.
    pub(crate) at: Instant,
    /// Counts the receiver's events, from 1.
    pub(crate) position: u64,
    /// `webhook-id`: the delivery id.
    pub(crate) delivery_id: String,
    /// CloudEvents `id`.
    pub(crate) event_id: String,
    /// CloudEvents `type`.
    pub(crate) event_type: String,
    /// Extension `partitionkey`: the subject's internal id.
    pub(crate) partition_key: String,
    /// CloudEvents `subject`.
    pub(crate) subject: String,
    /// Extension `sequence`.
    pub(crate) sequence: String,
    /// The data.
    pub(crate) data: Value,
}

impl Delivery {
    /// From a structured CloudEvent; a missing attribute is empty, which the checks then notice.
    pub(crate) fn from_structured(event: &Value, delivery_id: &str, position: u64) -> Self {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            at: Instant::now(),
            position,
            delivery_id: delivery_id.to_owned(),
            event_id: text("id"),
            event_type: text("type"),
            partition_key: text("partitionkey"),
            subject: text("subject"),
            sequence: text("sequence"),
            data: event.get("data").cloned().unwrap_or(Value::Null),
        }
    }

    /// An attribute after the change.
    pub(crate) fn after(&self, attribute: &str) -> Option<&str> {
        self.data.get("after")?.get(attribute)?.as_str()
    }
}
