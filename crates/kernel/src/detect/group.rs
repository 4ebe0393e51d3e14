//! The mapped attributes of one change type, before and after the change.

use writ_model::taxonomy::ChangeType;
use writ_model::value::{Attributes, Value};

use super::row::Row;

pub(super) struct Group {
    pub(super) change_type: ChangeType,
    /// As far as known; `None` when nothing is.
    pub(super) before: Option<Attributes>,
    /// As far as known; `None` when nothing is, or when the record is gone.
    pub(super) after: Option<Attributes>,
    /// Attributes that nobody showed.
    pub(super) unseen: Vec<String>,
    /// It had a value before.
    pub(super) existed: bool,
    /// It has a value after.
    pub(super) exists: bool,
    is_other: bool,
    is_moved_only: bool,
}

impl Group {
    /// The group of a detected change: its own attributes, and the record-level columns that operations are
    /// told apart by.
    pub(super) fn of(row: &Row<'_>, change_type: ChangeType, pairs: Vec<(&str, &str)>) -> Self {
        let mut group = Self::declared(row, change_type, &pairs);
        let mapping = row.mapping;
        if let Some(column) = &mapping.parent {
            let own = pairs.iter().find(|(_, c)| c == column).map(|(attribute, _)| *attribute);
            match own {
                Some(attribute) => group.is_moved_only = group.differs_only_in(attribute),
                None if row.is_mapped(column) => {}
                None => group.follow_parent(row, column, &pairs),
            }
        }
        if let Some(column) = &mapping.soft_delete {
            group.mark(row, column, &pairs);
        }
        group
    }

    /// The group of a declared change: its own attributes only.
    pub(super) fn declared(row: &Row<'_>, change_type: ChangeType, pairs: &[(&str, &str)]) -> Self {
        let remembered = row.last_known.get(&change_type);
        let (mut before, mut after, mut unseen) = (Attributes::new(), Attributes::new(), Vec::new());
        for (attribute, column) in pairs {
            let was = row.shown_before(column).or_else(|| remembered?.get(*attribute));
            let is = if row.is_delete() { None } else { row.shown_after(column).or(was) };
            for (side, value) in [(&mut before, was), (&mut after, is)] {
                value.iter().for_each(|v| drop(side.insert((*attribute).to_owned(), (*v).clone())));
            }
            if was.or(is).is_none() {
                unseen.push((*attribute).to_owned());
            }
        }
        let has_value = |side: &Attributes| side.values().any(|v| *v != Value::Null);
        let known = |side: Attributes| (!side.is_empty()).then_some(side);
        Self {
            change_type,
            // A remembered group is deleted by an event of its own even when all of it is null by now.
            existed: has_value(&before) || (row.is_delete() && remembered.is_some()),
            exists: has_value(&after),
            is_other: before != after,
            is_moved_only: false,
            before: known(before),
            after: known(after),
            unseen,
        }
    }

    /// It has attributes that nobody showed, and none that anybody did: it may exist.
    pub(super) fn is_unknown(&self) -> bool {
        self.before.is_none() && self.after.is_none() && !self.unseen.is_empty()
    }

    /// Something that subscribers see differs. A group of nulls that was not there before is no difference.
    pub(super) fn differs(&self) -> bool {
        self.is_other && (self.existed || self.exists)
    }

    /// Nothing differs but the parent.
    pub(super) fn is_moved_only(&self) -> bool {
        self.is_moved_only
    }

    fn differs_only_in(&self, attribute: &str) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return false };
        let is_same = |name: &String| name == attribute || before.get(name) == after.get(name);
        before.contains_key(attribute) && self.is_other && before.keys().chain(after.keys()).all(is_same)
    }

    /// No change type maps the parent column, so every group of the record moves with it.
    fn follow_parent(&mut self, row: &Row<'_>, column: &str, pairs: &[(&str, &str)]) {
        let is_moved = match (row.marker_before(column), row.shown_after(column)) {
            (Some(before), Some(after)) => before != after,
            (None, _) | (_, None) => false,
        };
        self.is_moved_only = is_moved && !self.is_other;
        self.is_other |= is_moved;
        self.mark(row, column, pairs);
    }

    /// Lets a record-level column ride along under its own name: the last-known state is made of events and
    /// has no other place for it.
    fn mark(&mut self, row: &Row<'_>, column: &str, pairs: &[(&str, &str)]) {
        if pairs.iter().any(|(attribute, c)| *c == column || *attribute == column) {
            return;
        }
        let before = row.marker_before(column);
        let after = row.shown_after(column).or(before);
        for (side, value) in [(&mut self.before, before), (&mut self.after, after)] {
            if let (Some(side), Some(value)) = (side.as_mut(), value) {
                side.insert(column.to_owned(), value.clone());
            }
        }
    }
}
