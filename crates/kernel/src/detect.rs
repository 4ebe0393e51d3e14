//! Why did this row change give these events? Splits a row change by change type and tells the operations
//! apart, from the mapping, the source's images and the last-known state. Nothing is invented: what nobody
//! showed is listed as unseen.
//!
//! The rules, in words for operators, are in `docs/reference/taxonomy.md`.

mod group;
mod row;

use std::collections::BTreeMap;

use writ_model::change::{Change, Detected};
use writ_model::mapping::TableMapping;
use writ_model::taxonomy::{ChangeType, Operation};
use writ_model::value::Attributes;

use group::Group;
use row::Row;

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
/// attribute differs. `last_known` is the subject's state under the key before the change, and the next
/// last-known state of each group that gave an event is that event's `after`.
///
/// A producer that declares the type gets exactly one event of that type, whether or not anything differs.
pub fn detect(
    mapping: &TableMapping,
    change: &Change,
    last_known: &BTreeMap<ChangeType, Attributes>,
) -> Result<Vec<Detected>, DetectError> {
    let (given, mapped) = (change.key.0.len(), mapping.key.len());
    if given != mapped {
        return Err(DetectError::KeyWidth { given, mapped });
    }
    let row = Row { mapping, change, last_known };
    if let Some(declared) = change.declared {
        return Ok(vec![declared_event(&row, declared)]);
    }
    let operation = row.operation();
    let groups = mapping.changes.iter().map(|(change_type, set)| Group::of(&row, *change_type, set.pairs()));
    Ok(groups.filter_map(|group| event(&row, group, operation)).collect())
}

fn event(row: &Row<'_>, group: Group, operation: Operation) -> Option<Detected> {
    let is_touched = match operation {
        Operation::Delete => group.existed || (group.is_unknown() && !row.is_known()),
        Operation::Rekey | Operation::SoftDelete | Operation::Restore => {
            group.existed || group.exists || group.is_unknown()
        }
        Operation::Insert | Operation::Update | Operation::Reparent => group.differs(),
    };
    let operation = match operation {
        Operation::Update if group.is_moved_only() => Operation::Reparent,
        other => other,
    };
    is_touched.then(|| detected(row, group, operation))
}

fn declared_event(row: &Row<'_>, change_type: ChangeType) -> Detected {
    let pairs = match row.mapping.changes.get(&change_type) {
        Some(set) => set.pairs(),
        None => row.shown_columns(),
    };
    let group = Group::declared(row, change_type, &pairs);
    let operation = row.plain_operation(group.existed);
    detected(row, group, operation)
}

/// What an event says was before is what the last event said is: a value that was kept out of the stream (a
/// card number, data that fits no schema) does not come back in as somebody's past. Whether anything changed
/// is still judged by what the source showed.
fn detected(row: &Row<'_>, group: Group, operation: Operation) -> Detected {
    let before = match row.last_known.get(&group.change_type) {
        Some(remembered) => Some(remembered.clone()),
        None if row.last_known.is_empty() => group.before,
        None => None,
    };
    Detected {
        change_type: group.change_type,
        operation,
        entity: row.mapping.entity,
        before,
        after: group.after,
        unseen: group.unseen,
        location: row.location(),
        locale: row.locale(),
    }
}

#[cfg(test)]
mod tests;
