//! `writ bench disk`: how long synced writes take on a disk at the pace and size of the ceiling's commits, alone and while
//! other files are written beside them. No part of the engine runs: it is the floor under every latency.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::figure::{count, float, folder, mib};
use super::latency::Histogram;
use super::process::Process;
use super::report::{Conservation, Figures, Report, Run};
use crate::exit::{DOES_NOT_HOLD, Failure};

/// A file beside is removed when so many newer ones are there.
const FILES_KEPT: usize = 2;

/// Size of a file beside.
const FILE_MIB: u64 = 64;

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Seconds of each of the two halves
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Synced writes a second
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    per_second: u64,
    /// Bytes in each of them
    #[arg(long, default_value_t = 280_000, value_parser = clap::value_parser!(u64).range(1..=16_777_216))]
    bytes: u64,
    /// MiB a second that are written to other files, unsynced, in the second half
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=2000))]
    beside_mib: u64,
    /// Runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// A folder on the disk to measure. The system's temporary one if not given
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let runs: Result<Vec<Run>, Failure> = (0..arguments.runs).map(|_| once(&arguments)).collect();
    let report = Report::new("disk", method(&arguments), arguments.clone(), runs?);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

fn once(arguments: &Arguments) -> Result<Run, Failure> {
    let folder = folder(arguments.folder.as_ref())?;
    let alone = writes(&folder.path().join("alone"), arguments)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let beside = {
        let (path, is_over, per_second) =
            (folder.path().to_owned(), Arc::clone(&is_over), arguments.beside_mib);
        std::thread::spawn(move || files(&path, per_second, &is_over))
    };
    let crowded = writes(&folder.path().join("beside"), arguments);
    is_over.store(true, Ordering::Release);
    let written = beside.join().map_err(|_| io::Error::other("the writer beside panicked"))??;
    let crowded = crowded?;
    let expected = 2 * arguments.seconds * arguments.per_second;
    let ms = |histogram: &Histogram, quantile| float(histogram.quantile(quantile)) / 1e3;
    let figures = Figures::from([
        ("alone_p50_ms", ms(&alone.latency, 0.5)),
        ("alone_p99_ms", ms(&alone.latency, 0.99)),
        ("alone_p999_ms", ms(&alone.latency, 0.999)),
        ("alone_longest_ms", ms(&alone.latency, 1.0)),
        ("beside_p50_ms", ms(&crowded.latency, 0.5)),
        ("beside_p99_ms", ms(&crowded.latency, 0.99)),
        ("beside_p999_ms", ms(&crowded.latency, 0.999)),
        ("beside_longest_ms", ms(&crowded.latency, 1.0)),
        ("beside_other_mib_per_second", float(written) / float(arguments.seconds)),
        ("rss_peak_mib", mib(Process::own().rss_peak_bytes())),
    ]);
    let done = alone.count + crowded.count;
    Ok(Run {
        conservation: Conservation {
            accepted: expected,
            refused: 0,
            subscribers: 1,
            delivered: done,
            are_alike: true,
            // A disk that does not keep the pace does fewer in the time: that is a figure, not a fault.
            holds: done > 0 && done <= expected,
        },
        figures,
        engine_cpu_by_thread: Process::own().cpu_by_thread(),
        disk_bytes: [("synced".to_owned(), done * arguments.bytes)].into(),
    })
}

struct Written {
    count: u64,
    latency: Histogram,
}

/// Writes and syncs at an even pace into a file whose length is reserved, as the log's segments are. What is late is
/// done at once, and its latency counts from its own beginning.
fn writes(path: &Path, arguments: &Arguments) -> Result<Written, Failure> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    let total = arguments.seconds * arguments.per_second;
    file.set_len(total * arguments.bytes)?;
    let bytes = vec![b'x'; count(arguments.bytes)];
    let (mut latency, mut done) = (Histogram::default(), 0);
    let every = Duration::from_secs(1) / u32::try_from(arguments.per_second).unwrap_or(u32::MAX);
    let (begun, end) = (Instant::now(), Duration::from_secs(arguments.seconds));
    for number in 0..total {
        let due = every.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        if begun.elapsed() >= end {
            break;
        }
        let started = Instant::now();
        file.write_all_at(&bytes, number * arguments.bytes)?;
        file.sync_data()?;
        latency.add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        done += 1;
    }
    Ok(Written { count: done, latency })
}

/// Writes files at a pace, unsynced, and removes the oldest, as a key-value engine does. Gives the MiB.
fn files(folder: &Path, per_second: u64, is_over: &AtomicBool) -> io::Result<u64> {
    const MIB: &[u8] = &[b'y'; 1 << 20];
    let (mut written, begun) = (0_u64, Instant::now());
    let mut file = File::create(folder.join("file-0"))?;
    while !is_over.load(Ordering::Acquire) {
        let due = Duration::from_secs_f64(float(written) / float(per_second));
        std::thread::sleep(due.saturating_sub(begun.elapsed()).min(Duration::from_millis(100)));
        if begun.elapsed() < due {
            continue;
        }
        file.write_all(MIB)?;
        written += 1;
        if written.is_multiple_of(FILE_MIB) {
            let number = written / FILE_MIB;
            file = File::create(folder.join(format!("file-{number}")))?;
            if let Some(old) = number.checked_sub(FILES_KEPT as u64) {
                std::fs::remove_file(folder.join(format!("file-{old}")))?;
            }
        }
    }
    Ok(written)
}

fn method(arguments: &Arguments) -> Vec<String> {
    let Arguments { seconds, per_second, bytes, beside_mib, .. } = arguments;
    vec![
        format!(
            "{per_second} writes a second of {bytes} bytes, each followed by fdatasync, into a file of reserved length."
        ),
        format!(
            "{seconds} s alone, then {seconds} s while another thread writes {beside_mib} MiB a second to files of {FILE_MIB} MiB, unsynced, and removes all but the last {FILES_KEPT}."
        ),
        "No part of the engine runs; a latency is that of one write with its sync.".to_owned(),
    ]
}
