//! Writ's own tables in the receiving database:
//!
//! ```text
//! owner   lane, epoch                              who may deliver: a lane is a store and a subscriber
//! inbox   lane, delivery_id, log_offset, taken_at  what has had its effect
//! events  number, event_id, ..., event             the events themselves, where the operator wants them
//! ```

use tokio_postgres::types::Type;
use writ_model::delivery::Fault;
use writ_model::id::{Epoch, Offset, StoreId};

use super::fault::{self, Phase};
use super::link::Link;
use super::tables::{Column, Upsert};

/// Rows that one pruning removes at most: it shares a transaction with deliveries.
const PRUNED_MAX: i64 = 1_000;

/// Two sessions must not create the tables at the same time; any number that nobody else uses.
const CREATION_LOCK: i64 = 0x5752_4954_0001;

/// The tables, and what is kept in them.
pub(super) struct Inbox {
    pub(super) schema: Column,
    /// How long a delivery id is remembered.
    pub(super) days: u32,
    pub(super) creates: bool,
    pub(super) keeps_events: bool,
    pub(super) upsert: Option<Upsert>,
}

impl Inbox {
    /// The key of a store's subscriber: several stores may deliver into one database.
    pub(super) fn lane(&self, name: &str, store: StoreId) -> String {
        format!("{store}/{name}")
    }

    /// Sees that the tables are there, and makes them where that is wanted.
    pub(super) async fn ready(&self, link: &mut Link) -> Result<(), Fault> {
        if self.is_there(link).await? {
            return Ok(());
        }
        if !self.creates {
            return Err(Fault::Unready);
        }
        let made = link.client.batch_execute(&self.creation()).await;
        made.map_err(|error| unready(&error))
    }

    async fn is_there(&self, link: &Link) -> Result<bool, Fault> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT pg_catalog.to_regclass('{0}.owner') IS NOT NULL AND pg_catalog.to_regclass('{0}.inbox') \
             IS NOT NULL AND pg_catalog.to_regclass('{0}.events') IS NOT NULL",
            schema.to_string().replace('\'', "''")
        );
        let row = link.client.query_typed(&sql, &[]).await.map_err(|error| unready(&error))?;
        Ok(row.first().is_some_and(|row| row.get(0)))
    }

    fn creation(&self) -> String {
        let schema = &self.schema;
        format!(
            "BEGIN;
             SELECT pg_catalog.pg_advisory_xact_lock({CREATION_LOCK});
             CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE IF NOT EXISTS {schema}.owner (lane text PRIMARY KEY, epoch bigint NOT NULL);
             CREATE TABLE IF NOT EXISTS {schema}.inbox (
                 lane text NOT NULL, delivery_id text NOT NULL, log_offset bigint NOT NULL,
                 taken_at timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (lane, delivery_id));
             CREATE INDEX IF NOT EXISTS inbox_taken_at ON {schema}.inbox (lane, taken_at);
             CREATE TABLE IF NOT EXISTS {schema}.events (
                 number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL,
                 type text NOT NULL, subject text, lane text NOT NULL, event jsonb NOT NULL,
                 taken_at timestamptz NOT NULL DEFAULT pg_catalog.now());
             COMMIT"
        )
    }

    /// Claims the lane for this owner: from now on an earlier one is refused.
    pub(super) async fn claim(&self, link: &Link, lane: &str, epoch: Epoch) -> Result<(), Fault> {
        let known = format!("SELECT epoch FROM {}.owner WHERE lane = $1", self.schema);
        let known = link.client.query_typed(&known, &[(&lane, Type::TEXT)]).await;
        match known.map_err(|error| unready(&error))?.first().map(|row| row.get::<_, i64>(0)) {
            // To claim it again would wait for every attempt that is under way.
            Some(known) if known == number(epoch.0) => return Ok(()),
            Some(known) if known > number(epoch.0) => return Err(Fault::Fenced),
            Some(_) | None => {}
        }
        let sql = format!(
            "INSERT INTO {0}.owner AS o (lane, epoch) VALUES ($1, $2) ON CONFLICT (lane) DO UPDATE \
             SET epoch = excluded.epoch WHERE o.epoch < excluded.epoch",
            self.schema
        );
        let number = number(epoch.0);
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&lane, Type::TEXT), (&number, Type::INT8)];
        link.client.execute_typed(&sql, &parameters).await.map_err(|error| unready(&error))?;
        self.hold(link, lane, epoch).await
    }

    /// Holds the lane until the transaction ends; refused where a later owner has claimed it. Attempts of one
    /// owner hold it side by side, a later owner waits for them.
    pub(super) async fn hold(&self, link: &Link, lane: &str, epoch: Epoch) -> Result<(), Fault> {
        let sql = format!("SELECT epoch FROM {}.owner WHERE lane = $1 FOR SHARE", self.schema);
        let rows = link.client.query_typed(&sql, &[(&lane, Type::TEXT)]).await;
        let rows = rows.map_err(|error| fault::of(&error, Phase::Before))?;
        match rows.first().map(|row| row.get::<_, i64>(0)) {
            Some(known) if known == number(epoch.0) => Ok(()),
            Some(_) => Err(Fault::Fenced),
            None => Err(Fault::Unready),
        }
    }

    /// Forgets delivery ids that cannot come again: they are older than the bound, and the lane has settled
    /// everything up to them. However long Writ was down, what it may still send again is remembered.
    pub(super) async fn prune(&self, link: &Link, lane: &str, settled_below: Offset) -> Result<(), Fault> {
        let sql = format!(
            "DELETE FROM {0}.inbox WHERE lane = $1 AND delivery_id IN (SELECT delivery_id FROM {0}.inbox \
             WHERE lane = $1 AND taken_at < pg_catalog.now() - pg_catalog.make_interval(days => $2) \
             AND log_offset < $3 ORDER BY taken_at LIMIT {PRUNED_MAX} FOR UPDATE SKIP LOCKED)",
            self.schema
        );
        let (days, below) = (i32::try_from(self.days).unwrap_or(i32::MAX), number(settled_below.0));
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&lane, Type::TEXT), (&days, Type::INT4), (&below, Type::INT8)];
        let pruned = link.client.execute_typed(&sql, &parameters).await;
        pruned.map(drop).map_err(|error| fault::of(&error, Phase::Before))
    }

    /// What a delivery would not find, in words.
    pub(super) async fn missing(&self, link: &Link) -> Result<Vec<String>, Fault> {
        let mut missing = Vec::new();
        let schema = &self.schema;
        if !self.is_there(link).await? {
            if !self.creates {
                missing.push(format!("Writ's tables are not in schema {schema}, and create is false"));
            } else if !self.may_create(link).await? {
                missing.push(format!("this role may not create the tables in schema {schema}"));
            }
        }
        if let Some(upsert) = &self.upsert {
            missing.extend(unreadable(link, upsert).await);
        }
        Ok(missing)
    }

    async fn may_create(&self, link: &Link) -> Result<bool, Fault> {
        let sql = "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1) \
                   THEN pg_catalog.has_schema_privilege($1, 'CREATE') \
                   ELSE pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') END";
        let rows = link.client.query_typed(sql, &[(&self.schema.plain(), Type::TEXT)]).await;
        let rows = rows.map_err(|error| unready(&error))?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

/// Why the operator's table cannot take events, if it cannot.
async fn unreadable(link: &Link, upsert: &Upsert) -> Option<String> {
    let columns = upsert.key.iter().chain(upsert.columns.values()).map(ToString::to_string);
    let columns = columns.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {columns} FROM {} LIMIT 0", upsert.table);
    let error = link.client.query_typed(&sql, &[]).await.err()?;
    let state = error.code().map_or("no answer", |state| state.code());
    Some(format!("table {} with these columns cannot be read ({state})", upsert.table))
}

/// Offsets and epochs are far below what a bigint holds.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Setting up touches no event: nothing in it is a row's fault.
fn unready(error: &tokio_postgres::Error) -> Fault {
    match fault::of(error, Phase::Before) {
        Fault::Refused => Fault::Unready,
        other => other,
    }
}
