//! `writ bench replay`: a replay of many events to one subscriber beside live lanes, and what the others notice
//! of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use writ_model::replay::Speed;

use super::figure::{float, mib, micros_to_ms, over};
use super::floor;
use super::receiver::Received;
use super::report::{Conservation, Figures, Report, Run};
use super::stage::{Live, Phase, Stage, first};
use super::wire::ask;
use crate::exit::{DOES_NOT_HOLD, Failure, UNAVAILABLE};

/// How often the replay is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Longest wait for the replay.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Events in the log before the replay
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    events: u64,
    /// Live events a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds of live load without the replay
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Replayed events a second at most, or `max`; what a replay does that is not told if not given
    #[arg(long)]
    replay_rate: Option<Speed>,
    /// Webhook subscribers, all of which take everything; the first gets the replay
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=1000))]
    subscribers: u64,
    /// Runs, each with a new store
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// A folder on the disk to measure. The system's temporary one if not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut runs = Vec::new();
    for _ in 0..arguments.runs {
        runs.push(once(&arguments).await?);
    }
    let report = Report::new("replay", method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

/// A replay that is done.
struct Replayed {
    delivered: u64,
    seconds: f64,
}

async fn once(arguments: &Arguments) -> Result<Run, Failure> {
    let mut stage = Stage::start(arguments.folder.as_ref(), arguments.subscribers, json!({})).await?;
    stage.fill(arguments.events).await?;
    let alone = stage.live(&Live::new(arguments.rate, Duration::from_secs(arguments.seconds))).await?;
    let accepted = stage.accepted;
    let at_order = stage.arrived(|received| received.events_least >= accepted).await?;
    let cpu = stage.engine.process.cpu_seconds();
    let live = Live::new(arguments.rate, LONGEST);
    let replay = order(stage.engine.address.clone(), arguments.replay_rate, live.clone());
    let (beside, replayed) = tokio::join!(stage.live(&live), replay);
    let (beside, replayed) = (beside?, replayed?);
    let expected = stage.accepted + replayed.delivered;
    let received = stage.arrived(|received| first(received) >= expected).await?;
    let process = stage.engine.process;
    let mut figures = figures(&alone, &beside, &replayed);
    figures.insert("engine_cpu_seconds", process.cpu_seconds() - cpu);
    figures.insert("engine_rss_peak_mib", mib(process.rss_peak_bytes()));
    let engine_cpu_by_thread = process.cpu_by_thread();
    let samples = stage.receivers.samples().await?;
    let conservation = conservation(&stage, &at_order, &received, replayed.delivered);
    let disk_bytes = stage.engine.stop().await?.disk_bytes()?;
    drop(stage.receivers);
    let http = floor::http(1, samples, replayed.delivered.div_ceil(100)).await?;
    let floor = over(float(http.deliveries), http.seconds);
    figures.insert("floor_http_deliveries_per_second", floor);
    figures.insert("ratio_replay_to_http_floor", over(figures["replayed_events_per_second"], floor));
    Ok(Run { conservation, figures, engine_cpu_by_thread, disk_bytes })
}

/// Orders a replay of everything to the first subscriber and waits for its end; then the live load ends too.
async fn order(address: String, rate: Option<Speed>, live: Live) -> Result<Replayed, Failure> {
    let done = replayed(&address, rate).await;
    live.stop.store(true, Ordering::Relaxed);
    done
}

async fn replayed(address: &str, rate: Option<Speed>) -> Result<Replayed, Failure> {
    let began = Instant::now();
    let body = json!({ "subscriber": "receiver00", "rate_per_second": rate });
    let mut status = ask(address, "/v1/replays", Some(&body)).await?;
    let id = status["id"].as_str().ok_or_else(|| refused(&status))?.to_owned();
    while status["state"] != "done" {
        if began.elapsed() > LONGEST {
            return Err(refused(&status));
        }
        tokio::time::sleep(ASK_EVERY).await;
        status = ask(address, &format!("/v1/replays/{id}"), None).await?;
    }
    let delivered = status["delivered"].as_u64().unwrap_or_default();
    Ok(Replayed { delivered, seconds: began.elapsed().as_secs_f64() })
}

fn refused(status: &Value) -> Failure {
    Failure::plain(format!("the replay does not come to its end: {status}"), UNAVAILABLE)
}

fn figures(alone: &Phase, beside: &Phase, replayed: &Replayed) -> Figures {
    let ratio = |a: u64, b: u64| over(float(a), float(b));
    Figures::from([
        ("live_p50_alone_ms", micros_to_ms(alone.latency.p50)),
        ("live_p99_alone_ms", micros_to_ms(alone.latency.p99)),
        ("live_p50_beside_ms", micros_to_ms(beside.latency.p50)),
        ("live_p99_beside_ms", micros_to_ms(beside.latency.p99)),
        ("ratio_live_p50", ratio(beside.latency.p50, alone.latency.p50)),
        ("ratio_live_p99", ratio(beside.latency.p99, alone.latency.p99)),
        ("live_events_beside", float(beside.sent.accepted)),
        ("replayed_events", float(replayed.delivered)),
        ("replay_seconds", replayed.seconds),
        ("replayed_events_per_second", over(float(replayed.delivered), replayed.seconds)),
    ])
}

/// The first receiver has everything once, and what was there at the order once more; the others everything once.
fn conservation(stage: &Stage, at_order: &Received, received: &Received, replayed: u64) -> Conservation {
    let others = received.counts.split_first().map(|(_, others)| others).unwrap_or_default();
    let are_alike = others.windows(2).all(|pair| pair[0] == pair[1]);
    let (before, after) = (at_order.counts.first(), received.counts.first());
    let twice = before.zip(after).zip(others.first()).is_some_and(|((before, after), other)| {
        after.events == other.events + before.events && after.ids == other.ids.wrapping_add(before.ids)
    });
    let is_whole = others.iter().all(|count| count.events == stage.accepted);
    Conservation {
        accepted: stage.accepted,
        refused: stage.refused,
        subscribers: received.counts.len() as u64,
        delivered: received.events,
        are_alike,
        holds: are_alike && twice && is_whole && replayed == at_order.counts[0].events,
    }
}

fn method(arguments: &Arguments) -> Vec<String> {
    let Arguments { events, rate, seconds, subscribers, .. } = arguments;
    vec![
        format!(
            "{events} events are stored and delivered to {subscribers} webhooks. Then {rate} live events/s for {seconds} s (alone), then the same rate until a replay of the whole log to the first subscriber is done (beside)."
        ),
        "Live latency is that of all subscribers but the first, from when an event was due to its arrival.".to_owned(),
        "Conservation: the first receiver has what was replayed exactly twice and the rest once; the others have everything once.".to_owned(),
        "Engine CPU is that of the phase beside the replay. Floor: an even sample of the engine's own request bodies, posted by a bare client over one connection.".to_owned(),
    ]
}
