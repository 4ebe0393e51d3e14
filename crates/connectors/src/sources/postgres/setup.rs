//! Is the database set up for capture, and does the mapping fit it? Asked before every run, for tables are
//! mapped and publications altered while Writ is down. Creates the publication when asked to; changes nothing
//! else.

use writ_model::code::{self, Code};
use writ_model::mapping::Tables;

use super::catalog::{self, Table};
use super::config::Settings;
use super::identity::cell;
use super::relations::{quote_name, quote_text};
use super::session::{Answer, Session, protocol};
use crate::source::SourceError;

/// `pgoutput` sends logical messages, which the heartbeat needs, since PostgreSQL 14.
const SERVER_VERSION_MIN: u32 = 140_000;

/// What a missing publication means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing yet: only look.
    Look,
    /// It is created where the configuration allows.
    Create,
    /// Somebody dropped it: a slot's stream does not see one that is created now.
    Require,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) tables: Vec<Table>,
    /// For the operator; none of them stops capture.
    pub(super) warnings: Vec<String>,
}

/// Looks at everything that capture needs.
pub(super) async fn inspect(
    session: &mut Session,
    settings: &Settings,
    mapping: &Tables,
    act: Act,
) -> Result<Findings, SourceError> {
    let mut warnings = server_settings(session, settings).await?;
    let tables = catalog::tables(session, mapping).await?;
    for table in &tables {
        warnings.extend(identity_fits(table, &mapping[&table.mapped_as].key)?);
    }
    warnings.extend(publication(session, settings, mapping, &tables, act).await?);
    Ok(Findings { tables, warnings })
}

async fn server_settings(session: &mut Session, settings: &Settings) -> Result<Vec<String>, SourceError> {
    let sql = "SELECT current_setting('server_version_num'), current_setting('wal_level'), pg_is_in_recovery(), \
               getdatabaseencoding(), current_setting('max_slot_wal_keep_size'), \
               coalesce(current_setting('idle_replication_slot_timeout', true), '0'), \
               current_setting('wal_sender_timeout')";
    let rows = session.rows(sql).await?;
    let tried = format!("read the settings of {}", settings.target.shown());
    let row = rows.first().ok_or_else(|| protocol(tried.clone(), "no answer row".to_owned()))?;
    let value = |at| cell(row, at).unwrap_or_default();
    let refuse = |cause: String, remedy: &str| {
        let (tried, remedy) = (tried.clone(), remedy.to_owned());
        Err(SourceError { code: code::SOURCE_SETTINGS, tried, cause, remedy, is_passing: false })
    };
    if value(0).parse().unwrap_or(0) < SERVER_VERSION_MIN {
        return refuse(format!("server version {} is too old", value(0)), "use PostgreSQL 14 or newer");
    }
    if value(2) == "t" {
        return refuse("the server is a standby".to_owned(), "connect to the primary");
    }
    if value(1) != "logical" {
        let remedy = "run ALTER SYSTEM SET wal_level = 'logical' and restart the server";
        return refuse(format!("wal_level is {}", value(1)), remedy);
    }
    Ok(setting_warnings(row))
}

fn setting_warnings(row: &Answer) -> Vec<String> {
    let value = |at| cell(row, at).unwrap_or_default();
    let mut warnings = Vec::new();
    if value(3) == "SQL_ASCII" {
        warnings
            .push("the database's encoding is SQL_ASCII: a value that is not UTF-8 stops capture".to_owned());
    }
    if value(4) == "-1" {
        warnings.push(
            "max_slot_wal_keep_size is -1: while Writ is down the server keeps its log without limit; watch the disk"
                .to_owned(),
        );
    } else {
        warnings.push(format!(
            "max_slot_wal_keep_size is {}: when Writ is down for longer than that much log, the slot is lost",
            value(4)
        ));
    }
    if value(5) != "0" {
        warnings.push(format!(
            "idle_replication_slot_timeout is {}: the slot is lost when Writ is down longer",
            value(5)
        ));
    }
    warnings
}

/// Whether an updated or deleted row will name its record.
fn identity_fits(table: &Table, key: &[String]) -> Result<Option<String>, SourceError> {
    let is_logged =
        |column: &String| table.columns.iter().any(|known| known.name == *column && known.is_identity);
    let has_identity = table.columns.iter().any(|column| column.is_identity);
    let cause = if table.replica_identity == 'n' || !has_identity {
        "it has no replica identity: once it is published, the application's own UPDATE and DELETE would fail"
    } else if !key.iter().all(is_logged) {
        "its replica identity lacks key columns of the mapping: a deleted row could not be told by its key"
    } else {
        let full = "REPLICA IDENTITY FULL logs every old row in whole; the server's log grows accordingly";
        return Ok((table.replica_identity == 'f').then(|| format!("table {}: {full}", table.mapped_as)));
    };
    Err(SourceError {
        code: code::REPLICA_IDENTITY,
        tried: format!("look at table {}", table.mapped_as),
        cause: cause.to_owned(),
        remedy: format!(
            "add a primary key that holds the mapped key, or run ALTER TABLE {} REPLICA IDENTITY FULL",
            table.name.quoted()
        ),
        is_passing: false,
    })
}

async fn publication(
    session: &mut Session,
    settings: &Settings,
    mapping: &Tables,
    tables: &[Table],
    act: Act,
) -> Result<Vec<String>, SourceError> {
    let name = &settings.publication;
    let sql = format!(
        "SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = {}",
        quote_text(name)
    );
    let Some(operations) = session.rows(&sql).await?.into_iter().next() else {
        return missing(session, settings, tables, act).await;
    };
    if (0..3).any(|at| cell(&operations, at) != Some("t")) {
        let remedy =
            format!("run ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')");
        return Err(unfit(name, "it leaves out inserts, updates or deletes".to_owned(), remedy));
    }
    let mut warnings = covers(session, name, mapping, tables).await?;
    if cell(&operations, 3) != Some("t") {
        warnings.push(format!("publication {name} leaves out truncates: an emptied table would not be told"));
    }
    Ok(warnings)
}

async fn missing(
    session: &mut Session,
    settings: &Settings,
    tables: &[Table],
    act: Act,
) -> Result<Vec<String>, SourceError> {
    let name = &settings.publication;
    let listed: Vec<String> = tables.iter().map(|table| table.name.quoted()).collect();
    let sql = format!(
        "CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
        quote_name(name),
        listed.join(", ")
    );
    if !settings.create_publication {
        return Err(unfit(name, "there is no publication of this name".to_owned(), format!("run {sql}")));
    }
    match act {
        Act::Look => {
            return Ok(vec![format!(
                "publication {name} does not exist yet; it is created at the first start"
            )]);
        }
        Act::Require => {
            let remedy =
                format!("run {sql}; then give the source a new `slot` name, which reads all rows anew");
            return Err(unfit(name, "the publication that was streamed from is gone".to_owned(), remedy));
        }
        Act::Create => {}
    }
    session
        .rows(&sql)
        .await
        .map_err(|error| unfit(name, error.cause, format!("let an owner of the tables run {sql}")))?;
    tracing::info!(publication = %name, tables = tables.len(), "publication created");
    Ok(Vec::new())
}

async fn covers(
    session: &mut Session,
    name: &str,
    mapping: &Tables,
    tables: &[Table],
) -> Result<Vec<String>, SourceError> {
    // Column lists and row filters are known to the view since PostgreSQL 15.
    let sql = format!(
        "SELECT t.schemaname, t.tablename, to_jsonb(t) ->> 'attnames', to_jsonb(t) ->> 'rowfilter' \
         FROM pg_publication_tables t WHERE t.pubname = {}",
        quote_text(name)
    );
    let rows = session.rows(&sql).await?;
    let mut warnings = Vec::new();
    for table in tables {
        let is_it = |row: &&Answer| {
            cell(row, 0) == Some(&table.name.schema) && cell(row, 1) == Some(&table.name.name)
        };
        let Some(row) = rows.iter().find(is_it) else { return Err(uncovered(name, table)) };
        let listed: Option<Vec<String>> = cell(row, 2).and_then(|list| serde_json::from_str(list).ok());
        let lacks = |column: &&str| listed.as_ref().is_some_and(|listed| !listed.iter().any(|l| l == column));
        if let Some(column) = mapping[&table.mapped_as].columns().into_iter().find(lacks) {
            let cause = format!("its column list for table {} leaves out {column}", table.mapped_as);
            return Err(unfit(name, cause, "add the column to the list".to_owned()));
        }
        if cell(row, 3).is_some() {
            warnings.push(format!(
                "publication {name} filters the rows of {}: a row that leaves the filter is told as deleted",
                table.mapped_as
            ));
        }
    }
    Ok(warnings)
}

fn uncovered(name: &str, table: &Table) -> SourceError {
    let remedy = if table.is_partitioned {
        format!(
            "run ALTER PUBLICATION {name} SET (publish_via_partition_root = true) and, where the table is not in it, \
             ALTER PUBLICATION {name} ADD TABLE {}",
            table.name.quoted()
        )
    } else {
        format!("run ALTER PUBLICATION {name} ADD TABLE {}", table.name.quoted())
    };
    unfit(name, format!("it does not cover table {}", table.mapped_as), remedy)
}

fn unfit(name: &str, cause: String, remedy: String) -> SourceError {
    const CODE: Code = code::PUBLICATION_UNFIT;
    SourceError { code: CODE, tried: format!("look at publication {name}"), cause, remedy, is_passing: false }
}
