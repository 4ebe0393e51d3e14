//! `writ bench recovery`: how long after a SIGKILL a warm store delivers again.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ceiling;
use super::engine::Engine;
use super::load::{self, Plan, Sent};
use super::receivers::Receivers;
use super::report::{Conservation, Figures, Report, Run};
use crate::exit::{DOES_NOT_HOLD, Failure, UNAVAILABLE};

/// How often the receivers are asked: the resolution of what is measured.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// A lane tells its cursor within a tenth of a second and the next commit makes it durable; what is killed
/// later repeats nothing.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Longest wait for a delivery.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Events in the log before the first kill
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Webhook subscribers, all of which take everything
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    subscribers: u64,
    /// Kills
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// A folder on the disk to measure. The system's temporary one if not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let folder = ceiling::folder(arguments.folder.as_ref())?;
    let mut receivers = Receivers::start(ceiling::count(arguments.subscribers)).await?;
    let mut engine = Engine::start(folder, &receivers.addresses, 100).await?;
    let mut accepted = fill(&arguments, &engine, &mut receivers).await?;
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        let (again, run) = kill(&arguments, engine, &mut receivers, &mut accepted).await?;
        engine = again;
        runs.push(run);
    }
    drop(engine.stop().await?);
    let report = Report::new("recovery", method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

/// Fills the store; gives how many events it took.
async fn fill(arguments: &Arguments, engine: &Engine, receivers: &mut Receivers) -> Result<u64, Failure> {
    let plan = Plan {
        batch: 100,
        rate: None,
        longest: LONGEST * 30,
        events_max: arguments.events,
        connections: 4,
        window: 1,
    };
    let sent = send(engine, plan).await?;
    arrived(receivers, sent.accepted).await?;
    Ok(sent.accepted)
}

/// One kill of a store whose deliveries have settled, and what it takes until the next event is delivered.
async fn kill(
    arguments: &Arguments,
    engine: Engine,
    receivers: &mut Receivers,
    accepted: &mut u64,
) -> Result<(Engine, Run), Failure> {
    tokio::time::sleep(SETTLED_AFTER).await;
    let bytes = engine.disk_bytes()?;
    let killed = engine.kill().await?;
    let floor = process_start().await?;
    let began = Instant::now();
    let engine = Engine::again(killed).await?;
    let listening = began.elapsed();
    let one =
        Plan { batch: 1, rate: None, longest: LONGEST, events_max: *accepted + 1, connections: 1, window: 1 };
    *accepted += send_from(&engine, one, *accepted).await?.accepted;
    arrived(receivers, *accepted).await?;
    let delivered = began.elapsed();
    let received = receivers.received().await?;
    let expected = *accepted * arguments.subscribers;
    let conservation = Conservation {
        accepted: *accepted,
        refused: 0,
        subscribers: arguments.subscribers,
        delivered: received.events,
        are_alike: received.are_alike,
        holds: received.events == expected && received.are_alike && received.unreadable == 0,
    };
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let figures = Figures::from([
        ("listening_ms", ms(listening)),
        ("first_delivery_ms", ms(delivered)),
        ("floor_process_start_ms", ms(floor)),
        ("ratio_first_delivery_to_process_start", ms(delivered) / ms(floor).max(1e-3)),
        ("log_bytes", ceiling::float(bytes.get("log").copied().unwrap_or_default())),
    ]);
    let run = Run {
        conservation,
        figures,
        engine_cpu_by_thread: engine.process.cpu_by_thread(),
        disk_bytes: bytes,
    };
    Ok((engine, run))
}

async fn send(engine: &Engine, plan: Plan) -> Result<Sent, Failure> {
    send_from(engine, plan, 0).await
}

async fn send_from(engine: &Engine, plan: Plan, first: u64) -> Result<Sent, Failure> {
    // Nobody tells of deliveries, so nothing waits for them.
    let (gone, delivered) = watch::channel(0);
    drop(gone);
    let sent = load::send_from(&engine.address, plan, delivered, first).await;
    sent.map_err(|error| engine.trouble(&error.to_string()))
}

/// Waits until every receiver has so many events.
async fn arrived(receivers: &mut Receivers, events: u64) -> Result<(), Failure> {
    let began = Instant::now();
    while receivers.received().await?.events_least < events {
        if began.elapsed() > LONGEST {
            return Err(Failure::plain(
                format!("{events} events did not arrive in {LONGEST:?}"),
                UNAVAILABLE,
            ));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// The floor: the same binary, started for nothing.
async fn process_start() -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().await?;
    Ok(began.elapsed())
}

fn method(arguments: &Arguments) -> Vec<String> {
    vec![
        format!(
            "{} mapped CloudEvents are stored and delivered to {} webhooks; then, {} times: wait {SETTLED_AFTER:?}, SIGKILL, start again on the same store, send one event.",
            arguments.events, arguments.subscribers, arguments.runs
        ),
        "listening_ms: from the start of the process until its API listens, recovery of log, vault, state and audit log included.".to_owned(),
        "first_delivery_ms: from the start of the process until every receiver has the event that was sent as soon as it listened.".to_owned(),
        "Floor: the same binary started to print its version. The page cache is warm.".to_owned(),
    ]
}
