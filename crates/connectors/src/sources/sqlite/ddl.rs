//! The SQL that capture adds to a database: two tables and three triggers per mapped table, all named
//! `_writ_…`, all removable. Text only; nothing here touches a database (ADR 0016).
//!
//! The triggers run inside the application's own SQLite, so they use nothing younger than version 3.38, and
//! nothing that can fail on a value: a trigger that fails would fail the application's write.

/// The tables of the capture. `seq` never goes back and is never reused (`AUTOINCREMENT`).
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _writ_changes(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, tbl TEXT NOT NULL, op TEXT NOT NULL,
  before TEXT, after TEXT);
CREATE TABLE IF NOT EXISTS _writ_meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/// Uses up one number of the recorded changes (<https://www.sqlite.org/autoinc.html>: the table is an ordinary
/// one, and has a row only once a change was recorded).
pub(super) const SKIP_NUMBER: &str = "BEGIN IMMEDIATE; \
    INSERT INTO sqlite_sequence(name, seq) SELECT '_writ_changes', 0 \
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '_writ_changes'); \
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = '_writ_changes'; COMMIT;";

/// Removes the tables of the capture; the triggers must be gone before.
pub(super) const DROP_TABLES: &str = "DROP TABLE IF EXISTS _writ_changes; DROP TABLE IF EXISTS _writ_meta;";

/// The time of a change: UTC, milliseconds, RFC 3339.
pub(super) const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ','now')";

/// One trigger: its name and the statement that creates it, exactly as `sqlite_schema` will hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) sql: String,
}

/// The triggers that record changes of `table` under the name that the mapping gives it.
pub(super) fn triggers(table: &str, mapped_as: &str, columns: &[&str]) -> Vec<Trigger> {
    let old = image("OLD", columns);
    let new = image("NEW", columns);
    let changed = columns.iter().map(|column| is_changed(column)).collect::<Vec<_>>().join(" OR ");
    [
        ("insert", String::new(), "NULL", new.as_str()),
        ("update", format!(" WHEN {changed}"), old.as_str(), new.as_str()),
        ("delete", String::new(), old.as_str(), "NULL"),
    ]
    .into_iter()
    .map(|(operation, when, before, after)| {
        let name = format!("_writ_{operation}_{table}");
        let sql = format!(
            "CREATE TRIGGER {} AFTER {} ON {}{when} BEGIN INSERT INTO _writ_changes(at,tbl,op,before,after) \
             VALUES ({NOW},{},'{operation}',{before},{after}); END",
            identifier(&name),
            operation.to_uppercase(),
            identifier(table),
            literal(mapped_as),
        );
        Trigger { name, sql }
    })
    .collect()
}

/// Compares bytes: under a column's own collation a change of case alone would be no change.
fn is_changed(column: &str) -> String {
    let column = identifier(column);
    format!("OLD.{column} COLLATE BINARY IS NOT NEW.{column} COLLATE BINARY")
}

/// An SQL expression that gives a JSON object of the columns. Integers are JSON numbers, null is null, all
/// else is a string whose first letter says what it is: `t`ext, `r`eal, `b`lob in hexadecimal digits.
/// Concatenated, because `json_object` takes few arguments and fails on a blob.
fn image(row: &str, columns: &[&str]) -> String {
    let members = columns.iter().map(|column| {
        let name = literal(&format!("{}:", serde_json::Value::from(*column)));
        let value = format!("{row}.{}", identifier(column));
        format!(
            "{name}||CASE typeof({value}) WHEN 'null' THEN 'null' WHEN 'integer' THEN CAST({value} AS TEXT) \
             WHEN 'real' THEN '\"r'||quote({value})||'\"' WHEN 'text' THEN json_quote('t'||{value}) \
             ELSE '\"b'||hex({value})||'\"' END"
        )
    });
    format!("'{{'||{}||'}}'", members.collect::<Vec<_>>().join("||','||"))
}

/// A quoted identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A quoted text.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
