//! What the machine can do without an engine, measured in the same run: the same bytes made durable in the
//! same group sizes, and the same request bodies posted to the same kind of receivers.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::latency::Histogram;
use super::process::Process;
use super::receivers::Receivers;
use super::wire::Wire;
use crate::exit::{Failure, UNAVAILABLE};

/// Groups that the disk's floor writes at most.
const GROUPS_MAX: u64 = 2_000;
/// How long each floor may take.
const LONGEST: Duration = Duration::from_secs(10);

/// The disk's floor.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) groups: u64,
    pub(super) seconds: f64,
    pub(super) group_p50: u64,
    pub(super) group_p99: u64,
}

/// Writes groups of so many bytes into one file of reserved length, each followed by `fdatasync`.
pub(super) fn disk(folder: &Path, groups: u64, group_bytes: usize) -> Result<Disk, Failure> {
    let path = folder.join("floor");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let groups_max = groups.min(GROUPS_MAX);
    let bytes: Vec<u8> =
        (0..group_bytes).map(|index| u8::try_from(index % 251).unwrap_or_default()).collect();
    file.set_len(groups_max * bytes.len() as u64)?;
    file.sync_all()?;
    let mut latency = Histogram::default();
    let started = Instant::now();
    let mut done = 0;
    while done < groups_max && started.elapsed() < LONGEST {
        let group_started = Instant::now();
        file.write_all_at(&bytes, done * bytes.len() as u64)?;
        file.sync_data()?;
        latency.add(u64::try_from(group_started.elapsed().as_micros()).unwrap_or(u64::MAX));
        done += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(Disk { groups: done, seconds, group_p50: latency.quantile(0.5), group_p99: latency.quantile(0.99) })
}

/// The bare HTTP loop's floor.
#[derive(Debug, Default)]
pub(super) struct Http {
    pub(super) deliveries: u64,
    pub(super) seconds: f64,
    pub(super) client_cpu_seconds: f64,
    pub(super) receivers_cpu_seconds: f64,
}

/// Posts the sampled bodies to new receivers, one connection each, as fast as they are answered.
pub(super) async fn http(listeners: usize, bodies: Vec<String>, requests: u64) -> Result<Http, Failure> {
    if bodies.is_empty() {
        return Ok(Http::default());
    }
    let mut receivers = Receivers::start(listeners).await?;
    let bodies: Arc<Vec<Bytes>> = Arc::new(bodies.into_iter().map(Bytes::from).collect());
    let next = Arc::new(AtomicU64::new(0));
    let client_before = Process::own().cpu_seconds();
    let started = Instant::now();
    let mut posting = JoinSet::new();
    for address in receivers.addresses.clone() {
        posting.spawn(post(address, Arc::clone(&bodies), Arc::clone(&next), requests));
    }
    while let Some(ended) = posting.join_next().await {
        ended.map_err(|error| Failure::plain(format!("post to receivers: {error}"), UNAVAILABLE))??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let client_cpu_seconds = Process::own().cpu_seconds() - client_before;
    let received = receivers.received().await?;
    let receivers_cpu_seconds = receivers.process.cpu_seconds();
    Ok(Http { deliveries: received.events, seconds, client_cpu_seconds, receivers_cpu_seconds })
}

async fn post(
    address: String,
    bodies: Arc<Vec<Bytes>>,
    next: Arc<AtomicU64>,
    requests: u64,
) -> Result<(), Failure> {
    let mut wire = Wire::connect(&address).await?;
    let started = Instant::now();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests || started.elapsed() >= LONGEST {
            return Ok(());
        }
        let index = usize::try_from(number % bodies.len() as u64).unwrap_or_default();
        wire.post("/events", "application/cloudevents-batch+json", bodies[index].clone()).await?;
    }
}
