//! How an operator maps the columns of a source's tables to change types. Plain data from `writ.yaml`;
//! `writ-kernel`'s detect applies it, `writ check` holds it against the live schema.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::taxonomy::{ChangeType, Entity};

/// The tables of one source.
pub type Tables = BTreeMap<String, TableMapping>;

/// One table (`schema.table`), topic or object kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableMapping {
    /// The kind of master record.
    pub entity: Entity,
    /// The columns of the record's natural key, in order.
    pub key: Vec<String>,
    /// Change type to the attributes it covers, as attribute name to column (`email: {email: email_addr}`),
    /// or a plain list of columns that keep their names (`address: [street, city]`).
    pub changes: BTreeMap<ChangeType, ColumnSet>,
    /// Column that marks a soft-deleted row: set (not null, not false) means deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_delete: Option<String>,
    /// Column that names the parent record; a change of it alone is a reparent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Column with the record's location, a low-cardinality word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Column with the record's language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// Columns of one change type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ColumnSet {
    /// Attribute and column have the same name.
    Same(Vec<String>),
    /// Attribute name to column name.
    Named(BTreeMap<String, String>),
}

impl ColumnSet {
    /// Pairs of (attribute, column).
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Same(columns) => columns.iter().map(|c| (c.as_str(), c.as_str())).collect(),
            Self::Named(map) => map.iter().map(|(a, c)| (a.as_str(), c.as_str())).collect(),
        }
    }
}

impl TableMapping {
    /// Every column that the mapping reads, without repeats, in name order.
    pub fn columns(&self) -> Vec<&str> {
        let mapped = self.changes.values().flat_map(|set| set.pairs().into_iter().map(|(_, c)| c));
        let single = [&self.soft_delete, &self.parent, &self.location, &self.locale];
        let single = single.into_iter().filter_map(|c| c.as_deref());
        let mut all: Vec<&str> = self.key.iter().map(String::as_str).chain(mapped).chain(single).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
