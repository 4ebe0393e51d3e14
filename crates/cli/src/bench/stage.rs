//! What benchmarks of several phases share: an engine, its receivers, and a load that goes on where it stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::engine::{Engine, Setup, Stopped};
use super::figure::{count, folder};
use super::load::{self, Plan, Sent};
use super::receiver::{Latency, Received};
use super::receivers::Receivers;
use crate::exit::{Failure, UNAVAILABLE};

/// How often the receivers are asked: the resolution of what is measured.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// Longest wait for deliveries, and for a store to be filled.
const LONGEST: Duration = Duration::from_secs(3600);

/// Events in one request to the intake, in a phase of live load and where a store is only filled.
const LIVE_BATCH: u64 = 20;
const FILL_BATCH: u64 = 100;

/// A running engine with its receivers.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) receivers: Receivers,
    /// Events that the intake stored.
    pub(super) accepted: u64,
    /// Events that it did not.
    pub(super) refused: u64,
}

/// One without its engine.
pub(super) struct Killed {
    stopped: Stopped,
    receivers: Receivers,
    accepted: u64,
    refused: u64,
}

/// A stretch of live load, and how it went at all receivers but the first.
pub(super) struct Phase {
    pub(super) sent: Sent,
    pub(super) latency: Latency,
}

/// Live load that goes on until somebody stops it.
#[derive(Clone)]
pub(super) struct Live {
    /// Events a second.
    pub(super) rate: f64,
    pub(super) longest: Duration,
    pub(super) stop: Arc<AtomicBool>,
}

impl Live {
    pub(super) fn new(rate: f64, longest: Duration) -> Self {
        Self { rate, longest, stop: Arc::default() }
    }
}

impl Stage {
    /// Starts on a new store. `delivery` is what every subscriber's deliveries are configured with beside their
    /// batches.
    pub(super) async fn start(
        parent: Option<&PathBuf>,
        subscribers: u64,
        delivery: Value,
    ) -> Result<Self, Failure> {
        let receivers = Receivers::start(count(subscribers)).await?;
        let setup = Setup { delivery, ..Setup::from_intake(&receivers.addresses, 100) };
        let engine = Engine::start(folder(parent)?, &setup).await?;
        Ok(Self { engine, receivers, accepted: 0, refused: 0 })
    }

    /// SIGKILL.
    pub(super) async fn kill(self) -> Result<Killed, Failure> {
        let Self { engine, receivers, accepted, refused } = self;
        Ok(Killed { stopped: engine.kill().await?, receivers, accepted, refused })
    }

    /// Stores so many events, as fast as they are taken, and waits until every receiver has them.
    pub(super) async fn fill(&mut self, events: u64) -> Result<(), Failure> {
        let plan = Plan {
            batch: FILL_BATCH.min(events),
            rate: None,
            longest: LONGEST,
            events_max: self.next() + events,
            connections: if events > 1 { 4 } else { 1 },
            window: 1,
            stop: Arc::default(),
        };
        self.send(plan).await?;
        let accepted = self.accepted;
        self.arrived(|received| received.events_least >= accepted).await.map(drop)
    }

    /// Sends live load and waits until all receivers but the first have it.
    pub(super) async fn live(&mut self, live: &Live) -> Result<Phase, Failure> {
        let _earlier = self.receivers.phase().await?;
        let sent = self.send(self.plan(live)).await?;
        let accepted = self.accepted;
        self.arrived(|received| others_least(received) >= accepted).await?;
        Ok(Phase { sent, latency: self.receivers.phase().await? })
    }

    /// What [`Stage::live`] sends; for who does something else meanwhile.
    fn plan(&self, live: &Live) -> Plan {
        Plan {
            batch: LIVE_BATCH,
            rate: Some(live.rate),
            longest: live.longest,
            events_max: u64::MAX,
            connections: 16,
            window: 1,
            stop: Arc::clone(&live.stop),
        }
    }

    /// The number of the next event.
    fn next(&self) -> u64 {
        self.accepted + self.refused
    }

    async fn send(&mut self, plan: Plan) -> Result<Sent, Failure> {
        // Nobody tells of deliveries, so nothing waits for them.
        let (gone, delivered) = watch::channel(0);
        drop(gone);
        let sent = load::send_from(&self.engine.address, plan, delivered, self.next()).await;
        let sent = sent.map_err(|error| self.engine.trouble(&error.to_string()))?;
        self.accepted += sent.accepted;
        self.refused += sent.refused;
        Ok(sent)
    }

    /// Waits until the receivers are as far as `is_there` says.
    pub(super) async fn arrived(
        &mut self,
        is_there: impl Fn(&Received) -> bool,
    ) -> Result<Received, Failure> {
        let began = Instant::now();
        loop {
            let received = self.receivers.received().await?;
            if is_there(&received) {
                return Ok(received);
            }
            if began.elapsed() > LONGEST {
                let text = format!("events did not arrive in {LONGEST:?}");
                return Err(Failure::plain(text, UNAVAILABLE));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

impl Killed {
    /// Starts the engine once more on the same store.
    pub(super) async fn again(self) -> Result<Stage, Failure> {
        let Self { stopped, receivers, accepted, refused } = self;
        Ok(Stage { engine: Engine::again(stopped).await?, receivers, accepted, refused })
    }
}

/// Events at the one that has fewest, the first receiver left out.
pub(super) fn others_least(received: &Received) -> u64 {
    received.counts.iter().skip(1).map(|count| count.events).min().unwrap_or(u64::MAX)
}

/// Events at the first receiver.
pub(super) fn first(received: &Received) -> u64 {
    received.counts.first().map_or(0, |count| count.events)
}
