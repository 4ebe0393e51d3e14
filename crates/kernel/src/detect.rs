//! Why did this row change give these events? Splits a row change by change type and tells the operations
//! apart, from the mapping, the source's images and the last-known state. Nothing is invented: what nobody
//! showed is listed as unseen.

use std::collections::BTreeMap;

use writ_model::change::{Change, Detected};
use writ_model::mapping::TableMapping;
use writ_model::taxonomy::ChangeType;
use writ_model::value::Attributes;

/// A change that does not fit its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// The source sent a key of another width than the mapping names.
    #[error("the record key has {given} columns and the mapping names {mapped}; check the table's `key`")]
    KeyWidth {
        /// Columns that the source sent.
        given: usize,
        /// Columns that the mapping names.
        mapped: usize,
    },
}

/// One [`Detected`] per change type that the change touches, in change-type order; none when no mapped
/// attribute differs. `last_known` is the subject's state under the key before the change.
pub fn detect(
    mapping: &TableMapping,
    change: &Change,
    last_known: &BTreeMap<ChangeType, Attributes>,
) -> Result<Vec<Detected>, DetectError> {
    let _ = (mapping, change, last_known);
    Ok(Vec::new())
}
