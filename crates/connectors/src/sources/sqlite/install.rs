//! Puts the capture into a database, keeps it in step with the mapping, and takes it out again.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use writ_model::code;
use writ_model::mapping::Tables;

use super::ddl::{self, Trigger, identifier};
use super::fault;
use super::table::Table;
use crate::source::SourceError;

/// `_writ_meta`: the life of the position space.
const INCARNATION: &str = "incarnation";
/// `_writ_meta`: tables whose rows must be read once, one row each: `pending:<mapped name>`.
const PENDING: &str = "pending:";

/// What is installed.
#[derive(Debug)]
pub(super) struct Installed {
    /// Random, made at the first installation; goes with the database file.
    pub(super) incarnation: String,
    /// The mapped tables.
    pub(super) tables: Vec<Table>,
    /// Mapped names of tables whose existing rows were not read under the triggers now in place.
    pub(super) pending: Vec<String>,
}

/// Opens a database that exists.
pub(super) fn open(path: &Path, busy_timeout: std::time::Duration) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(busy_timeout)?;
        // Opening is lazy: this reads the header.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    });
    opened.map_err(|failure| fault::sqlite(path, "open the database", &failure))
}

/// Holds the mapping against the live schema.
pub(super) fn fit(connection: &Connection, path: &Path, mapping: &Tables) -> Result<Vec<Table>, SourceError> {
    let mut tables = Vec::new();
    let mut unfit = Vec::new();
    for (mapped_as, table) in mapping {
        match Table::find(connection, mapped_as, table)
            .map_err(|failure| fault::sqlite(path, "read the schema", &failure))?
        {
            Ok(table) => tables.push(table),
            Err(reason) => unfit.push(reason),
        }
    }
    if unfit.is_empty() {
        return Ok(tables);
    }
    let tried = format!("match the mapping with {}", path.display());
    let remedy = "correct `tables` of this source, or the database's schema";
    Err(fault::error(code::MAPPING_UNFIT, tried, &unfit.join("; "), remedy))
}

/// Creates what is missing, re-creates what differs, drops what the mapping no longer names; one
/// transaction, and none at all when nothing differs. A table whose triggers were made anew is pending: rows
/// may have changed while nothing looked.
pub(super) fn install(
    connection: &mut Connection,
    path: &Path,
    mapping: &Tables,
) -> Result<Installed, SourceError> {
    let tables = fit(connection, path, mapping)?;
    let done = settle(connection, &tables).and_then(|()| read_back(connection, &tables));
    let (incarnation, pending) =
        done.map_err(|failure| fault::sqlite(path, "install the capture triggers", &failure))?;
    Ok(Installed { incarnation, tables, pending })
}

fn settle(connection: &mut Connection, tables: &[Table]) -> rusqlite::Result<()> {
    if is_settled(connection, tables)? {
        return Ok(());
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(ddl::TABLES)?;
    change.execute(
        "INSERT OR IGNORE INTO _writ_meta(name, value) VALUES (?1, lower(hex(randomblob(16))))",
        [INCARNATION],
    )?;
    let live = live_triggers(&change)?;
    drop_stale(&change, tables, &live)?;
    for table in tables {
        renew(&change, table, &live)?;
    }
    change.commit()
}

fn wanted(table: &Table) -> Vec<Trigger> {
    let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
    ddl::triggers(&table.name, &table.mapped_as, &columns)
}

fn is_settled(connection: &Connection, tables: &[Table]) -> rusqlite::Result<bool> {
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' \
                 AND name IN ('_writ_changes', '_writ_meta')";
    if connection.query_row(count, [], |row| row.get::<_, i64>(0))? != 2 {
        return Ok(false);
    }
    let wanted: BTreeMap<String, String> =
        tables.iter().flat_map(wanted).map(|trigger| (trigger.name, trigger.sql)).collect();
    Ok(live_triggers(connection)? == wanted && incarnation(connection)?.is_some())
}

fn live_triggers(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB '_writ_*'";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn drop_stale(
    change: &Transaction<'_>,
    tables: &[Table],
    live: &BTreeMap<String, String>,
) -> rusqlite::Result<()> {
    let wanted: Vec<Trigger> = tables.iter().flat_map(wanted).collect();
    for name in live.keys().filter(|name| !wanted.iter().any(|trigger| trigger.name == **name)) {
        change.execute_batch(&format!("DROP TRIGGER {}", identifier(name)))?;
    }
    Ok(())
}

fn renew(change: &Transaction<'_>, table: &Table, live: &BTreeMap<String, String>) -> rusqlite::Result<()> {
    let wanted = wanted(table);
    if wanted.iter().all(|trigger| live.get(&trigger.name) == Some(&trigger.sql)) {
        return Ok(());
    }
    for trigger in wanted {
        change.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", identifier(&trigger.name)))?;
        change.execute_batch(&trigger.sql)?;
    }
    mark_pending(change, &table.mapped_as)
}

/// Notes that the rows of a table must be read.
pub(super) fn mark_pending(connection: &Connection, mapped_as: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO _writ_meta(name, value) VALUES (?1, '')";
    connection.execute(sql, [format!("{PENDING}{mapped_as}")]).map(drop)
}

/// Notes that the rows of a table were read and are durable in Writ.
pub(super) fn clear_pending(connection: &Connection, mapped_as: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM _writ_meta WHERE name = ?1", [format!("{PENDING}{mapped_as}")]).map(drop)
}

fn incarnation(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM _writ_meta WHERE name = ?1";
    connection.query_row(sql, [INCARNATION], |row| row.get(0)).optional()
}

fn read_back(connection: &Connection, tables: &[Table]) -> rusqlite::Result<(String, Vec<String>)> {
    let mut statement =
        connection.prepare("SELECT name FROM _writ_meta WHERE name GLOB 'pending:*' ORDER BY name")?;
    let noted: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let noted = noted.iter().filter_map(|name| name.strip_prefix(PENDING));
    let is_mapped = |name: &&str| tables.iter().any(|table| table.mapped_as == **name);
    let pending = noted.filter(is_mapped).map(str::to_owned).collect();
    Ok((incarnation(connection)?.unwrap_or_default(), pending))
}

/// Removes every trace of the capture from the database: triggers, recorded changes, progress. Changes that
/// were not read yet are lost; a later start begins with a snapshot. Durable when it returns.
///
/// # Errors
/// When the database cannot be opened or written; then nothing was removed.
pub fn uninstall(path: &Path) -> Result<(), SourceError> {
    let mut connection = open(path, super::BUSY_TIMEOUT)?;
    let removed = connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|change| {
        for name in live_triggers(&change)?.keys() {
            change.execute_batch(&format!("DROP TRIGGER {}", identifier(name)))?;
        }
        change.execute_batch(ddl::DROP_TABLES)?;
        change.commit()
    });
    removed.map_err(|failure| fault::sqlite(path, "remove the capture triggers", &failure))
}
