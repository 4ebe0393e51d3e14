//! `writ bench outage`: one subscriber is dead for a while; what the others notice of it, what the source does,
//! and how the dead one catches up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::figure::{float, mib, micros_to_ms, over};
use super::floor;
use super::receiver::Received;
use super::receivers;
use super::report::{Conservation, Figures, Report, Run};
use super::stage::{Live, Phase, Stage, first, others_least};
use super::wire::Wire;
use crate::exit::{DOES_NOT_HOLD, Failure, UNAVAILABLE};

/// How often the receivers are asked while the dead one catches up.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Longest wait for it to have caught up.
const LONGEST: Duration = Duration::from_secs(3600);

/// Who is so much behind the others, in seconds of the load, has caught up: a batch is always under way.
const CAUGHT_UP_SECONDS: f64 = 0.25;

/// The outage that the target names.
const HOUR_SECONDS: f64 = 3600.0;

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Live events a second; the default is 10 billion events in a month of 30 days
    #[arg(long, default_value_t = 3858.0)]
    rate: f64,
    /// Seconds of the outage
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Seconds of live load before the outage, and at least after it
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    around: u64,
    /// Webhook subscribers, all of which take everything; the first of them dies
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(2..=1000))]
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
    let report = Report::new("outage", method(&arguments), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

/// What the dead subscriber had to catch up, and how it did.
struct CaughtUp {
    /// Behind the others when it was revived.
    backlog: u64,
    /// Delivered to it until it had caught up, what came meanwhile included.
    delivered: u64,
    seconds: f64,
}

async fn once(arguments: &Arguments) -> Result<Run, Failure> {
    // A dead subscriber is looked at often, so that the catching up begins when it is back.
    let delivery = json!({ "breaker_open": "1s", "retry_longest": "1s", "attempts_max": 1_000_000 });
    let mut stage = Stage::start(arguments.folder.as_ref(), arguments.subscribers, delivery).await?;
    let cpu = stage.engine.process.cpu_seconds();
    let around = Duration::from_secs(arguments.around);
    let before = stage.live(&Live::new(arguments.rate, around)).await?;
    stage.receivers.kill_first().await?;
    let during = stage.live(&Live::new(arguments.rate, Duration::from_secs(arguments.seconds))).await?;
    let live = Live::new(arguments.rate, LONGEST);
    let watcher = stage.receivers.watcher().await?;
    stage.receivers.revive_first().await?;
    let catching_up = catch_up(watcher, around, &live);
    let (after, caught_up) = tokio::join!(stage.live(&live), catching_up);
    let (after, caught_up) = (after?, caught_up?);
    let accepted = stage.accepted;
    let received = stage.arrived(|received| received.events_least >= accepted).await?;
    let process = stage.engine.process;
    let mut figures = figures(arguments, [&before, &during, &after], &caught_up);
    let engine = process.cpu_seconds() - cpu;
    figures.insert("engine_cpu_seconds", engine);
    figures.insert("engine_cpu_us_per_delivery", over(engine * 1e6, float(received.events)));
    figures.insert("engine_rss_peak_mib", mib(process.rss_peak_bytes()));
    let engine_cpu_by_thread = process.cpu_by_thread();
    let samples = stage.receivers.samples().await?;
    let conservation = conservation(&stage, &received);
    let disk_bytes = stage.engine.stop().await?.disk_bytes()?;
    drop(stage.receivers);
    let http = floor::http(1, samples, caught_up.delivered.div_ceil(100)).await?;
    let floor = over(float(http.deliveries), http.seconds);
    figures.insert("floor_http_deliveries_per_second", floor);
    figures.insert("ratio_catch_up_to_http_floor", over(figures["catch_up_events_per_second"], floor));
    Ok(Run { conservation, figures, engine_cpu_by_thread, disk_bytes })
}

/// Waits until the revived receiver has what the others have, and at least so long; then the live load ends.
async fn catch_up(control: Wire, at_least: Duration, live: &Live) -> Result<CaughtUp, Failure> {
    let began = Instant::now();
    let done = caught_up(control, live.rate * CAUGHT_UP_SECONDS).await;
    tokio::time::sleep_until(began + at_least).await;
    live.stop.store(true, Ordering::Relaxed);
    done
}

async fn caught_up(mut control: Wire, near: f64) -> Result<CaughtUp, Failure> {
    let began = Instant::now();
    let at_first = receivers::received(&mut control).await?;
    loop {
        let received = receivers::received(&mut control).await?;
        if float(behind(&received)) <= near {
            return Ok(CaughtUp {
                backlog: behind(&at_first),
                delivered: first(&received) - first(&at_first),
                seconds: began.elapsed().as_secs_f64(),
            });
        }
        if began.elapsed() > LONGEST {
            let text = format!("the first receiver is {} events behind after {LONGEST:?}", behind(&received));
            return Err(Failure::plain(text, UNAVAILABLE));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn behind(received: &Received) -> u64 {
    others_least(received).saturating_sub(first(received))
}

fn figures(arguments: &Arguments, phases: [&Phase; 3], caught_up: &CaughtUp) -> Figures {
    let [before, during, after] = phases;
    let ratio = |phase: &Phase| over(float(phase.latency.p99), float(before.latency.p99));
    let answer = |phase: &Phase, quantile| micros_to_ms(phase.sent.answers.quantile(quantile));
    let speed = over(float(caught_up.delivered), caught_up.seconds);
    let of_an_hour = arguments.rate * HOUR_SECONDS;
    Figures::from([
        ("others_p50_before_ms", micros_to_ms(before.latency.p50)),
        ("others_p50_during_ms", micros_to_ms(during.latency.p50)),
        ("others_p50_after_ms", micros_to_ms(after.latency.p50)),
        ("others_p99_before_ms", micros_to_ms(before.latency.p99)),
        ("others_p99_during_ms", micros_to_ms(during.latency.p99)),
        ("others_p99_after_ms", micros_to_ms(after.latency.p99)),
        ("ratio_others_p99_during", ratio(during)),
        ("ratio_others_p99_after", ratio(after)),
        ("source_answer_p99_before_ms", answer(before, 0.99)),
        ("source_answer_p99_during_ms", answer(during, 0.99)),
        ("source_answer_longest_during_ms", answer(during, 1.0)),
        ("backlog_events", float(caught_up.backlog)),
        ("catch_up_events", float(caught_up.delivered)),
        ("catch_up_seconds", caught_up.seconds),
        ("catch_up_events_per_second", speed),
        ("backlog_share_of_an_hour", over(float(caught_up.backlog), of_an_hour)),
        ("catch_up_seconds_after_an_hour", over(of_an_hour, (speed - arguments.rate).max(0.0))),
    ])
}

fn conservation(stage: &Stage, received: &Received) -> Conservation {
    let subscribers = received.counts.len() as u64;
    let is_whole = received.events == stage.accepted * subscribers && received.unreadable == 0;
    Conservation {
        accepted: stage.accepted,
        refused: stage.refused,
        subscribers,
        delivered: received.events,
        are_alike: received.are_alike,
        holds: received.are_alike && is_whole && stage.refused == 0,
    }
}

fn method(arguments: &Arguments) -> Vec<String> {
    let Arguments { rate, seconds, around, subscribers, .. } = arguments;
    let (backlog, of_an_hour) = (rate * float(*seconds), rate * HOUR_SECONDS);
    vec![
        format!(
            "{rate} events/s to {subscribers} webhooks: {around} s with all of them (before), {seconds} s with the first breaking every connection off (during), then until it has caught up and at least {around} s (after)."
        ),
        format!(
            "An hour is {rate} x 3600 = {of_an_hour:.0} events; this outage is {rate} x {seconds} = {backlog:.0}, {:.1} % of them. What the engine holds for the dead lane is a window of so many events and a place in the log, so memory does not grow with the outage; the log does.",
            100.0 * over(backlog, of_an_hour)
        ),
        "catch_up_seconds_after_an_hour = an hour's events / (catch_up_events_per_second - rate); 0 where it would never catch up.".to_owned(),
        "Latency is that of all subscribers but the first, from when an event was due to its arrival; a source's answer is the intake's 200, given when the events are durable.".to_owned(),
        "Holds: nothing was refused, and in the end every receiver has every event exactly once.".to_owned(),
        "Floor: an even sample of the engine's own request bodies, posted by a bare client over one connection.".to_owned(),
    ]
}
