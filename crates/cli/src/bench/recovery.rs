//! `writ bench recovery`: how long after a SIGKILL a warm store delivers again.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::figure::{float, mib, ms};
use super::report::{Conservation, Figures, Report, Run};
use super::stage::Stage;
use crate::exit::{DOES_NOT_HOLD, Failure};

/// A lane tells its cursor within a tenth of a second and the next commit makes it durable; what is killed
/// later repeats nothing.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

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
    let mut stage = Stage::start(arguments.folder.as_ref(), arguments.subscribers, json!({})).await?;
    stage.fill(arguments.events).await?;
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        let (again, run) = kill(&arguments, stage).await?;
        stage = again;
        runs.push(run);
    }
    drop(stage.engine.stop().await?);
    let report = Report::new("recovery", method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

/// One kill of a store whose deliveries have settled, and what it takes until the next event is delivered.
async fn kill(arguments: &Arguments, stage: Stage) -> Result<(Stage, Run), Failure> {
    tokio::time::sleep(SETTLED_AFTER).await;
    let bytes = stage.engine.disk_bytes()?;
    let killed = stage.kill().await?;
    let floor = process_start().await?;
    let began = Instant::now();
    let mut stage = killed.again().await?;
    let listening = began.elapsed();
    stage.fill(1).await?;
    let delivered = began.elapsed();
    let received = stage.receivers.received().await?;
    let expected = stage.accepted * arguments.subscribers;
    let conservation = Conservation {
        accepted: stage.accepted,
        refused: stage.refused,
        subscribers: arguments.subscribers,
        delivered: received.events,
        are_alike: received.are_alike,
        holds: received.events == expected && received.are_alike && received.unreadable == 0,
    };
    let figures = Figures::from([
        ("listening_ms", ms(listening)),
        ("first_delivery_ms", ms(delivered)),
        ("floor_process_start_ms", ms(floor)),
        ("ratio_first_delivery_to_process_start", ms(delivered) / ms(floor).max(1e-3)),
        ("engine_cpu_seconds", stage.engine.process.cpu_seconds()),
        ("engine_rss_peak_mib", mib(stage.engine.process.rss_peak_bytes())),
        ("log_bytes", float(bytes.get("log").copied().unwrap_or_default())),
    ]);
    let run = Run {
        conservation,
        figures,
        engine_cpu_by_thread: stage.engine.process.cpu_by_thread(),
        disk_bytes: bytes,
    };
    Ok((stage, run))
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
