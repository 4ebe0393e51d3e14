//! A row change as a whole: what is known of the record before and after, and what happened to it.

use std::collections::BTreeMap;

use writ_model::change::{Change, RowChange};
use writ_model::mapping::{ColumnSet, TableMapping};
use writ_model::taxonomy::{ChangeType, Operation};
use writ_model::value::{Attributes, Field, Image, Value};

/// Longest location that goes into a clear header.
const LOCATION_BYTES_MAX: usize = 64;

/// Longest language tag; RFC 5646 section 4.4.1 asks for room for 35.
const LOCALE_BYTES_MAX: usize = 35;

pub(super) struct Row<'a> {
    pub(super) mapping: &'a TableMapping,
    pub(super) change: &'a Change,
    pub(super) last_known: &'a BTreeMap<ChangeType, Attributes>,
}

impl<'a> Row<'a> {
    /// A column as the source showed it before the change.
    pub(super) fn shown_before(&self, column: &str) -> Option<&'a Value> {
        self.change.before.as_ref().and_then(|image| image.get(column))
    }

    /// A column as the source showed it after the change.
    pub(super) fn shown_after(&self, column: &str) -> Option<&'a Value> {
        self.change.after.as_ref().and_then(|image| image.get(column))
    }

    pub(super) fn is_delete(&self) -> bool {
        self.change.row == RowChange::Delete
    }

    /// Anything but the key was known of the record before this change.
    pub(super) fn is_known(&self) -> bool {
        let is_value = |value: &Value| *value != Value::Null;
        let remembered = self.last_known.values().flat_map(BTreeMap::values).any(is_value);
        let pairs = || self.mapping.changes.values().flat_map(|set| set.pairs());
        let is_key = |column: &str| self.mapping.key.iter().any(|k| k == column);
        remembered
            || pairs().any(|(_, column)| !is_key(column) && self.shown_before(column).is_some_and(is_value))
    }

    /// What happened to the record. A reparent is told apart per group, because only a group can tell
    /// whether anything but the parent differs.
    pub(super) fn operation(&self) -> Operation {
        if self.is_delete() {
            return Operation::Delete;
        }
        if self.change.old_key.as_ref().is_some_and(|old| *old != self.change.key) {
            return Operation::Rekey;
        }
        match (self.was_soft_deleted(), self.is_soft_deleted()) {
            // A record that is first seen as deleted must not reach a subscriber as a live one.
            (None | Some(false), Some(true)) => Operation::SoftDelete,
            (Some(true), Some(false)) => Operation::Restore,
            (None | Some(false), None | Some(false)) | (Some(true), None | Some(true)) => {
                self.plain_operation(self.is_known())
            }
        }
    }

    /// Insert, update or delete. The last-known state overrules the source between insert and update: a
    /// snapshot that is read again, or a delete that was missed, must not make a known record appear twice.
    pub(super) fn plain_operation(&self, is_known: bool) -> Operation {
        match self.change.row {
            RowChange::Delete => Operation::Delete,
            RowChange::Update => Operation::Update,
            RowChange::Insert | RowChange::Upsert if is_known => Operation::Update,
            RowChange::Insert | RowChange::Upsert => Operation::Insert,
        }
    }

    /// Some change type has this column among its own.
    pub(super) fn is_mapped(&self, column: &str) -> bool {
        self.mapping.changes.values().any(|set| set.pairs().iter().any(|(_, c)| *c == column))
    }

    /// A record-level column as far as anybody knows it before the change. A group remembers it under the
    /// attribute that it maps it to, any other group under the column's own name.
    pub(super) fn marker_before(&self, column: &str) -> Option<&'a Value> {
        let remembered = || self.last_known.iter().find_map(|(t, group)| group.get(self.name_in(*t, column)));
        self.shown_before(column).or_else(remembered)
    }

    fn name_in<'b>(&'b self, change_type: ChangeType, column: &'b str) -> &'b str {
        let pairs = self.mapping.changes.get(&change_type).map(ColumnSet::pairs).unwrap_or_default();
        pairs.into_iter().find(|(_, c)| *c == column).map_or(column, |(attribute, _)| attribute)
    }

    fn was_soft_deleted(&self) -> Option<bool> {
        self.marker_before(self.mapping.soft_delete.as_deref()?).map(is_set)
    }

    fn is_soft_deleted(&self) -> Option<bool> {
        let column = self.mapping.soft_delete.as_deref()?;
        self.shown_after(column).or_else(|| self.marker_before(column)).map(is_set)
    }

    /// Every column that either image shows, key columns excepted, under its own name.
    pub(super) fn shown_columns(&self) -> Vec<(&'a str, &'a str)> {
        let images = [&self.change.before, &self.change.after];
        let fields = images.into_iter().flatten().flat_map(|Image(fields)| fields);
        let seen =
            fields.filter(|(_, field)| matches!(field, Field::Seen(_))).map(|(column, _)| column.as_str());
        let mut columns: Vec<_> =
            seen.filter(|column| !self.mapping.key.iter().any(|k| k == column)).map(|c| (c, c)).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The mapped location, where it is a short plain word. Anything else is left out: it would be stored
    /// unencrypted.
    pub(super) fn location(&self) -> Option<String> {
        let is_plain = |c: char| c.is_alphanumeric() || " -_./:".contains(c);
        self.word(self.mapping.location.as_deref()?, LOCATION_BYTES_MAX, is_plain)
    }

    /// The mapped language tag, where it looks like one (`de`, `de-AT`, `de_AT`).
    pub(super) fn locale(&self) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        self.word(self.mapping.locale.as_deref()?, LOCALE_BYTES_MAX, is_plain)
    }

    fn word(&self, column: &str, bytes_max: usize, is_plain: impl Fn(char) -> bool) -> Option<String> {
        let text = match self.shown_after(column).or_else(|| self.shown_before(column))? {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => return None,
        };
        let fits = !text.is_empty() && text.len() <= bytes_max && text.chars().all(is_plain);
        fits.then_some(text)
    }
}

/// A soft-delete column that means deleted: neither null nor any of the ways in which sources write false.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Text(text) => !matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "f" | "false"),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}
