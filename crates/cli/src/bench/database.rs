//! The PostgreSQL of a benchmark, driven by the tools that come with it: `psql` and `pg_recvlogical`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::exit::{BAD_INPUT, Failure};

/// Everything that is made has this name or begins with it.
const NAME: &str = "writ_bench";

/// The slot that `pg_recvlogical` reads.
const FLOOR_SLOT: &str = "writ_bench_floor";

/// A database.
pub(super) struct Database<'a> {
    url: &'a str,
    bin: Option<&'a Path>,
}

impl<'a> Database<'a> {
    pub(super) fn new(url: &'a str, bin: Option<&'a Path>) -> Self {
        Self { url, bin }
    }

    /// The engine's slot.
    pub(super) fn slot(&self) -> &'static str {
        NAME
    }

    /// The publication of both.
    pub(super) fn publication(&self) -> &'static str {
        NAME
    }

    /// Makes the table, and lets go of what an earlier run left.
    pub(super) async fn make(&self) -> Result<(), Failure> {
        self.clear().await?;
        let table = format!("{NAME}.customer");
        self.psql(&format!(
            "CREATE SCHEMA {NAME}; CREATE TABLE {table} (id bigint PRIMARY KEY, email text, kind text); \
             CREATE PUBLICATION {NAME} FOR TABLE {table}"
        ))
        .await
        .map(drop)
    }

    /// Drops everything that was made.
    pub(super) async fn clear(&self) -> Result<(), Failure> {
        let slots = format!(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
             WHERE slot_name IN ('{NAME}', '{FLOOR_SLOT}') AND NOT active"
        );
        self.psql(&slots).await?;
        let everything = format!("DROP PUBLICATION IF EXISTS {NAME}; DROP SCHEMA IF EXISTS {NAME} CASCADE");
        self.psql(&everything).await.map(drop)
    }

    /// Writes the changes that are to be captured, behind both slots.
    pub(super) async fn backlog(&self, events: u64, transaction: u64) -> Result<(), Failure> {
        let slot = format!("SELECT pg_create_logical_replication_slot('{FLOOR_SLOT}', 'pgoutput')");
        self.psql(&slot).await?;
        let inserts = events - events / 2;
        let insert = format!(
            "INSERT INTO {NAME}.customer SELECT n, 'customer' || n || '@example.org', 'home' \
             FROM generate_series(i, least(i + {transaction}, {inserts}) - 1) n"
        );
        let update = format!(
            "UPDATE {NAME}.customer SET email = 'changed' || id || '@example.org' \
             WHERE id >= i AND id < least(i + {transaction}, {})",
            events / 2
        );
        for (statement, rows) in [(insert, inserts), (update, events / 2)] {
            let script = format!(
                "DO $$ DECLARE i bigint := 0; BEGIN WHILE i < {rows} LOOP {statement}; COMMIT; \
                 i := i + {transaction}; END LOOP; END $$"
            );
            self.psql(&script).await?;
        }
        Ok(())
    }

    /// Reads the same backlog with `pg_recvlogical` into a file; how long that takes.
    pub(super) async fn receive(&self, out: &Path) -> Result<Duration, Failure> {
        let end = self.psql("SELECT pg_current_wal_lsn()").await?;
        // Something has to come after the end for it to be noticed.
        self.psql("SELECT pg_logical_emit_message(false, 'writ_bench', 'end')").await?;
        let began = Instant::now();
        let mut command = Command::new(self.tool("pg_recvlogical"));
        command.args(["--dbname", self.url, "--slot", FLOOR_SLOT, "--start", "--no-loop"]);
        command.args(["--endpos", end.trim(), "--option", "proto_version=1"]);
        command.args(["--option", &format!("publication_names={NAME}"), "--file"]).arg(out);
        ran("pg_recvlogical", command).await?;
        Ok(began.elapsed())
    }

    async fn psql(&self, sql: &str) -> Result<String, Failure> {
        let mut command = Command::new(self.tool("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", sql]);
        ran("psql", command).await
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.bin.map_or_else(|| PathBuf::from(name), |bin| bin.join(name))
    }
}

/// What the tool printed.
async fn ran(name: &str, mut command: Command) -> Result<String, Failure> {
    let out = command.stdin(Stdio::null()).env("PGOPTIONS", "-c client_min_messages=warning").output().await;
    let out = out.map_err(|error| {
        Failure::plain(format!("run {name}: {error}; name its folder with --bin"), BAD_INPUT)
    })?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let cause = String::from_utf8_lossy(&out.stderr);
    Err(Failure::plain(format!("{name} failed: {}", cause.trim()), BAD_INPUT))
}
