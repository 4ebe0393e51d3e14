//! The receivers of a benchmark: one process, one thread, a loopback listener per subscriber. Each request is
//! parsed, counted and answered 204; a receiver that is told to be dead breaks every connection off instead. Ends
//! when its standard input closes, so it never outlives who started it.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use writ_model::time::Timestamp;

use super::latency::Histogram;
use crate::exit::Failure;

/// Request bodies that are kept for the floor, chosen evenly over the run.
const SAMPLES: usize = 32;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many listeners
    #[arg(long)]
    listeners: usize,
}

/// What the process prints first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Addresses {
    /// Where reports are asked for.
    pub(super) control: String,
    /// One per subscriber.
    pub(super) receivers: Vec<String>,
}

/// What arrived so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Received {
    /// Requests.
    pub(super) requests: u64,
    /// Events, over all receivers.
    pub(super) events: u64,
    /// Events at the receiver that has fewest.
    pub(super) events_least: u64,
    /// Every receiver has as many events as every other, and the same ones.
    pub(super) are_alike: bool,
    /// By receiver.
    pub(super) counts: Vec<Count>,
    /// Requests that were not a batch of CloudEvents.
    pub(super) unreadable: u64,
    /// When the first and the last request came, in microseconds of the wall clock.
    pub(super) first_at: u64,
    pub(super) last_at: u64,
    /// From the event's `time` to its arrival.
    pub(super) latency: Latency,
}

/// From an event's `time` to its arrival, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Latency {
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) longest: u64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        Self {
            p50: histogram.quantile(0.5),
            p99: histogram.quantile(0.99),
            p999: histogram.quantile(0.999),
            longest: histogram.quantile(1.0),
        }
    }
}

/// Of an event only what is counted.
#[derive(Deserialize)]
struct Arrived<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// One receiver's events: how many, and the sum of their ids' hashes, which order and batching do not change.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    pub(super) events: u64,
    pub(super) ids: u64,
}

#[derive(Default)]
struct Tally {
    counts: Vec<Count>,
    requests: u64,
    unreadable: u64,
    first_at: u64,
    last_at: u64,
    latency: Histogram,
    /// The latency at all receivers but the first, since the phase began.
    phase: Histogram,
    samples: Vec<Bytes>,
    /// The first receiver is dead.
    is_dead: bool,
}

type Shared = Arc<Mutex<Tally>>;

/// Serves until standard input closes.
pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (closed_tx, closed) = oneshot::channel();
    std::thread::spawn(move || {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        // Nobody waits any more: the process is ending.
        let _ = closed_tx.send(());
    });
    runtime.block_on(serve(arguments.listeners, closed))
}

async fn serve(listeners: usize, closed: oneshot::Receiver<()>) -> Result<ExitCode, Failure> {
    let tally = Tally { counts: vec![Count::default(); listeners], ..Tally::default() };
    let tally = Arc::new(Mutex::new(tally));
    let mut receivers = Vec::with_capacity(listeners);
    for index in 0..listeners {
        receivers.push(listen(Arc::clone(&tally), Some(index)).await?);
    }
    let control = listen(tally, None).await?;
    let mut out = std::io::stdout();
    serde_json::to_writer(&mut out, &Addresses { control, receivers }).map_err(std::io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    drop(closed.await);
    Ok(ExitCode::SUCCESS)
}

/// Listens on a free port: for one subscriber's events, or for requests for reports.
async fn listen(tally: Shared, index: Option<usize>) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if lock(&tally).is_dead(index) {
                continue;
            }
            drop(stream.set_nodelay(true));
            tokio::spawn(connection(stream, Arc::clone(&tally), index));
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream, tally: Shared, index: Option<usize>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&tally), index));
    // A connection that breaks was counted up to its last whole request.
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    tally: Shared,
    index: Option<usize>,
) -> io::Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut tally = lock(&tally);
    let Some(index) = index else { return Ok(Response::new(Full::new(tally.page(&path)))) };
    if tally.is_dead(Some(index)) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    tally.take(index, body);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn lock(tally: &Shared) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    fn is_dead(&self, index: Option<usize>) -> bool {
        self.is_dead && index == Some(0)
    }

    fn take(&mut self, index: usize, body: Bytes) {
        let now = now_micros();
        if self.requests == 0 {
            self.first_at = now;
        }
        self.requests += 1;
        self.last_at = now;
        let Ok(events) = serde_json::from_slice::<Vec<Arrived<'_>>>(&body) else {
            self.unreadable += 1;
            return;
        };
        for event in &events {
            self.counts[index].events += 1;
            self.counts[index].ids = self.counts[index].ids.wrapping_add(fnv(event.id.as_bytes()));
            let Ok(sent) = event.time.parse::<Timestamp>() else { continue };
            let took = now.saturating_sub(u64::try_from(sent.0).unwrap_or_default());
            self.latency.add(took);
            if index > 0 {
                self.phase.add(took);
            }
        }
        drop(events);
        self.sample(body);
    }

    /// Keeps an even sample: the request with number n replaces a kept one with probability `SAMPLES / n`.
    fn sample(&mut self, body: Bytes) {
        if self.samples.len() < SAMPLES {
            return self.samples.push(body);
        }
        let place = fnv(&self.requests.to_le_bytes()) % self.requests;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.samples.get_mut(place)) {
            *kept = body;
        }
    }

    fn page(&mut self, path: &str) -> Bytes {
        let page = match path {
            "/phase" => serde_json::to_vec(&Latency::from(&std::mem::take(&mut self.phase))),
            "/die" | "/live" => {
                self.is_dead = path == "/die";
                serde_json::to_vec(&self.is_dead)
            }
            "/samples" => {
                let texts: Vec<_> = self.samples.iter().map(|body| String::from_utf8_lossy(body)).collect();
                serde_json::to_vec(&texts)
            }
            _ => serde_json::to_vec(&self.received()),
        };
        page.unwrap_or_default().into()
    }

    fn received(&self) -> Received {
        let events = self.counts.iter().map(|count| count.events);
        Received {
            requests: self.requests,
            events: events.clone().sum(),
            events_least: events.min().unwrap_or_default(),
            are_alike: self.counts.windows(2).all(|pair| pair[0] == pair[1]),
            unreadable: self.unreadable,
            first_at: self.first_at,
            last_at: self.last_at,
            counts: self.counts.clone(),
            latency: Latency::from(&self.latency),
        }
    }
}

/// The wall clock in microseconds; the load generator stamps with the same.
pub(super) fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
