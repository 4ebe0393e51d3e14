//! The load: batches of CloudEvents into the HTTP intake, at a fixed rate whatever the answers (open loop) or
//! as fast as they are taken and delivered (closed loop).
//!
//! An event's `time` is when its batch was due, not when a connection was free for it: an engine that falls
//! behind cannot hide that by slowing the load down.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use writ_model::time::Timestamp;

use super::latency::Histogram;
use super::receiver::now_micros;
use super::wire::Wire;
use crate::exit::{Failure, UNAVAILABLE};

/// One event in so many is the first of its subject; the others are changes of one known before.
pub(super) const FIRST_SEEN_EVERY: u64 = 10;

/// What to send.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Events in one request.
    pub(super) batch: u64,
    /// Events a second; `None` for as many as are taken.
    pub(super) rate: Option<f64>,
    /// No request is due later than this.
    pub(super) longest: Duration,
    /// No more events than this.
    pub(super) events_max: u64,
    /// Connections, each with one request at a time.
    pub(super) connections: usize,
    /// In the closed loop: events that may be accepted and not yet delivered to every subscriber.
    pub(super) window: u64,
    /// Nothing more is sent when this is set.
    pub(super) stop: Arc<AtomicBool>,
}

/// What became of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// Events that the intake stored.
    pub(super) accepted: u64,
    /// Events that it did not.
    pub(super) refused: u64,
    /// From the first request to the last answer.
    pub(super) seconds: f64,
    /// How long answers took, from the request, in microseconds.
    pub(super) answers: Histogram,
}

struct Shared {
    address: String,
    plan: Plan,
    started: Instant,
    /// The number of the first event.
    first: u64,
    next: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    answers: Mutex<Histogram>,
    delivered: watch::Receiver<u64>,
}

/// Sends all of it and waits for the answers. `delivered` is what every receiver has, kept up to date by the
/// caller.
pub(super) async fn send(
    address: &str,
    plan: Plan,
    delivered: watch::Receiver<u64>,
) -> Result<Sent, Failure> {
    send_from(address, plan, delivered, 0).await
}

/// The same, with the events from number `first` on: those before were sent earlier.
pub(super) async fn send_from(
    address: &str,
    plan: Plan,
    delivered: watch::Receiver<u64>,
    first: u64,
) -> Result<Sent, Failure> {
    let connections = plan.connections;
    let shared = Arc::new(Shared {
        address: address.to_owned(),
        plan,
        started: Instant::now(),
        first,
        next: AtomicU64::new(first),
        accepted: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        answers: Mutex::default(),
        delivered,
    });
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        senders.spawn(Arc::clone(&shared).send());
    }
    while let Some(ended) = senders.join_next().await {
        ended.map_err(|error| Failure::plain(format!("send the load: {error}"), UNAVAILABLE))??;
    }
    Ok(Sent {
        accepted: shared.accepted.load(Ordering::Relaxed),
        refused: shared.refused.load(Ordering::Relaxed),
        seconds: shared.started.elapsed().as_secs_f64(),
        answers: lock(&shared.answers).clone(),
    })
}

impl Shared {
    async fn send(self: Arc<Self>) -> Result<(), Failure> {
        let mut wire = Wire::connect(&self.address).await?;
        let mut delivered = self.delivered.clone();
        while let Some((first, due)) = self.take() {
            let due = self.wait(due, &mut delivered).await;
            let count = self.plan.batch.min(self.plan.events_max - first);
            let body = batch(first..first + count, due);
            let asked = Instant::now();
            let (_, answer) =
                wire.post("/v1/intake/shop", "application/cloudevents-batch+json", body).await?;
            let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
            lock(&self.answers).add(took);
            let accepted = accepted(&answer);
            self.accepted.fetch_add(accepted, Ordering::Relaxed);
            self.refused.fetch_add(count.saturating_sub(accepted), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The next batch's first event and, in the open loop, when it is due; `None` when all are taken.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn take(&self) -> Option<(u64, Option<Instant>)> {
        let first = self.next.fetch_add(self.plan.batch, Ordering::Relaxed);
        let due = |rate| self.started + Duration::from_secs_f64((first - self.first) as f64 / rate);
        let due = self.plan.rate.map(due);
        let is_over = due.unwrap_or_else(Instant::now) >= self.started + self.plan.longest;
        let is_over = is_over || self.plan.stop.load(Ordering::Relaxed);
        (first < self.plan.events_max && !is_over).then_some((first, due))
    }

    /// Waits until the batch is due, or until the window has room; gives the wall-clock time that it was due.
    async fn wait(&self, due: Option<Instant>, delivered: &mut watch::Receiver<u64>) -> u64 {
        match due {
            Some(due) => {
                tokio::time::sleep_until(due).await;
                let late = u64::try_from(due.elapsed().as_micros()).unwrap_or_default();
                now_micros() - late
            }
            None => {
                let room = |done: &u64| self.accepted.load(Ordering::Relaxed) < done + self.plan.window;
                // The caller has gone: what is left is sent without waiting.
                drop(delivered.wait_for(room).await);
                now_micros()
            }
        }
    }
}

fn lock(answers: &Mutex<Histogram>) -> MutexGuard<'_, Histogram> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch of mapped events: rows of a customer table as they are now.
fn batch(numbers: std::ops::Range<u64>, due_micros: u64) -> Bytes {
    let time = Timestamp(i64::try_from(due_micros).unwrap_or_default());
    let mut body = String::with_capacity(numbers.clone().count() * 256 + 2);
    body.push('[');
    for number in numbers {
        let separator = if body.len() > 1 { "," } else { "" };
        let subject = subject(number);
        write!(
            body,
            r#"{separator}{{"specversion":"1.0","id":"n{number}","source":"/bench","type":"customers","time":"{time}","datacontenttype":"application/json","data":{{"id":"c{subject}","email":"customer{subject}.{number}@example.org","kind":"home"}}}}"#
        )
        .expect("writing to a string does not fail");
    }
    body.push(']');
    body.into()
}

/// The subject of an event: a new one now and then, else any of those before it.
fn subject(number: u64) -> u64 {
    let newest = number / FIRST_SEEN_EVERY;
    if number.is_multiple_of(FIRST_SEEN_EVERY) { newest } else { scramble(number) % (newest + 1) }
}

/// SplitMix64's finaliser: an even spread from a running number.
fn scramble(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    event_ids: Vec<IgnoredAny>,
}

/// How many events an answer of the intake says were stored; a problem document says none.
fn accepted(answer: &[u8]) -> u64 {
    let answer: Option<Answer> = serde_json::from_slice(answer).ok();
    answer.map_or(0, |answer| answer.results.iter().map(|outcome| outcome.event_ids.len() as u64).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_in_ten_is_the_first_of_its_subject() {
        let mut seen = std::collections::BTreeSet::new();
        let fresh = (0..10_000).filter(|number| seen.insert(subject(*number))).count();
        assert_eq!(fresh as u64, 10_000 / FIRST_SEEN_EVERY);
    }

    #[test]
    fn a_batch_is_an_array_of_cloudevents_with_the_time_it_was_due() {
        let body = batch(0..3, 1_700_000_000_000_000);
        let events: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(events.len(), 3);
        assert_eq!(events[2]["time"], "2023-11-14T22:13:20.000000Z");
        assert_eq!(events[2]["id"], "n2");
    }

    #[test]
    fn events_are_counted_by_their_ids_and_problems_count_none() {
        assert_eq!(
            accepted(br#"{"results":[{"result":"accepted","event_ids":["a","b"]},{"result":"duplicate"}]}"#),
            2
        );
        assert_eq!(accepted(br#"{"code":"WRIT-3001"}"#), 0);
    }
}
