//! `writ bench ceiling`: the specification's ceiling, or the capacity, with everything on: schema, gate,
//! encryption, durable log, signed webhooks, acknowledgements, attestation.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::engine::{Engine, Setup, whole};
use super::figure::{count, float, folder, mib, over};
use super::floor;
use super::load::{self, FIRST_SEEN_EVERY, Plan, Sent};
use super::process::{self, Process};
use super::receiver::Received;
use super::receivers::Receivers;
use super::report::{Conservation, Figures, Report, Run, cores};
use crate::exit::{DOES_NOT_HOLD, Failure};

/// How often the receivers are asked how far they are.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Events in one request to the intake where only the capacity counts.
const CAPACITY_INTAKE_BATCH: u64 = 100;

/// How long deliveries may go on after the last event was sent, beside the run's own length.
const DRAIN_LEAST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// How long events are sent
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Events a second whatever the answers, or `max`: as many as are taken and delivered
    #[arg(long, default_value = "3858")]
    rate: Rate,
    /// Events at most
    #[arg(long, default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Webhook subscribers, all of which take everything
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1000))]
    subscribers: u64,
    /// Events in one request to a subscriber at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// How long a batch may wait for more events, in milliseconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
    linger_ms: u64,
    /// Events in one request to the intake
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    intake_batch: u64,
    /// Connections to the intake
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=256))]
    connections: u64,
    /// With `--rate max`: events that may be accepted and not yet delivered to every subscriber
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u64).range(1..))]
    window: u64,
    /// Runs, each with a new store
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// A folder on the disk to measure; the store is made in it and removed. The system's temporary one if
    /// not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// How fast to send.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rate {
    EventsPerSecond(f64),
    Max,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Self::EventsPerSecond(rate)),
            Ok(_) | Err(_) => Err("give events per second, or max".to_owned()),
        }
    }
}

impl Arguments {
    /// The settings of `capacity`: whatever rate was given, there is none.
    pub(crate) fn without_a_rate(self) -> Self {
        Self { rate: Rate::Max, intake_batch: CAPACITY_INTAKE_BATCH, ..self }
    }
}

pub(crate) async fn run(name: &'static str, arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        runs.push(once(&arguments).await?);
    }
    let report = Report::new(name, method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

/// One run with a store and processes of its own.
async fn once(arguments: &Arguments) -> Result<Run, Failure> {
    let load_average = process::load_average();
    let mut receivers = Receivers::start(count(arguments.subscribers)).await?;
    let delivery = json!({ "linger": format!("{}ms", arguments.linger_ms) });
    let setup = Setup { delivery, ..Setup::from_intake(&receivers.addresses, count(arguments.batch)) };
    let engine = Engine::start(folder(arguments.folder.as_ref())?, &setup).await?;
    let before = Meters::read(engine.process, receivers.process);
    let (sent, received) = drive(arguments, &engine, &mut receivers).await?;
    let after = Meters::read(engine.process, receivers.process);
    let engine_cpu_by_thread = engine.process.cpu_by_thread();
    let metrics = engine.metrics().await?;
    let mut figures = speed(&sent, &received);
    figures.extend(after.since(&before, &received));
    figures.insert("machine_load_average_before", load_average);
    figures.insert("engine_rss_peak_mib", mib(engine.process.rss_peak_bytes()));
    let samples = receivers.samples().await?;
    drop(receivers);
    let stopped = engine.stop().await?;
    let disk_bytes = stopped.disk_bytes()?;
    let log_bytes = disk_bytes.get("log").copied().unwrap_or_default();
    figures.extend(stored(&disk_bytes, log_bytes, &sent));
    let commits = Commits::from(&metrics);
    figures.extend(commits.figures(&sent));
    let group_bytes = log_bytes / commits.count.max(1);
    let disk = floor::disk(stopped.folder(), commits.count, count(group_bytes.max(1)))?;
    let http = floor::http(count(arguments.subscribers), samples, received.requests).await?;
    floors(&mut figures, &disk, &http);
    let conservation = conservation(arguments, &sent, &received);
    Ok(Run { conservation, figures, engine_cpu_by_thread, disk_bytes })
}

/// Sends the load while watching the receivers, then waits for the last delivery.
async fn drive(
    arguments: &Arguments,
    engine: &Engine,
    receivers: &mut Receivers,
) -> Result<(Sent, Received), Failure> {
    let (delivered_tx, delivered) = watch::channel(0);
    let plan = plan(arguments);
    let drain = plan.longest.max(DRAIN_LEAST);
    let mut sending = std::pin::pin!(load::send(&engine.address, plan, delivered));
    let sent = loop {
        tokio::select! {
            sent = &mut sending => break sent.map_err(|error| engine.trouble(&error.to_string()))?,
            () = tokio::time::sleep(ASK_EVERY) => {
                let received = receivers.received().await?;
                delivered_tx.send_replace(received.events_least);
            }
        }
    };
    let deadline = Instant::now() + drain;
    loop {
        let received = receivers.received().await?;
        if received.events_least >= sent.accepted || Instant::now() >= deadline {
            return Ok((sent, received));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn plan(arguments: &Arguments) -> Plan {
    Plan {
        batch: arguments.intake_batch,
        rate: match arguments.rate {
            Rate::EventsPerSecond(rate) => Some(rate),
            Rate::Max => None,
        },
        longest: Duration::from_secs(arguments.seconds),
        events_max: arguments.events,
        connections: count(arguments.connections),
        window: arguments.window,
        stop: Arc::default(),
    }
}

/// CPU meters of the three processes at one moment.
struct Meters {
    at: Instant,
    engine: f64,
    receivers: f64,
    load: f64,
}

impl Meters {
    fn read(engine: Process, receivers: Process) -> Self {
        Self {
            at: Instant::now(),
            engine: engine.cpu_seconds(),
            receivers: receivers.cpu_seconds(),
            load: Process::own().cpu_seconds(),
        }
    }

    fn since(&self, before: &Self, received: &Received) -> Figures {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let engine = self.engine - before.engine;
        Figures::from([
            ("engine_cpu_seconds", engine),
            ("engine_cpu_cores", engine / seconds),
            ("engine_cpu_share_of_machine", engine / seconds / float(cores() as u64)),
            ("engine_cpu_us_per_delivery", engine * 1e6 / float(received.events.max(1))),
            ("receivers_cpu_seconds", self.receivers - before.receivers),
            ("load_cpu_seconds", self.load - before.load),
        ])
    }
}

fn speed(sent: &Sent, received: &Received) -> Figures {
    let receiving = float(received.last_at.saturating_sub(received.first_at)) / 1e6;
    let ms = |micros: u64| float(micros) / 1e3;
    Figures::from([
        ("accepted_events_per_second", float(sent.accepted) / sent.seconds),
        ("deliveries_per_second", float(received.events) / receiving.max(1e-6)),
        ("events_per_request", float(received.events) / float(received.requests.max(1))),
        ("latency_p50_ms", ms(received.latency.p50)),
        ("latency_p99_ms", ms(received.latency.p99)),
        ("latency_p999_ms", ms(received.latency.p999)),
        ("latency_longest_ms", ms(received.latency.longest)),
        ("sending_seconds", sent.seconds),
        ("receiving_seconds", receiving),
    ])
}

fn stored(disk_bytes: &std::collections::BTreeMap<String, u64>, log_bytes: u64, sent: &Sent) -> Figures {
    let events = float(sent.accepted.max(1));
    let all: u64 = disk_bytes.values().sum();
    Figures::from([
        ("disk_bytes_per_event", float(all) / events),
        ("disk_log_bytes_per_event", float(log_bytes) / events),
    ])
}

/// What the engine says of its commits.
struct Commits {
    count: u64,
    seconds: f64,
    p50: f64,
    p99: f64,
}

impl Commits {
    fn from(metrics: &std::collections::BTreeMap<String, f64>) -> Self {
        let get = |name: &str| metrics.get(name).copied().unwrap_or_default();
        Self {
            count: whole(get("writ_commits_total")),
            seconds: get("writ_commit_seconds_sum"),
            p50: get("writ_commit_seconds{quantile=\"0.5\"}"),
            p99: get("writ_commit_seconds{quantile=\"0.99\"}"),
        }
    }

    fn figures(&self, sent: &Sent) -> Figures {
        let count = float(self.count.max(1));
        Figures::from([
            ("commits", float(self.count)),
            ("commit_mean_ms", self.seconds * 1e3 / count),
            ("commit_p50_ms", self.p50 * 1e3),
            ("commit_p99_ms", self.p99 * 1e3),
            ("events_per_commit", float(sent.accepted) / count),
        ])
    }
}

/// The floors' own figures, and the engine's beside them as ratios.
fn floors(figures: &mut Figures, disk: &floor::Disk, http: &floor::Http) {
    let get = |figures: &Figures, name: &str| figures.get(name).copied().unwrap_or_default();
    let group_mean_ms = over(disk.seconds * 1e3, float(disk.groups));
    let rate = over(float(http.deliveries), http.seconds);
    let client_us = over(http.client_cpu_seconds * 1e6, float(http.deliveries));
    let ratios = [
        ("ratio_deliveries_to_http_floor", over(get(figures, "deliveries_per_second"), rate)),
        ("ratio_cpu_per_delivery_to_http_floor", over(get(figures, "engine_cpu_us_per_delivery"), client_us)),
        ("ratio_commit_mean_to_disk_floor", over(get(figures, "commit_mean_ms"), group_mean_ms)),
    ];
    figures.extend(ratios);
    figures.extend([
        ("floor_disk_groups", float(disk.groups)),
        ("floor_disk_group_mean_ms", group_mean_ms),
        ("floor_disk_group_p50_ms", float(disk.group_p50) / 1e3),
        ("floor_disk_group_p99_ms", float(disk.group_p99) / 1e3),
        ("floor_http_deliveries_per_second", rate),
        ("floor_http_client_cpu_us_per_delivery", client_us),
        ("floor_http_receivers_cpu_seconds", http.receivers_cpu_seconds),
    ]);
}

fn conservation(arguments: &Arguments, sent: &Sent, received: &Received) -> Conservation {
    let expected = sent.accepted * arguments.subscribers;
    Conservation {
        accepted: sent.accepted,
        refused: sent.refused,
        subscribers: arguments.subscribers,
        delivered: received.events,
        are_alike: received.are_alike,
        holds: sent.accepted > 0
            && received.events == expected
            && received.are_alike
            && received.unreadable == 0,
    }
}

fn method(arguments: &Arguments) -> Vec<String> {
    let load = match arguments.rate {
        Rate::EventsPerSecond(rate) => format!(
            "Open loop: {rate} events/s are due at even times whatever the answers; latency counts from when an event was due."
        ),
        Rate::Max => format!(
            "Closed loop: as fast as the intake answers, while at most {} events are not yet at every subscriber.",
            arguments.window
        ),
    };
    vec![
        load,
        format!(
            "Mapped CloudEvents over loopback HTTP in batches of {}; one event in {FIRST_SEEN_EVERY} is the first of its subject, the others change a known one.",
            arguments.intake_batch
        ),
        format!(
            "Engine (`writ run`), {} receivers and load generator are three processes on one machine and share its cores; the engine's CPU and memory are its own alone.",
            arguments.subscribers
        ),
        format!("A batch to a subscriber has at most {} events and waits at most {} ms for them.", arguments.batch, arguments.linger_ms),
        "On: schema, default policy bundle, card scan, encryption, fdatasync'd log, signed webhooks, settlement, attestation. Off: TLS.".to_owned(),
        "No warm-up is left out. Latency ends when a receiver has the whole request; all clocks are one.".to_owned(),
        "Disk floor: as many groups of the log's mean bytes per commit as were committed (2,000 or 10 s at most), each written and fdatasync'd.".to_owned(),
        "HTTP floor: an even sample of the engine's own request bodies, posted by a bare client with one connection per receiver (as many requests, 10 s at most).".to_owned(),
    ]
}
