//! The tables of one streaming session: what the server says of their columns, met with the mapping. Columns
//! are found by the message that describes them, never by the catalog: the catalog may have moved on.

use std::collections::BTreeMap;

use writ_model::mapping::{TableMapping, Tables};

use super::pgoutput::Relation;

/// The schema of a table that the mapping names without one.
const DEFAULT_SCHEMA: &str = "public";

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    pub(super) schema: String,
    pub(super) name: String,
}

impl TableName {
    /// From the mapping's `schema.table`, or `table` in the schema `public`.
    pub(super) fn of_mapping(text: &str) -> Self {
        let (schema, name) = text.split_once('.').unwrap_or((DEFAULT_SCHEMA, text));
        Self { schema: schema.to_owned(), name: name.to_owned() }
    }

    /// Quoted for SQL.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quote_name(&self.schema), quote_name(&self.name))
    }
}

/// Quotes an identifier for SQL.
pub(super) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for SQL; backslashes are plain under `standard_conforming_strings`, which is pinned.
pub(super) fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// How a mapped table's tuples are laid out: per cell the column that it holds, where it is mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The table as the mapping names it.
    pub(super) table: String,
    /// The key's columns, as places in the tuple, in key order.
    pub(super) key: Vec<usize>,
    /// One per cell; `None` for columns that the mapping does not read: they are not taken in.
    pub(super) cells: Vec<Option<LaidOut>>,
}

/// One mapped column in a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LaidOut {
    pub(super) name: String,
    pub(super) type_id: u32,
    pub(super) is_identity: bool,
}

/// What became of a table's description.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All mapped columns are there, or the table is not mapped.
    Whole,
    /// Mapped columns are gone; they are unseen from here on.
    Lacks {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
    },
}

/// A mapped key column is gone, so no record of the table can be named any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("key column {column} of table {table} is gone")]
pub(super) struct KeyGone {
    pub(super) table: String,
    pub(super) column: String,
}

/// The tables that a session has described so far. The server describes a table again after it changed, also
/// in the middle of a transaction.
#[derive(Debug)]
pub(super) struct Relations {
    mapped: BTreeMap<TableName, (String, TableMapping)>,
    known: BTreeMap<u32, Option<Layout>>,
}

impl Relations {
    pub(super) fn new(tables: &Tables) -> Self {
        let named = |(name, table): (&String, &TableMapping)| {
            (TableName::of_mapping(name), (name.clone(), table.clone()))
        };
        Self { mapped: tables.iter().map(named).collect(), known: BTreeMap::new() }
    }

    /// Takes a description, in place of an earlier one of the same id.
    pub(super) fn describe(&mut self, relation: &Relation) -> Result<Fit, KeyGone> {
        let name = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
        let Some((table, mapping)) = self.mapped.get(&name) else {
            self.known.insert(relation.id, None);
            return Ok(Fit::Whole);
        };
        let layout = lay_out(table, mapping, relation)?;
        let has = |column: &&str| relation.columns.iter().any(|c| c.name == **column);
        let lacking: Vec<String> =
            mapping.columns().into_iter().filter(|c| !has(c)).map(str::to_owned).collect();
        self.known.insert(relation.id, Some(layout));
        if lacking.is_empty() {
            return Ok(Fit::Whole);
        }
        Ok(Fit::Lacks { table: table.clone(), columns: lacking })
    }

    /// `None`: never described. `Some(None)`: described, not mapped.
    pub(super) fn layout(&self, id: u32) -> Option<Option<&Layout>> {
        self.known.get(&id).map(Option::as_ref)
    }
}

/// Lays a table's tuples out by its description.
pub(super) fn lay_out(table: &str, mapping: &TableMapping, relation: &Relation) -> Result<Layout, KeyGone> {
    let place = |column: &String| {
        let at = relation.columns.iter().position(|c| c.name == *column);
        at.ok_or_else(|| KeyGone { table: table.to_owned(), column: column.clone() })
    };
    let key = mapping.key.iter().map(place).collect::<Result<_, _>>()?;
    let read = mapping.columns();
    let cells = relation.columns.iter().map(|column| {
        let laid_out =
            LaidOut { name: column.name.clone(), type_id: column.type_id, is_identity: column.is_identity };
        read.contains(&column.name.as_str()).then_some(laid_out)
    });
    Ok(Layout { table: table.to_owned(), key, cells: cells.collect() })
}

#[cfg(test)]
mod tests {
    use super::super::pgoutput::Column;
    use super::*;

    fn tables() -> Tables {
        let text = r#"{
            "public.customer": {"entity": "customer", "key": ["id"], "changes": {"email": ["email"]}},
            "crm.customer": {"entity": "customer", "key": ["id"], "changes": {"phone": ["phone"]}}
        }"#;
        serde_json::from_str(text).expect("mapping")
    }

    fn relation(schema: &str, columns: &[&str]) -> Relation {
        let column = |name: &&str| Column { name: (*name).into(), type_id: 25, is_identity: *name == "id" };
        Relation {
            id: 1,
            schema: schema.into(),
            name: "customer".into(),
            columns: columns.iter().map(column).collect(),
        }
    }

    #[test]
    fn tables_of_the_same_name_in_two_schemas_are_kept_apart() {
        let mut relations = Relations::new(&tables());
        relations.describe(&relation("crm", &["id", "phone"])).expect("fits");
        let layout = relations.layout(1).flatten().expect("mapped");
        assert_eq!(layout.table, "crm.customer");
        relations.describe(&relation("hr", &["id"])).expect("not mapped");
        assert_eq!(relations.layout(1), Some(None));
    }

    #[test]
    fn a_described_table_is_laid_out_anew_when_its_columns_move() {
        let mut relations = Relations::new(&tables());
        relations.describe(&relation("public", &["id", "email"])).expect("fits");
        relations.describe(&relation("public", &["note", "email", "id"])).expect("fits");
        let layout = relations.layout(1).flatten().expect("mapped");
        assert_eq!(layout.key, [2]);
        assert!(layout.cells[0].is_none(), "unmapped columns are not taken in");
    }

    #[test]
    fn a_lost_column_is_told_and_a_lost_key_is_an_error() {
        let mut relations = Relations::new(&tables());
        let lacks = Fit::Lacks { table: "public.customer".into(), columns: vec!["email".into()] };
        assert_eq!(relations.describe(&relation("public", &["id"])), Ok(lacks));
        assert!(relations.describe(&relation("public", &["email"])).is_err());
    }

    #[test]
    fn names_are_quoted_for_sql() {
        assert_eq!(TableName::of_mapping("a\"b").quoted(), "\"public\".\"a\"\"b\"");
        assert_eq!(quote_text("o'neil"), "'o''neil'");
    }
}
