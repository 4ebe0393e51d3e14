//! CloudEvents wire formats: JSON structured, JSON batch, HTTP binary. Encodes each view once.

use std::sync::OnceLock;

use writ_model::cloudevent::CloudEvent;

/// One event as a class of subscribers sees it, with its encodings made at most once.
#[derive(Debug)]
pub struct View {
    event: CloudEvent,
    structured: OnceLock<Vec<u8>>,
}
