//! A mapped table as the live database has it, and how to page through it.

use rusqlite::Connection;
use writ_model::mapping::TableMapping;

use super::ddl::identifier;

/// Most columns that a mapping may read from one table; the triggers' expressions grow with it and SQLite
/// bounds their depth at 1,000.
pub(super) const COLUMNS_MAX: usize = 200;

/// Words that name the rowid unless a column takes them.
const ROWID_NAMES: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// One mapped table that exists and has the mapped columns.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// As the mapping names it; what changes carry.
    pub(super) mapped_as: String,
    /// Its name in the database.
    pub(super) name: String,
    /// The mapped columns.
    pub(super) columns: Vec<String>,
    /// The columns of the record's key.
    pub(super) key: Vec<String>,
    /// The expressions that order its rows uniquely: the rowid, or the primary key where there is none.
    pub(super) order: Vec<String>,
    /// The key columns are covered by a unique index.
    pub(super) is_key_unique: bool,
    /// Another unique index than the key's exists.
    pub(super) has_other_unique: bool,
}

/// The table's name in the database: a mapping may say `main.customers`.
fn name_in_database(mapped_as: &str) -> &str {
    mapped_as.strip_prefix("main.").unwrap_or(mapped_as)
}

impl Table {
    /// Holds one mapped table against the live schema. The inner error says what does not fit.
    pub(super) fn find(
        connection: &Connection,
        mapped_as: &str,
        mapping: &TableMapping,
    ) -> rusqlite::Result<Result<Self, String>> {
        let name = name_in_database(mapped_as);
        let Some(has_rowid) = has_rowid(connection, name)? else {
            return Ok(Err(format!(
                "there is no table {mapped_as} (views and virtual tables cannot be captured)"
            )));
        };
        let live = live_columns(connection, name)?;
        let columns: Vec<String> = mapping.columns().into_iter().map(str::to_owned).collect();
        let is_missing = |column: &&String| !live.iter().any(|(known, _)| known.eq_ignore_ascii_case(column));
        let missing: Vec<&str> = columns.iter().filter(is_missing).map(String::as_str).collect();
        if !missing.is_empty() {
            return Ok(Err(format!("table {mapped_as} has no column {}", missing.join(", "))));
        }
        if columns.len() > COLUMNS_MAX {
            return Ok(Err(format!("table {mapped_as} maps more than {COLUMNS_MAX} columns")));
        }
        let (is_key_unique, has_other_unique) = uniqueness(connection, name, &live, &mapping.key)?;
        Ok(Ok(Self {
            mapped_as: mapped_as.to_owned(),
            name: name.to_owned(),
            columns,
            key: mapping.key.clone(),
            order: order(has_rowid, &live),
            is_key_unique,
            has_other_unique,
        }))
    }

    /// Reads the next rows: the mapped columns, then the order's values. With `is_first`, from the start;
    /// else parameters 1… are the order's values of the last row, and the last parameter is the limit.
    pub(super) fn page_sql(&self, is_first: bool) -> String {
        let columns = self.columns.iter().map(|column| identifier(column));
        let read = columns.chain(self.order.iter().cloned()).collect::<Vec<_>>().join(",");
        let order = self.order.join(",");
        let marks = |from: usize, count: usize| {
            (from..from + count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(",")
        };
        let width = self.order.len();
        let (after, limit) = if is_first {
            (String::new(), marks(1, 1))
        } else {
            (format!(" WHERE ({order}) > ({})", marks(1, width)), marks(width + 1, 1))
        };
        format!("SELECT {read} FROM {}{after} ORDER BY {order} LIMIT {limit}", identifier(&self.name))
    }
}

/// `None`: no such table.
fn has_rowid(connection: &Connection, name: &str) -> rusqlite::Result<Option<bool>> {
    let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
               AND name = ?1 COLLATE NOCASE";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(|row| Ok(!row.get::<_, bool>(0)?)).transpose()
}

/// Name and place in the primary key (from 1; 0: not in it) of every column.
fn live_columns(connection: &Connection, name: &str) -> rusqlite::Result<Vec<(String, u32)>> {
    let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?1)")?;
    let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn order(has_rowid: bool, live: &[(String, u32)]) -> Vec<String> {
    let is_free = |word: &&str| !live.iter().any(|(column, _)| column.eq_ignore_ascii_case(word));
    if has_rowid && let Some(word) = ROWID_NAMES.iter().find(|word| is_free(word)) {
        return vec![(*word).to_owned()];
    }
    let mut primary: Vec<&(String, u32)> = live.iter().filter(|(_, place)| *place > 0).collect();
    primary.sort_by_key(|(_, place)| *place);
    primary.into_iter().map(|(column, _)| identifier(column)).collect()
}

/// Whether the key is unique, and whether something else is too.
fn uniqueness(
    connection: &Connection,
    name: &str,
    live: &[(String, u32)],
    key: &[String],
) -> rusqlite::Result<(bool, bool)> {
    let folded = |columns: &mut dyn Iterator<Item = &String>| {
        let mut folded: Vec<String> = columns.map(|column| column.to_ascii_lowercase()).collect();
        folded.sort_unstable();
        folded
    };
    let key = folded(&mut key.iter());
    let mut unique = vec![folded(&mut live.iter().filter(|(_, place)| *place > 0).map(|(column, _)| column))];
    let sql = "SELECT i.name, c.name FROM pragma_index_list(?1) i, pragma_index_info(i.name) c \
               WHERE i.\"unique\" AND NOT i.partial AND c.name IS NOT NULL";
    let mut indexes = std::collections::BTreeMap::<String, Vec<String>>::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        indexes.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    unique.extend(indexes.values().map(|columns| folded(&mut columns.iter())));
    unique.retain(|columns| !columns.is_empty());
    Ok((unique.contains(&key), unique.iter().any(|columns| *columns != key)))
}
