//! `writ bench append`: durable appends to the log beside raw group-committed appends of the same bytes, in turns.
//! No engine runs: what is measured is the log alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use writ_kernel::gate::Cleared;
use writ_model::id::{Offset, Sequence};
use writ_model::lineage::Ordinals;
use writ_model::time::Timestamp;
use writ_store::disk::RealDisk;
use writ_store::log::{Commit, Log, NewEvent, Opened, Options, Record, SegmentLog};
use writ_store::seal::seal;
use writ_store::vault::SubjectKey;

use super::figure::{count, float, folder, mib, over};
use super::floor;
use super::latency::Histogram;
use super::process::{Process, disk_bytes};
use super::report::{Conservation, Figures, Report, Run};
use super::specimen;
use crate::exit::{DOES_NOT_HOLD, Failure, UNAVAILABLE};

/// Bytes of an intent leaf, about.
const LEAF_BYTES: usize = 1000;

/// Bytes that the log is read back in.
const READ_BYTES: usize = 4 << 20;

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Events in one commit
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=512))]
    group: u64,
    /// Commits in one run
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=2000))]
    commits: u64,
    /// Bytes of text in an event
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    text_bytes: u64,
    /// Runs, each with a new log and a new floor
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// A folder on the disk to measure. The system's temporary one if not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let cleared = specimen::cleared(count(arguments.text_bytes));
    let runs: Result<Vec<Run>, Failure> = (0..arguments.runs).map(|_| once(&arguments, &cleared)).collect();
    let report = Report::new("append", method(&arguments), arguments.clone(), runs?);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

fn once(arguments: &Arguments, cleared: &Cleared) -> Result<Run, Failure> {
    let folder = folder(arguments.folder.as_ref())?;
    let log = folder.path().join("log");
    let appended = append(&log, arguments, cleared)?;
    let bytes = disk_bytes(&log);
    let group_bytes = appended.bytes / arguments.commits;
    let disk = floor::disk(folder.path(), arguments.commits, count(group_bytes.max(1)))?;
    let events = float(arguments.group * arguments.commits);
    let per_second = over(events, appended.seconds);
    let floor = over(float(disk.groups * arguments.group), disk.seconds);
    let figures = Figures::from([
        ("events_per_second", per_second),
        ("floor_events_per_second", floor),
        ("ratio_append_to_floor", over(per_second, floor)),
        ("commit_p50_ms", float(appended.latency.quantile(0.5)) / 1e3),
        ("commit_p99_ms", float(appended.latency.quantile(0.99)) / 1e3),
        ("floor_disk_group_p50_ms", float(disk.group_p50) / 1e3),
        ("floor_disk_group_p99_ms", float(disk.group_p99) / 1e3),
        ("bytes_per_event", float(appended.bytes) / events),
        ("cpu_seconds", appended.cpu_seconds),
        ("cpu_us_per_event", appended.cpu_seconds * 1e6 / events),
        ("rss_peak_mib", mib(Process::own().rss_peak_bytes())),
    ]);
    let accepted = arguments.group * arguments.commits;
    let found = read_back(&log)?;
    Ok(Run {
        conservation: Conservation {
            accepted,
            refused: 0,
            subscribers: 1,
            delivered: found,
            are_alike: true,
            holds: found == accepted,
        },
        figures,
        engine_cpu_by_thread: Process::own().cpu_by_thread(),
        disk_bytes: [("log".to_owned(), bytes)].into(),
    })
}

/// What the appends took.
struct Appended {
    seconds: f64,
    cpu_seconds: f64,
    /// Of frames, about: what the floor writes too.
    bytes: u64,
    latency: Histogram,
}

fn append(dir: &Path, arguments: &Arguments, cleared: &Cleared) -> Result<Appended, Failure> {
    let mut log = open(dir)?;
    let epoch = log.epoch();
    let mut latency = Histogram::default();
    let (mut seconds, mut bytes) = (0.0, 0);
    let mut cpu_seconds = 0.0;
    for number in 0..arguments.commits {
        // Sealing is not the log's.
        let commit = commit(cleared, number * arguments.group, arguments.group)?;
        bytes += commit.events.iter().map(given_bytes).sum::<u64>();
        let cpu = Process::own().cpu_seconds();
        let started = Instant::now();
        log.append(epoch, commit).map_err(|error| failed("append", &error))?;
        seconds += started.elapsed().as_secs_f64();
        cpu_seconds += Process::own().cpu_seconds() - cpu;
        latency.add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(Appended { seconds, cpu_seconds, bytes, latency })
}

fn open(dir: &Path) -> Result<SegmentLog, Failure> {
    let opened = SegmentLog::open(Arc::new(RealDisk), dir, Options::default());
    let Opened { log, .. } = opened.map_err(|error| failed("open a log", &error))?;
    Ok(log)
}

fn commit(cleared: &Cleared, before: u64, events: u64) -> Result<Commit, Failure> {
    let key = SubjectKey([7; 32]);
    let event = |sequence: u64| {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&sequence.to_be_bytes());
        let sealed = seal(cleared.clone(), &key, nonce).map_err(|error| failed("seal an event", &error))?;
        let settle_by = Timestamp(1_764_000_600_000_000);
        let (sequence, ordinals) = (Sequence(sequence), Ordinals::default());
        Ok(NewEvent { sealed, sequence, ordinals, settle_by, intent: vec![b'x'; LEAF_BYTES] })
    };
    let events: Result<Vec<NewEvent>, Failure> = (before + 1..=before + events).map(event).collect();
    Ok(Commit { events: events?, ..Commit::default() })
}

fn given_bytes(event: &NewEvent) -> u64 {
    let parts: usize = event.sealed.parts().iter().map(|part| part.ciphertext.len()).sum();
    (parts + event.intent.len()) as u64
}

/// Events that a new opening finds.
fn read_back(dir: &Path) -> Result<u64, Failure> {
    let log = open(dir)?;
    let mut reader = log.reader();
    let (mut next, mut found) = (Offset::ZERO, 0);
    loop {
        let records = reader.read(next, READ_BYTES).map_err(|error| failed("read the log back", &error))?;
        let Some(last) = records.last() else { return Ok(found) };
        next = last.offset().next();
        found += records.iter().filter(|record| matches!(record, Record::Event(_))).count() as u64;
    }
}

fn failed(tried: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::plain(format!("{tried}: {error}"), UNAVAILABLE)
}

fn method(arguments: &Arguments) -> Vec<String> {
    let Arguments { group, commits, text_bytes, .. } = arguments;
    vec![
        format!(
            "{commits} commits of {group} sealed events of {text_bytes} bytes of text, each with an intent leaf of {LEAF_BYTES} bytes, appended to a new log: one frame, one write, one fdatasync for each commit."
        ),
        "Floor, in the same run: as many writes of as many bytes into a file of reserved length, an fdatasync after each.".to_owned(),
        "Sealing is not counted. CPU and memory are this process's own; CPU is read in hundredths of a second around each append.".to_owned(),
        "Holds: a new opening of the log finds every event.".to_owned(),
    ]
}
