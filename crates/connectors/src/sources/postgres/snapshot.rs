//! The first start: a slot, and all rows as they were at the slot's first position, so that nothing is lost
//! or seen twice between the two. The session that made the slot exports the snapshot and stays idle while
//! another one reads in it.
//!
//! A snapshot cannot be resumed: it is gone with its session. A start that did not finish is recorded before
//! the slot is made, so that the next start knows the slot for its own, drops it and begins again.

use writ_model::change::{Change, RowChange};
use writ_model::code;
use writ_model::id::{Incarnation, Position};
use writ_model::mapping::Tables;
use writ_model::time::Timestamp;

use super::catalog::Table;
use super::config::{Settings, Snapshot};
use super::identity::{self, Life, Server, cell, lsn};
use super::outlet::{self, Halt, Outlet};
use super::pgoutput::Cell;
use super::relations::{self, Layout, quote_name, quote_text};
use super::rows;
use super::session::{Answer, SLOT_WAIT, Session, protocol};
use super::transaction::{Place, placed};
use crate::source::{Emit, SourceError};

/// Rows read, held and emitted at a time.
const ROWS_MAX: usize = 500;
/// The progress text of a start that has recorded its slot's name and made nothing yet.
const RESERVED: &str = "reserved";

/// Where the stream goes on after a first start.
pub(super) struct Begun {
    /// The new life.
    pub(super) life: Life,
    /// Every commit record before it is in the snapshot.
    pub(super) from: u64,
}

/// What a first start works with.
pub(super) struct FirstStart<'a> {
    pub(super) settings: &'a Settings,
    pub(super) mapping: &'a Tables,
    pub(super) tables: &'a [Table],
    pub(super) server: &'a Server,
    pub(super) owns_slot: bool,
}

/// A slot just made.
struct Made {
    consistent_point: u64,
    snapshot: Option<String>,
}

impl FirstStart<'_> {
    /// Makes the slot and, where configured, reads all rows.
    pub(super) async fn run(&self, control: &mut Session, outlet: &mut Outlet) -> Result<Begun, Halt> {
        if let Some(adopted) = self.clear_slot(control).await? {
            let life = self.life(adopted);
            return self.hand_over(life, adopted, outlet).await;
        }
        self.reserve(outlet).await?;
        let mut maker = Session::open(self.settings, 0).await?;
        let made = self.make_slot(&mut maker).await?;
        let life = self.life(made.consistent_point);
        tracing::info!(slot = %self.settings.slot, at = %identity::show(made.consistent_point), "slot created");
        if let Some(snapshot) = &made.snapshot {
            self.read_all(snapshot, &life, made.consistent_point, outlet).await?;
        }
        // The snapshot lives exactly as long as the session that made the slot.
        drop(maker);
        self.hand_over(life, made.consistent_point, outlet).await
    }

    fn life(&self, created: u64) -> Life {
        let Server { system, timeline, .. } = self.server;
        Life { system: system.clone(), timeline: *timeline, slot: self.settings.slot.clone(), created }
    }

    /// Drops a slot of our own; gives the position of one that an operator made for a start without snapshot.
    async fn clear_slot(&self, control: &mut Session) -> Result<Option<u64>, SourceError> {
        let name = &self.settings.slot;
        let Some(slot) = identity::free_slot(control, name).await? else { return Ok(None) };
        if self.owns_slot {
            tracing::warn!(slot = %name, "the last first start did not finish; dropping its slot");
            control.rows(&format!("SELECT pg_drop_replication_slot({})", quote_text(name))).await?;
            return Ok(None);
        }
        let is_usable =
            slot.plugin == "pgoutput" && slot.database == self.server.database && slot.wal_status != "lost";
        if self.settings.snapshot == Snapshot::Never && is_usable {
            return Ok(Some(slot.confirmed));
        }
        Err(SourceError {
            code: code::SOURCE_IDENTITY,
            tried: format!("make slot {name}"),
            cause: "a slot of this name exists, and this store has no record of it".to_owned(),
            remedy: format!(
                "if no other consumer uses it, run SELECT pg_drop_replication_slot('{name}'); else choose another `slot`"
            ),
            is_passing: false,
        })
    }

    /// Records that the slot's name is ours from here on.
    async fn reserve(&self, outlet: &mut Outlet) -> Result<(), Halt> {
        let incarnation = self.life(0).incarnation();
        let position = Position::default();
        outlet.send(self.emit(Vec::new(), &incarnation, position, Some(RESERVED.to_owned()))).await?;
        outlet.until_durable((incarnation, position)).await
    }

    async fn make_slot(&self, maker: &mut Session) -> Result<Made, SourceError> {
        let action = match self.settings.snapshot {
            Snapshot::Initial => "EXPORT_SNAPSHOT",
            Snapshot::Never => "NOEXPORT_SNAPSHOT",
        };
        let slot = &self.settings.slot;
        let sql = format!("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput {action}", quote_name(slot));
        let rows = maker.ask(&sql, SLOT_WAIT).await?;
        let read = |row: &Answer| {
            let snapshot = cell(row, 2).map(str::to_owned);
            Some(Made { consistent_point: lsn(cell(row, 1)?)?, snapshot })
        };
        let unreadable = || protocol(format!("make slot {slot}"), "the answer has another form".to_owned());
        rows.first().and_then(read).ok_or_else(unreadable)
    }

    async fn read_all(
        &self,
        snapshot: &str,
        life: &Life,
        consistent_point: u64,
        outlet: &mut Outlet,
    ) -> Result<(), Halt> {
        let mut session = Session::open(self.settings, 0).await?;
        session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
        session.rows(&format!("SET TRANSACTION SNAPSHOT {}", quote_text(snapshot))).await?;
        let mut reading = Reading {
            start: self,
            taken_at: taken_at(&mut session).await?,
            session,
            incarnation: life.incarnation(),
            // No record begins at an odd position, so no streamed change shares it.
            position: Position { commit: consistent_point.saturating_sub(1), ordinal: 0 },
        };
        for table in self.tables {
            reading.table(table, outlet).await?;
        }
        reading.session.rows("COMMIT").await?;
        Ok(())
    }

    /// Ends the first start: the stream's first progress.
    async fn hand_over(&self, life: Life, from: u64, outlet: &mut Outlet) -> Result<Begun, Halt> {
        let position = Position { commit: from, ordinal: 0 };
        outlet.send(self.emit(Vec::new(), &life.incarnation(), position, None)).await?;
        Ok(Begun { life, from })
    }

    fn emit(
        &self,
        changes: Vec<Change>,
        incarnation: &Incarnation,
        position: Position,
        snapshot: Option<String>,
    ) -> Emit {
        outlet::changes(changes, &self.settings.source, incarnation, position, snapshot)
    }
}

async fn taken_at(session: &mut Session) -> Result<Timestamp, SourceError> {
    let rows = session.rows("SELECT (extract(epoch FROM now()) * 1000000)::bigint").await?;
    let micros = rows.first().and_then(|row| cell(row, 0)).and_then(|text| text.parse().ok());
    let unreadable = || protocol("read the clock".to_owned(), "the answer has another form".to_owned());
    micros.map(Timestamp).ok_or_else(unreadable)
}

/// A snapshot being read.
struct Reading<'a> {
    start: &'a FirstStart<'a>,
    session: Session,
    incarnation: Incarnation,
    taken_at: Timestamp,
    /// Of the last row.
    position: Position,
}

impl Reading<'_> {
    async fn table(&mut self, table: &Table, outlet: &mut Outlet) -> Result<(), Halt> {
        let mapping = &self.start.mapping[&table.mapped_as];
        let relation = table.relation(&mapping.columns());
        let layout = relations::lay_out(&table.mapped_as, mapping, &relation)
            .map_err(|error| protocol(format!("read table {}", table.mapped_as), error.to_string()))?;
        let columns: Vec<String> = relation.columns.iter().map(|column| quote_name(&column.name)).collect();
        // Rows of inheriting tables are published as those tables' own.
        let only = if table.is_partitioned { "" } else { "ONLY " };
        let from = table.name.quoted();
        let declare =
            format!("DECLARE writ NO SCROLL CURSOR FOR SELECT {} FROM {only}{from}", columns.join(", "));
        self.session.rows(&declare).await?;
        let mut rows = 0;
        loop {
            let chunk = self.session.rows(&format!("FETCH {ROWS_MAX} FROM writ")).await?;
            let is_last = chunk.len() < ROWS_MAX;
            rows += chunk.len() as u64;
            self.emit(&layout, chunk, rows, table.rows, outlet).await?;
            if is_last {
                self.session.rows("CLOSE writ").await?;
                return Ok(());
            }
        }
    }

    async fn emit(
        &mut self,
        layout: &Layout,
        chunk: Vec<Answer>,
        rows: u64,
        total: Option<u64>,
        outlet: &mut Outlet,
    ) -> Result<(), Halt> {
        let mut changes = Vec::with_capacity(chunk.len());
        for row in chunk {
            let tuple = row.into_iter().map(|cell| cell.map_or(Cell::Null, Cell::Text)).collect();
            let row = rows::appeared(layout, RowChange::Upsert, tuple)
                .map_err(|error| protocol(format!("read table {}", layout.table), error.to_string()))?;
            self.position.ordinal += 1;
            changes.push(placed(row, self.place(layout)));
        }
        let phase = Some(format!("{} {rows}", layout.table));
        let changes = self.start.emit(changes, &self.incarnation, self.position, phase);
        outlet.send(changes).await?;
        outlet.send(Emit::Snapshot { table: layout.table.clone(), rows, total }).await
    }

    fn place(&self, layout: &Layout) -> Place {
        Place {
            source: self.start.settings.source.clone(),
            incarnation: self.incarnation.clone(),
            position: self.position,
            committed_at: self.taken_at,
            transaction: None,
            table: layout.table.clone(),
        }
    }
}
