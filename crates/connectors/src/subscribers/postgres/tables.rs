//! Names in SQL, and the statements on an operator's table. Attribute values never stand in a statement's text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use writ_model::cloudevent::CloudEvent;

use crate::descriptor::ConfigError;
use crate::settings::invalid;

/// Longest name (`NAMEDATALEN` less one); a longer one would be cut, and mean another.
const NAME_BYTES_MAX: usize = 63;

/// One name, quoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column(String);

impl Column {
    /// Takes a name as the catalog has it; `key` is where it stands in the configuration.
    pub(super) fn new(key: &str, name: &str) -> Result<Self, ConfigError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(invalid(key, "this is not a name in a database", "use 1 to 63 bytes"));
        }
        Ok(Self(format!("\"{}\"", name.replace('"', "\"\""))))
    }

    /// The name as the catalog has it.
    pub(super) fn plain(&self) -> String {
        self.0[1..self.0.len() - 1].replace("\"\"", "\"")
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A table with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    schema: Column,
    name: Column,
}

impl Table {
    /// Reads `schema.table`: without its schema it would depend on the session.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let parts = text.split_once('.');
        let (schema, name) =
            parts.ok_or_else(|| invalid("table", "its schema is not named", "write schema.table"))?;
        Ok(Self { schema: Column::new("table", schema)?, name: Column::new("table", name)? })
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// How events keep an operator's table up to date.
#[derive(Debug, Clone)]
pub(super) struct Upsert {
    pub(super) table: Table,
    pub(super) key: Vec<Column>,
    pub(super) columns: BTreeMap<String, Column>,
}

/// One statement with its only parameter: the row as a JSON object by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) row: String,
}

impl Upsert {
    /// What an event does to the table; `None` when it touches no column of it. An event whose data are not a
    /// record's is left out too.
    pub(super) fn statement(&self, event: &CloudEvent) -> Option<Statement> {
        let data = event.data.as_ref()?;
        let key = data["key"].as_array().filter(|parts| parts.len() == self.key.len())?;
        let mut row = Map::new();
        for (column, part) in self.key.iter().zip(key) {
            row.insert(column.plain(), part.clone());
        }
        match (&data["after"], &data["before"]) {
            (Value::Object(after), _) => {
                let columns = self.touched(after);
                columns.iter().for_each(|(attribute, column)| {
                    row.insert(column.plain(), after[*attribute].clone());
                });
                self.write(&columns, row)
            }
            (_, Value::Object(before)) => self.clear(&self.touched(before), row),
            (_, _) => None,
        }
    }

    fn touched<'a>(&'a self, attributes: &Map<String, Value>) -> Vec<(&'a str, &'a Column)> {
        let known = self.columns.iter().filter(|(attribute, _)| attributes.contains_key(*attribute));
        known.map(|(attribute, column)| (attribute.as_str(), column)).collect()
    }

    fn write(&self, columns: &[(&str, &Column)], row: Map<String, Value>) -> Option<Statement> {
        if columns.is_empty() {
            return None;
        }
        let names = list(columns.iter().map(|(_, column)| column.to_string()));
        let sets = list(columns.iter().map(|(_, column)| format!("{column} = excluded.{column}")));
        let (table, key) = (&self.table, list(self.key.iter().map(ToString::to_string)));
        let sql = format!(
            "INSERT INTO {table} ({key}, {names}) \
             SELECT {key}, {names} FROM pg_catalog.jsonb_populate_record(NULL::{table}, $1::text::jsonb) \
             ON CONFLICT ({key}) DO UPDATE SET {sets}"
        );
        Some(Statement { sql, row: Value::Object(row).to_string() })
    }

    /// The record is gone at the source: what it said is cleared, the row stays.
    fn clear(&self, columns: &[(&str, &Column)], row: Map<String, Value>) -> Option<Statement> {
        if columns.is_empty() {
            return None;
        }
        let sets = list(columns.iter().map(|(_, column)| format!("{column} = NULL")));
        let same = self.key.iter().map(|column| format!("t.{column} = r.{column}"));
        let (table, same) = (&self.table, same.collect::<Vec<_>>().join(" AND "));
        let sql = format!(
            "UPDATE {table} AS t SET {sets} \
             FROM pg_catalog.jsonb_populate_record(NULL::{table}, $1::text::jsonb) AS r WHERE {same}"
        );
        Some(Statement { sql, row: Value::Object(row).to_string() })
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn upsert() -> Upsert {
        let column = |name: &str| Column::new("key", name).expect("a name");
        Upsert {
            table: Table::parse("crm.customers").expect("a table"),
            key: vec![column("id")],
            columns: [("email".to_owned(), column("e\"mail"))].into(),
        }
    }

    fn event(data: Value) -> CloudEvent {
        CloudEvent {
            id: "1".into(),
            source: "/s".into(),
            event_type: "t".into(),
            subject: None,
            time: None,
            data_content_type: None,
            data_schema: None,
            extensions: BTreeMap::new(),
            data: Some(data),
            is_base64: false,
        }
    }

    #[test]
    fn names_are_quoted_and_values_are_parameters() {
        let data = json!({"key": ["7"], "before": null, "after": {"email": "'; DROP TABLE x; --"}});
        let statement = upsert().statement(&event(data)).expect("a statement");
        assert!(!statement.sql.contains("DROP"), "{}", statement.sql);
        assert!(statement.sql.starts_with("INSERT INTO \"crm\".\"customers\" (\"id\", \"e\"\"mail\")"));
        let row: Value = serde_json::from_str(&statement.row).expect("JSON");
        assert_eq!(row, json!({"id": "7", "e\"mail": "'; DROP TABLE x; --"}));
    }

    #[test]
    fn an_event_of_other_attributes_touches_nothing() {
        for data in [
            json!({"key": ["7"], "before": null, "after": {"phone": "1"}}),
            json!({"key": ["7", "8"], "before": null, "after": {"email": "a"}}),
            json!({"key": ["7"], "before": null, "after": null}),
            json!("text"),
        ] {
            assert_eq!(upsert().statement(&event(data)), None);
        }
    }

    #[test]
    fn a_record_that_is_gone_is_cleared() {
        let data = json!({"key": ["7"], "before": {"email": "a"}, "after": null});
        let statement = upsert().statement(&event(data)).expect("a statement");
        assert!(statement.sql.contains("SET \"e\"\"mail\" = NULL"), "{}", statement.sql);
    }
}
