//! `writ bench capture`: a backlog of PostgreSQL as typed events durable in the log, beside `pg_recvlogical` of the
//! same backlog.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::database::Database;
use super::engine::{Engine, Setup};
use super::figure::{float, folder, mib, over};
use super::report::{Conservation, Figures, Report, Run};
use super::wire::ask;
use crate::exit::{DOES_NOT_HOLD, Failure};

/// How often the engine is asked how many events it has stored.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Longest wait for the source to stream, and for the backlog to be captured.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// The database, with `wal_level = logical`; a schema `writ_bench` is made in it and dropped
    #[arg(long, value_name = "URL")]
    #[serde(skip)]
    url: String,
    /// The folder of `psql` and `pg_recvlogical`; the search path if not given
    #[arg(long, value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// Row changes in the backlog: half of them inserts, half updates
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(2..))]
    events: u64,
    /// Row changes in one transaction
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    transaction: u64,
    /// Runs, each with a new store, a new backlog and a new floor
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// A folder on the disk to measure. The system's temporary one if not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let database = Database::new(&arguments.url, arguments.bin.as_deref());
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        database.make().await?;
        let run = once(&arguments, &database).await;
        let cleared = database.clear().await;
        runs.push(run?);
        cleared?;
    }
    let report = Report::new("capture", method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

async fn once(arguments: &Arguments, database: &Database<'_>) -> Result<Run, Failure> {
    let folder = folder(arguments.folder.as_ref())?;
    std::fs::write(folder.path().join("url"), &arguments.url)?;
    let out = folder.path().join("recvlogical");
    let source = json!({
        "kind": "postgres",
        "url": "file:url",
        "slot": database.slot(),
        "publication": database.publication(),
        "tables": {
            "writ_bench.customer": {
                "entity": "customer",
                "key": ["id"],
                "changes": { "email": ["email", "kind"] },
            },
        },
    });
    let setup = Setup { source, ..Setup::from_intake(&[], 1) };
    let engine = Engine::start(folder, &setup).await?;
    streams(&engine).await?;
    let stopped = engine.stop().await?;
    database.backlog(arguments.events, arguments.transaction).await?;
    let floor = database.receive(&out).await?;
    let floor_bytes = std::fs::metadata(&out).map_or(0, |file| file.len());
    std::fs::remove_file(&out)?;
    let engine = Engine::again(stopped).await?;
    let listening = Instant::now();
    let cpu = engine.process.cpu_seconds();
    let stored = stored(&engine, arguments.events).await?;
    let took = listening.elapsed();
    let cpu = engine.process.cpu_seconds() - cpu;
    let mut figures = figures(arguments.events, took, floor, cpu);
    figures.insert("engine_rss_peak_mib", mib(engine.process.rss_peak_bytes()));
    figures.insert("floor_recvlogical_bytes", float(floor_bytes));
    let engine_cpu_by_thread = engine.process.cpu_by_thread();
    let disk_bytes = engine.stop().await?.disk_bytes()?;
    let conservation = Conservation {
        accepted: arguments.events,
        refused: 0,
        subscribers: 1,
        delivered: stored,
        are_alike: true,
        holds: stored == arguments.events,
    };
    Ok(Run { conservation, figures, engine_cpu_by_thread, disk_bytes })
}

/// Waits until the source's slot is there and its snapshot behind it.
async fn streams(engine: &Engine) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        let status = ask(&engine.address, "/v1/status", None).await?;
        if status["sources"][0]["phase"] == "streaming" {
            return Ok(());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Err(engine.trouble("the source does not stream"))
}

/// Waits until so many events are durable; gives how many are a moment later.
async fn stored(engine: &Engine, events: u64) -> Result<u64, Failure> {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        let stored = engine.events_stored().await?;
        if stored >= events {
            return Ok(stored);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    engine.events_stored().await
}

fn figures(events: u64, took: Duration, floor: Duration, cpu: f64) -> Figures {
    let events = float(events);
    let per_second = over(events, took.as_secs_f64());
    let floor_per_second = over(events, floor.as_secs_f64());
    Figures::from([
        ("captured_events_per_second", per_second),
        ("capture_seconds", took.as_secs_f64()),
        ("floor_recvlogical_changes_per_second", floor_per_second),
        ("floor_recvlogical_seconds", floor.as_secs_f64()),
        ("ratio_recvlogical_to_capture", over(floor_per_second, per_second)),
        ("engine_cpu_seconds", cpu),
        ("engine_cpu_us_per_event", cpu * 1e6 / events),
    ])
}

fn method(arguments: &Arguments) -> Vec<String> {
    let Arguments { events, transaction, .. } = arguments;
    vec![
        format!(
            "{events} row changes of a customer table in transactions of {transaction}: half inserts, half updates of the same rows. They are written while nobody reads; each gives one event."
        ),
        "The engine has no subscriber. captured_events_per_second: from when its API listens, the slot not yet opened, until all events are durable in its log; schema, policy, encryption, intent leaves and last-known states included.".to_owned(),
        "Floor, in the same run: pg_recvlogical of the same backlog with pgoutput, from another slot, into a file on the same disk.".to_owned(),
        "The engine, the database and pg_recvlogical share the machine's cores.".to_owned(),
        "Holds: exactly as many events as changes were stored.".to_owned(),
    ]
}
