//! PostgreSQL by logical replication (`pgoutput`), version 14 and newer. Owns slot, snapshot and stream;
//! tables, publications of others and settings of the server are only looked at (ADR 0013).
//!
//! ```text
//! run --- control session: looks, plans, watches the slot
//!      |- first start: slot + exported snapshot -> rows as upserts
//!      '- stream session: identity gate -> messages -> changes; durable positions back
//! ```

mod catalog;
mod config;
mod health;
mod identity;
mod outlet;
mod pgoutput;
mod relations;
mod rows;
mod session;
mod setup;
mod snapshot;
mod stream;
mod transaction;
mod values;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use writ_model::control::SourceProgress;
use writ_model::mapping::Tables;

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::source::{BoxFuture, Feed, PullSource, SourceError};
use config::Settings;
use identity::{Life, Server, Start};
use outlet::{Halt, Outlet};
use relations::Relations;
use session::Session;
use setup::Act;
use snapshot::{Begun, FirstStart};
use stream::{Beginning, Stream};
use transaction::Assembler;

/// What the connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "postgres",
    summary: "PostgreSQL 14 and newer, by logical replication",
    stability: "verified: live",
    secrets: &["url"],
    example: config::EXAMPLE,
    config_schema: config::schema,
    build: Build::Pull(build),
};

fn build(context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn PullSource>, ConfigError> {
    let settings = config::read(context, config)?;
    Ok(Box::new(Postgres { settings, tables: context.tables.clone() }))
}

/// One configured database.
#[derive(Debug)]
struct Postgres {
    settings: Settings,
    tables: Tables,
}

impl PullSource for Postgres {
    fn run<'a>(
        &'a mut self,
        from: Option<SourceProgress>,
        feed: Feed,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            match self.capture(from, Outlet::new(feed)).await {
                Ok(()) | Err(Halt::Stopped) => Ok(()),
                Err(Halt::Failed(error)) => Err(error),
            }
        })
    }

    fn check<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<String>, SourceError>> {
        Box::pin(async move {
            let mut session = Session::open(&self.settings, 0).await?;
            let findings = setup::inspect(&mut session, &self.settings, &self.tables, Act::Look).await?;
            Ok(findings.warnings)
        })
    }
}

impl Postgres {
    async fn capture(&self, from: Option<SourceProgress>, mut outlet: Outlet) -> Result<(), Halt> {
        let mut control = Session::open(&self.settings, 0).await?;
        let server = identity::server(&mut control).await?;
        let begun = match identity::plan(from.as_ref(), &self.settings.slot, &server)? {
            Start::Resume { life, from } => Begun { life, from },
            Start::Anew { owns_slot } => self.begin(&server, owns_slot, &mut control, &mut outlet).await?,
        };
        self.follow(begun, &mut control, &mut outlet).await
    }

    async fn begin(
        &self,
        server: &Server,
        owns_slot: bool,
        control: &mut Session,
        outlet: &mut Outlet,
    ) -> Result<Begun, Halt> {
        // The publication must be older than the slot: the stream sees the catalog as of each change.
        let findings = setup::inspect(control, &self.settings, &self.tables, Act::Create).await?;
        for warning in &findings.warnings {
            tracing::warn!(source = %self.settings.source, "{warning}");
        }
        let (settings, mapping, tables) = (&self.settings, &self.tables, findings.tables.as_slice());
        FirstStart { settings, mapping, tables, server, owns_slot }.run(control, outlet).await
    }

    async fn follow(&self, begun: Begun, control: &mut Session, outlet: &mut Outlet) -> Result<(), Halt> {
        let Begun { life, from } = begun;
        let session = self.admitted(&life, from).await?;
        let client = session.stream(&self.settings.slot).await?;
        tracing::info!(source = %self.settings.source, from = %identity::show(from), "streaming");
        let transactions = Arc::new(AtomicU64::new(0));
        let (source, incarnation) = (self.settings.source.clone(), life.incarnation());
        let relations = Relations::new(&self.tables);
        let assembler = Assembler::new(source.clone(), incarnation.clone(), relations);
        let emit = outlet.emit.clone();
        let beginning = Beginning {
            client,
            assembler,
            source,
            incarnation,
            from,
            transactions: Arc::clone(&transactions),
        };
        let mut stream = Stream::new(beginning, outlet);
        let ended = tokio::select! {
            ended = stream.run() => ended,
            error = health::watch(control, &self.settings, &emit, &transactions) => Err(error.into()),
        };
        match ended {
            // The slot's own state says more than the error that the stream happened to end with.
            Err(Halt::Failed(error)) if error.is_passing => {
                Err(identity::slot_verdict(control, &self.settings).await.unwrap_or(error).into())
            }
            ended => ended,
        }
    }

    /// A session whose server and slot were seen to be the recorded ones; the stream starts on this very session.
    async fn admitted(&self, life: &Life, from: u64) -> Result<Session, SourceError> {
        let mut session = Session::open(&self.settings, from).await?;
        let server = identity::server(&mut session).await?;
        let slot = identity::free_slot(&mut session, &self.settings.slot).await?;
        identity::admit(life, from, &server, slot.as_ref())?;
        Ok(session)
    }
}
