//! One open database: what to read next. Blocking, bounded per call, and ignorant of channels, so that
//! dropping the caller between two calls leaves nothing behind but a rolled-back read.
//!
//! ```text
//!            rows pending?                     view's outbox read       last table read
//! Streaming --------------> CatchingUp (view) -----------------> Copying ---------------> Streaming
//! ```
//! A copy happens inside one read transaction. Changes recorded before the view are emitted first, then the
//! rows at (view, 1…), then changes recorded after it: positions never go back, and nothing falls between.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use writ_model::change::{Change, RowChange};
use writ_model::code;
use writ_model::control::SourceProgress;
use writ_model::id::{Incarnation, Position, RecordKey, SourceName};
use writ_model::lineage::Claim;
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;
use writ_model::value::Image;

use super::install::{self, Installed};
use super::table::Table;
use super::{ddl, fault, value};
use crate::source::SourceError;

/// Most changes in one emitted batch; with the channel's bound it bounds the source's memory.
const BATCH_ROWS: u64 = 256;

/// Most recorded changes that one transaction deletes: it holds the database's only write lock.
const DELETE_ROWS: u64 = 2_000;

/// How a session is opened.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) source: SourceName,
    pub(super) path: PathBuf,
    pub(super) tables: Tables,
    pub(super) busy_timeout: Duration,
    pub(super) is_wal: bool,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Next {
    /// Changes, and the progress that covers them.
    Batch(Batch),
    /// Nothing new.
    Idle,
}

/// A batch of changes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) progress: SourceProgress,
    /// While copying: the table, the rows read of it, and the rows it has.
    pub(super) snapshot: Option<(String, u64, u64)>,
}

#[derive(Debug)]
enum Phase {
    Streaming,
    CatchingUp,
    Copying(Copy),
}

/// The state of a copy.
#[derive(Debug)]
struct Copy {
    /// The last number that the view holds: a recorded change's, or the copy's own.
    view: u64,
    taken_at: Timestamp,
    /// Tables to read, the present one last.
    left: Vec<Table>,
    /// Order values of the last row read of the present table.
    last: Option<Vec<Cell>>,
    rows: u64,
    total: u64,
    /// Rows read of all tables.
    ordinal: u64,
}

/// One open database.
#[derive(Debug)]
pub(super) struct Session {
    plan: Plan,
    connection: Connection,
    incarnation: Incarnation,
    tables: Vec<Table>,
    pending: Vec<String>,
    phase: Phase,
    /// The last recorded change that was read.
    cursor: u64,
    /// `PRAGMA data_version` when there was nothing more to read.
    drained_at: Option<i64>,
    schema_version: i64,
    /// Copied tables, and the position that must be durable before their pending mark goes.
    copied: Option<(Position, Vec<String>)>,
    deleted_through: u64,
}

impl Session {
    /// Opens the database, installs the capture and finds the place to go on from.
    pub(super) fn open(plan: Plan, from: Option<&SourceProgress>) -> Result<Self, SourceError> {
        let mut connection = install::open(&plan.path, plan.busy_timeout)?;
        if plan.is_wal {
            connection
                .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
                .map_err(|failure| fault::sqlite(&plan.path, "switch to write-ahead logging", &failure))?;
        }
        let Installed { incarnation, tables, pending } =
            install::install(&mut connection, &plan.path, &plan.tables)?;
        let mut session = Self {
            plan,
            connection,
            incarnation: Incarnation(incarnation),
            tables,
            pending,
            phase: Phase::Streaming,
            cursor: 0,
            drained_at: None,
            schema_version: 0,
            copied: None,
            deleted_through: 0,
        };
        session.schema_version = session.pragma("schema_version")?;
        session.cursor = session.place(from)?;
        Ok(session)
    }

    fn place(&mut self, from: Option<&SourceProgress>) -> Result<u64, SourceError> {
        let newest = self.newest()?;
        let Some(from) = from else {
            self.mark_all_pending()?;
            return Ok(newest);
        };
        let tried = format!("resume source {} at {}", self.plan.source, from.position);
        if from.incarnation != self.incarnation {
            let cause =
                "the database was not captured by this installation, or the capture was removed since";
            let remedy = "restore the database that was captured, or configure it under a new source name";
            return Err(fault::error(code::SOURCE_IDENTITY, tried, cause, remedy));
        }
        if from.position.commit > newest {
            let cause = "the database is older than what was read from it: it was restored from a backup";
            let remedy =
                "restore a newer copy, or remove the capture and configure it under a new source name";
            return Err(fault::error(code::SOURCE_POSITION, tried, cause, remedy));
        }
        Ok(from.position.commit)
    }

    fn mark_all_pending(&mut self) -> Result<(), SourceError> {
        self.pending = self.tables.iter().map(|table| table.mapped_as.clone()).collect();
        let marked = self.connection.unchecked_transaction().and_then(|change| {
            self.pending.iter().try_for_each(|name| install::mark_pending(&change, name))?;
            change.commit()
        });
        marked.map_err(|failure| fault::sqlite(&self.plan.path, "note the snapshot", &failure))
    }

    /// Which life of the position space this is.
    pub(super) fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// Reads at most one batch.
    pub(super) fn next(&mut self) -> Result<Next, SourceError> {
        match &self.phase {
            Phase::Streaming => self.stream(),
            Phase::CatchingUp => self.catch_up(),
            Phase::Copying(_) => self.copy(),
        }
    }

    fn stream(&mut self) -> Result<Next, SourceError> {
        // Read before the outbox: a commit between the two is then seen by the next call.
        let version = self.pragma("data_version")?;
        let is_drained = self.drained_at == Some(version);
        if !is_drained {
            self.follow_schema()?;
        }
        if !self.pending.is_empty() && self.copied.is_none() {
            self.number_copy()?;
            self.execute("BEGIN")?;
            self.phase = Phase::CatchingUp;
            return self.catch_up();
        }
        if is_drained {
            return Ok(Next::Idle);
        }
        let Some(batch) = self.recorded()? else {
            self.drained_at = Some(version);
            return Ok(Next::Idle);
        };
        Ok(Next::Batch(batch))
    }

    /// A changed schema may have lost its triggers or its columns (tools rebuild a table to alter it).
    fn follow_schema(&mut self) -> Result<(), SourceError> {
        let version = self.pragma("schema_version")?;
        if version == self.schema_version {
            return Ok(());
        }
        let installed = install::install(&mut self.connection, &self.plan.path, &self.plan.tables)?;
        if installed.incarnation != self.incarnation.0 {
            let tried = format!("read source {}", self.plan.source);
            let cause = "the capture was removed and installed again";
            let remedy = "configure the database under a new source name";
            return Err(fault::error(code::SOURCE_IDENTITY, tried, cause, remedy));
        }
        self.tables = installed.tables;
        self.pending = installed.pending;
        self.schema_version = self.pragma("schema_version")?;
        Ok(())
    }

    /// Takes a number of its own for a copy: its rows must not stand where those of an earlier copy stood,
    /// whose positions are covered already.
    fn number_copy(&self) -> Result<(), SourceError> {
        let number = self.connection.execute_batch(ddl::SKIP_NUMBER);
        number.map_err(|failure| fault::sqlite(&self.plan.path, "number the snapshot", &failure))
    }

    fn catch_up(&mut self) -> Result<Next, SourceError> {
        if let Some(batch) = self.recorded()? {
            return Ok(Next::Batch(batch));
        }
        let is_pending = |table: &&Table| self.pending.contains(&table.mapped_as);
        let mut left: Vec<Table> = self.tables.iter().filter(is_pending).cloned().collect();
        left.reverse();
        let view = self.newest()?;
        let taken_at = self.now()?;
        self.cursor = view;
        self.phase = Phase::Copying(Copy { view, taken_at, left, last: None, rows: 0, total: 0, ordinal: 0 });
        self.copy()
    }

    fn copy(&mut self) -> Result<Next, SourceError> {
        let Phase::Copying(mut copy) = std::mem::replace(&mut self.phase, Phase::Streaming) else {
            unreachable!("copy is called while copying");
        };
        let read = self.page(&mut copy);
        let changes = read.map_err(|failure| fault::sqlite(&self.plan.path, "read rows", &failure))?;
        let snapshot = copy.left.last().map(|table| (table.mapped_as.clone(), copy.rows, copy.total));
        if (changes.len() as u64) < BATCH_ROWS {
            copy.left.pop();
            (copy.last, copy.rows) = (None, 0);
        }
        let position = Position { commit: copy.view, ordinal: copy.ordinal };
        let is_last = copy.left.is_empty();
        let progress =
            self.progress(position, (!is_last).then(|| format!("{} tables left", copy.left.len())));
        if is_last {
            self.execute("COMMIT")?;
            self.copied = Some((position, std::mem::take(&mut self.pending)));
        } else {
            self.phase = Phase::Copying(copy);
        }
        Ok(Next::Batch(Batch { changes, progress, snapshot }))
    }

    fn page(&self, copy: &mut Copy) -> rusqlite::Result<Vec<Change>> {
        let Some(table) = copy.left.last() else { return Ok(Vec::new()) };
        if copy.last.is_none() {
            let count = format!("SELECT count(*) FROM {}", ddl::identifier(&table.name));
            copy.total = self.connection.query_row(&count, [], |row| whole(row, 0))?;
        }
        let mut statement = self.connection.prepare_cached(&table.page_sql(copy.last.is_none()))?;
        let limit = Cell::Integer(BATCH_ROWS as i64);
        let parameters = copy.last.iter().flatten().chain(std::iter::once(&limit));
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut changes = Vec::new();
        let mut last = None;
        while let Some(row) = rows.next()? {
            let mut image = Image::default();
            for (index, column) in table.columns.iter().enumerate() {
                image.set(column, value::from_table(row.get_ref(index)?));
            }
            let width = table.columns.len();
            let order = width..width + table.order.len();
            last = Some(order.map(|index| row.get(index)).collect::<rusqlite::Result<Vec<Cell>>>()?);
            copy.ordinal += 1;
            let position = Position { commit: copy.view, ordinal: copy.ordinal };
            changes.push(self.change(table, position, copy.taken_at, RowChange::Upsert, None, Some(image)));
        }
        copy.rows += changes.len() as u64;
        if last.is_some() {
            copy.last = last;
        }
        Ok(changes)
    }

    /// The next recorded changes after the cursor, which moves past them. Changes of a table that the
    /// mapping no longer names move it too, and are not emitted.
    fn recorded(&mut self) -> Result<Option<Batch>, SourceError> {
        let rows = self
            .recorded_rows()
            .map_err(|failure| fault::sqlite(&self.plan.path, "read recorded changes", &failure))?;
        let Some(last) = rows.last() else { return Ok(None) };
        let position = Position { commit: last.seq, ordinal: 0 };
        let decoded = rows.into_iter().filter_map(|row| self.decode(row).transpose());
        let changes = decoded.collect::<Result<Vec<_>, _>>()?;
        self.cursor = position.commit;
        let progress = self.progress(position, None);
        Ok(Some(Batch { changes, progress, snapshot: None }))
    }

    fn progress(&self, position: Position, snapshot: Option<String>) -> SourceProgress {
        let (source, incarnation) = (self.plan.source.clone(), self.incarnation.clone());
        SourceProgress { source, incarnation, position, snapshot }
    }

    fn recorded_rows(&self) -> rusqlite::Result<Vec<Recorded>> {
        let sql =
            "SELECT seq, at, tbl, op, before, after FROM _writ_changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map((self.cursor as i64, BATCH_ROWS as i64), |row| {
            Ok(Recorded {
                seq: whole(row, 0)?,
                at: row.get(1)?,
                table: row.get(2)?,
                operation: row.get(3)?,
                before: row.get(4)?,
                after: row.get(5)?,
            })
        })?;
        rows.collect()
    }

    fn decode(&self, row: Recorded) -> Result<Option<Change>, SourceError> {
        let Some(table) = self.tables.iter().find(|table| table.mapped_as == row.table) else {
            return Ok(None);
        };
        let unreadable = || {
            let tried =
                format!("read recorded change {} of {} in {}", row.seq, row.table, self.plan.path.display());
            let cause = "it is not what the capture triggers write";
            let remedy = "look at this row of _writ_changes; correct or delete it, then start again";
            fault::error(code::SOURCE_PROTOCOL, tried, cause, remedy)
        };
        let image = |json: &Option<String>| {
            json.as_deref().map(value::from_trigger).transpose().map_err(|_| unreadable())
        };
        let kind = match row.operation.as_str() {
            "insert" => RowChange::Insert,
            "update" => RowChange::Update,
            "delete" => RowChange::Delete,
            _ => return Err(unreadable()),
        };
        let at: Timestamp = row.at.parse().map_err(|_| unreadable())?;
        let position = Position { commit: row.seq, ordinal: 0 };
        let (before, after) = (image(&row.before)?, image(&row.after)?);
        if before.is_none() && after.is_none() {
            return Err(unreadable());
        }
        Ok(Some(self.change(table, position, at, kind, before, after)))
    }

    fn change(
        &self,
        table: &Table,
        position: Position,
        committed_at: Timestamp,
        row: RowChange,
        before: Option<Image>,
        after: Option<Image>,
    ) -> Change {
        let key_of = |image: &Image| {
            let part = |column: &String| image.get(column).map(|v| v.to_key_text()).unwrap_or_default();
            RecordKey(table.key.iter().map(part).collect())
        };
        let old_key = before.as_ref().map(key_of);
        let key =
            after.as_ref().map(key_of).or_else(|| old_key.clone()).unwrap_or_else(|| RecordKey(Vec::new()));
        let old_key = old_key.filter(|old| *old != key);
        Change {
            source: self.plan.source.clone(),
            incarnation: self.incarnation.clone(),
            position,
            committed_at,
            transaction: None,
            producer_id: None,
            table: table.mapped_as.clone(),
            row,
            declared: None,
            key,
            old_key,
            before,
            after,
            claim: Claim::default(),
        }
    }

    /// Deletes recorded changes that are durable in Writ. A locked database is left for the next time.
    pub(super) fn acknowledge(&mut self, through: Position) -> Result<(), SourceError> {
        if matches!(self.phase, Phase::CatchingUp | Phase::Copying(_)) {
            // A delete would have to turn the read transaction into a writing one.
            return Ok(());
        }
        match self.delete_through(through) {
            Ok(()) => Ok(()),
            Err(failure)
                if matches!(
                    failure.sqlite_error_code(),
                    Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
                ) =>
            {
                Ok(())
            }
            Err(failure) => Err(fault::sqlite(&self.plan.path, "delete delivered changes", &failure)),
        }
    }

    fn delete_through(&mut self, through: Position) -> rusqlite::Result<()> {
        if self.copied.as_ref().is_some_and(|(position, _)| *position <= through) {
            let (_, tables) = self.copied.take().expect("checked above");
            let change = self.connection.unchecked_transaction()?;
            tables.iter().try_for_each(|table| install::clear_pending(&change, table))?;
            change.commit()?;
        }
        while self.deleted_through < through.commit {
            let sql = "DELETE FROM _writ_changes WHERE seq IN \
                       (SELECT seq FROM _writ_changes WHERE seq <= ?1 ORDER BY seq LIMIT ?2)";
            let deleted =
                self.connection.prepare_cached(sql)?.execute((through.commit as i64, DELETE_ROWS as i64))?;
            if (deleted as u64) < DELETE_ROWS {
                self.deleted_through = through.commit;
            }
        }
        Ok(())
    }

    /// How many recorded changes are not yet durable in Writ, at most.
    pub(super) fn retained(&self) -> Result<u64, SourceError> {
        Ok(self.newest()?.saturating_sub(self.deleted_through))
    }

    fn newest(&self) -> Result<u64, SourceError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = '_writ_changes'";
        let newest = self.connection.query_row(sql, [], |row| whole(row, 0));
        newest.map_err(|failure| fault::sqlite(&self.plan.path, "read the newest change's number", &failure))
    }

    fn now(&self) -> Result<Timestamp, SourceError> {
        let text: rusqlite::Result<String> =
            self.connection.query_row(&format!("SELECT {}", ddl::NOW), [], |row| row.get(0));
        let text = text.map_err(|failure| fault::sqlite(&self.plan.path, "read the time", &failure))?;
        Ok(text.parse().unwrap_or_default())
    }

    fn pragma(&self, name: &str) -> Result<i64, SourceError> {
        let value = self.connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(|failure| fault::sqlite(&self.plan.path, "look for news", &failure))
    }

    fn execute(&self, sql: &str) -> Result<(), SourceError> {
        self.connection
            .execute_batch(sql)
            .map_err(|failure| fault::sqlite(&self.plan.path, "open or end a reading view", &failure))
    }
}

/// A row of `_writ_changes`.
struct Recorded {
    seq: u64,
    at: String,
    table: String,
    operation: String,
    before: Option<String>,
    after: Option<String>,
}

/// A number that is never negative: SQLite has no unsigned integers.
fn whole(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or_default())
}
