//! One attempt as one transaction. An item that the database refuses is undone alone; what follows it of the same
//! subject waits, and everything else goes on.

use std::collections::BTreeSet;

use tokio_postgres::types::{ToSql, Type};
use writ_model::delivery::{Answer, Fault};
use writ_model::id::SubjectId;

use super::fault::{self, Phase};
use super::inbox::{Inbox, number};
use super::link::Link;
use crate::subscriber::{Parcel, ParcelItem};

/// What stands for the parameters of a statement.
type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// What it takes to write one item.
struct Writing<'a> {
    link: &'a Link,
    inbox: &'a Inbox,
    lane: &'a str,
}

/// How the transaction ends when something of it is to take effect.
pub(super) enum Ending {
    /// At once.
    Commit,
    /// It waits, under this name, until it is told how to end.
    Prepare(String),
}

/// Takes the parcel in and commits, or prepares. One answer for each item; `Err` when nothing, or nothing that is known of,
/// took effect.
pub(super) async fn take(
    link: &mut Link,
    name: &str,
    inbox: &Inbox,
    parcel: &Parcel,
    prunes: bool,
    ending: &Ending,
) -> Result<Vec<Answer>, Fault> {
    let lane = inbox.lane(name, parcel.sender.store);
    let writing = Writing { link, inbox, lane: &lane };
    writing.begin().await?;
    inbox.hold(link, &lane, parcel.sender.epoch).await?;
    let answers = writing.items(&parcel.items, name).await?;
    if prunes {
        inbox.prune(link, &lane, parcel.settled_below).await?;
    }
    let end = match ending {
        Ending::Commit => "COMMIT".to_owned(),
        Ending::Prepare(gid) if answers.contains(&Answer::Durable) => {
            format!("PREPARE TRANSACTION {}", quoted(gid))
        }
        Ending::Prepare(_) => "ROLLBACK".to_owned(),
    };
    let ended = link.client.batch_execute(&end).await;
    ended.map_err(|error| fault::of(&error, Phase::Commit))?;
    Ok(answers)
}

/// A text as a literal, for the statements that take no parameters.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Writing<'_> {
    async fn begin(&self) -> Result<(), Fault> {
        // A role's own defaults must not make it another transaction.
        self.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await
    }

    async fn run(&self, sql: &str) -> Result<(), Fault> {
        let done = self.link.client.batch_execute(sql).await;
        done.map_err(|error| fault::of(&error, Phase::Before))
    }

    async fn items(&self, items: &[ParcelItem], name: &str) -> Result<Vec<Answer>, Fault> {
        let mut stopped: BTreeSet<SubjectId> = BTreeSet::new();
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            if stopped.contains(&item.subject_id) {
                answers.push(Answer::Failed(Fault::SendBroken));
                continue;
            }
            self.run("SAVEPOINT item").await?;
            match self.item(item).await {
                Ok(()) => {
                    self.run("RELEASE item").await?;
                    answers.push(Answer::Durable);
                }
                Err(error) => {
                    let fault = fault::of(&error, Phase::Before);
                    if fault != Fault::Refused {
                        return Err(fault);
                    }
                    self.run("ROLLBACK TO item; RELEASE item").await?;
                    // The message may quote the value.
                    let state = error.code().map_or("", |state| state.code());
                    tracing::warn!(
                        subscriber = name,
                        offset = item.offset.0,
                        state,
                        "the database refuses an event"
                    );
                    stopped.insert(item.subject_id);
                    answers.push(Answer::Failed(Fault::Refused));
                }
            }
        }
        Ok(answers)
    }

    /// The inbox row first: while another transaction holds the same one, this waits for how that ends.
    async fn item(&self, item: &ParcelItem) -> Result<(), tokio_postgres::Error> {
        let schema = &self.inbox.schema;
        let (id, offset) = (item.delivery_id.to_string(), number(item.offset.0));
        let sql = format!(
            "INSERT INTO {schema}.inbox (lane, delivery_id, log_offset) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        );
        let first: [(&(dyn ToSql + Sync), Type); 3] =
            [(&self.lane, Type::TEXT), (&id, Type::TEXT), (&offset, Type::INT8)];
        if self.execute(&sql, &first).await? > 0 {
            return self.effects(item).await;
        }
        // It is remembered from now on again.
        let sql = format!(
            "UPDATE {schema}.inbox SET taken_at = pg_catalog.now() WHERE lane = $1 AND delivery_id = $2"
        );
        self.execute(&sql, &[(&self.lane, Type::TEXT), (&id, Type::TEXT)]).await.map(drop)
    }

    async fn effects(&self, item: &ParcelItem) -> Result<(), tokio_postgres::Error> {
        let event = item.view.event();
        if self.inbox.keeps_events {
            let text = String::from_utf8_lossy(item.view.structured());
            let sql = format!(
                "INSERT INTO {}.events (event_id, type, subject, lane, event) VALUES ($1, $2, $3, $4, $5::text::jsonb)",
                self.inbox.schema
            );
            let row: [(&(dyn ToSql + Sync), Type); 5] = [
                (&event.id, Type::TEXT),
                (&event.event_type, Type::TEXT),
                (&event.subject, Type::TEXT),
                (&self.lane, Type::TEXT),
                (&text, Type::TEXT),
            ];
            self.execute(&sql, &row).await?;
        }
        match self.inbox.upsert.as_ref().and_then(|upsert| upsert.statement(&event)) {
            Some(statement) => self.execute(&statement.sql, &[(&statement.row, Type::TEXT)]).await.map(drop),
            None => Ok(()),
        }
    }

    async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, tokio_postgres::Error> {
        self.link.client.execute_typed(sql, parameters).await
    }
}
