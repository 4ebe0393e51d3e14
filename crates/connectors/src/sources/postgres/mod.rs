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

use pgwire_replication::ReplicationClient;
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
    mechanisms: &[],
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

/// All that a stream needs, before its first message.
struct Opened {
    control: Session,
    client: ReplicationClient,
    begun: Begun,
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
        let mut stop = outlet.stop.clone();
        // A slot's creation may wait for minutes; a draining engine does not. Whatever was begun is ours by record.
        let mut opened = tokio::select! {
            biased;
            () = outlet::stopped(&mut stop) => return Err(Halt::Stopped),
            opened = self.open(from.as_ref(), &mut outlet) => opened?,
        };
        let ended = self.follow(opened.client, &opened.begun, &mut opened.control, &mut outlet).await;
        match ended {
            // The slot's own state says more than the error that the stream happened to end with.
            Err(Halt::Failed(error)) if error.is_passing => {
                let verdict = identity::slot_verdict(&mut opened.control, &self.settings).await;
                Err(verdict.unwrap_or(error).into())
            }
            ended => ended,
        }
    }

    async fn open(&self, from: Option<&SourceProgress>, outlet: &mut Outlet) -> Result<Opened, Halt> {
        let mut control = Session::open(&self.settings, 0).await?;
        let server = identity::server(&mut control).await?;
        let begun = match identity::plan(from, &self.settings.slot, &server)? {
            Start::Resume { life, from } => {
                self.inspected(&mut control, Act::Require).await?;
                Begun { life, from }
            }
            Start::Anew { owns_slot } => self.begin(&server, owns_slot, &mut control, outlet).await?,
        };
        let session = self.admitted(&begun.life, begun.from).await?;
        let client = session.stream(&self.settings.slot).await?;
        tracing::info!(source = %self.settings.source, from = %identity::show(begun.from), "streaming");
        Ok(Opened { control, client, begun })
    }

    async fn begin(
        &self,
        server: &Server,
        owns_slot: bool,
        control: &mut Session,
        outlet: &mut Outlet,
    ) -> Result<Begun, Halt> {
        // The publication must be older than the slot: the stream sees the catalog as of each change.
        let findings = self.inspected(control, Act::Create).await?;
        let (settings, mapping, tables) = (&self.settings, &self.tables, findings.tables.as_slice());
        FirstStart { settings, mapping, tables, server, owns_slot }.run(control, outlet).await
    }

    /// Looks at the set-up and logs its warnings.
    async fn inspected(&self, control: &mut Session, act: Act) -> Result<setup::Findings, SourceError> {
        let findings = setup::inspect(control, &self.settings, &self.tables, act).await?;
        for warning in &findings.warnings {
            tracing::warn!(source = %self.settings.source, "{warning}");
        }
        Ok(findings)
    }

    async fn follow(
        &self,
        client: ReplicationClient,
        begun: &Begun,
        control: &mut Session,
        outlet: &mut Outlet,
    ) -> Result<(), Halt> {
        let transactions = Arc::new(AtomicU64::new(0));
        let (source, incarnation) = (self.settings.source.clone(), begun.life.incarnation());
        let relations = Relations::new(&self.tables);
        let assembler = Assembler::new(source.clone(), incarnation.clone(), relations);
        let emit = outlet.emit.clone();
        let (from, counted) = (begun.from, Arc::clone(&transactions));
        let beginning = Beginning { client, assembler, source, incarnation, from, transactions: counted };
        let mut stream = Stream::new(beginning, outlet);
        tokio::select! {
            ended = stream.run() => ended,
            error = health::watch(control, &self.settings, &emit, &transactions) => Err(error.into()),
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
