//! The contract of pull sources: resume from any recorded progress, in order, bounded, safe to drop, and
//! stopping when told.

use tokio::sync::{mpsc, watch};
use writ_model::change::Change;
use writ_model::control::SourceProgress;
use writ_model::id::Position;

use crate::source::{Durable, Emit, Feed, PullSource};

/// Changes that each part of the suite makes; several batches' worth for most sources.
const CHANGES: usize = 700;

/// The system behind a source, as the suite needs it.
pub trait Upstream {
    /// A new source over the system; any number, one after the other.
    fn source(&self) -> Box<dyn PullSource>;

    /// Makes so many changes, each of one record.
    fn change(&self, count: usize);
}

struct Running {
    emitted: mpsc::Receiver<Emit>,
    durable: watch::Sender<Durable>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), crate::source::SourceError>>,
}

/// A channel of one: a source that counts on more would stand still.
fn start(mut source: Box<dyn PullSource>, from: Option<SourceProgress>) -> Running {
    let (emit, emitted) = mpsc::channel(1);
    let (durable_in, durable) = watch::channel(Durable::default());
    let (stop_in, stop) = watch::channel(false);
    let task = tokio::spawn(async move { source.run(from, Feed { emit, durable, stop }).await });
    Running { emitted, durable: durable_in, stop: stop_in, task }
}

impl Running {
    async fn next(&mut self) -> (Vec<Change>, SourceProgress) {
        loop {
            match self.emitted.recv().await.expect("the source goes on until it is stopped") {
                Emit::Changes { changes, progress } => return (changes, progress),
                Emit::Snapshot { .. } | Emit::Health { .. } => {}
            }
        }
    }

    /// Reads until so many changes came.
    async fn take(&mut self, count: usize) -> Vec<(Vec<Change>, SourceProgress)> {
        let mut batches = Vec::new();
        let mut taken = 0;
        while taken < count {
            let batch = self.next().await;
            taken += batch.0.len();
            batches.push(batch);
        }
        batches
    }

    async fn stop(mut self) {
        self.stop.send(true).expect("the source listens");
        while self.emitted.recv().await.is_some() {}
        self.task.await.expect("the source does not panic").expect("a stopped source ends well");
    }
}

/// Puts a source through its contract. The upstream is new, with empty tables.
///
/// # Panics
/// With what is broken.
pub async fn pull(upstream: &dyn Upstream) {
    let mut first = start(upstream.source(), None);
    let (snapshot, start_at) = first.next().await;
    assert!(snapshot.is_empty(), "empty tables have an empty snapshot");
    upstream.change(CHANGES);
    let batches = first.take(CHANGES).await;
    first.stop().await;
    in_order(&batches);
    resumes(upstream, &start_at, &batches).await;
    survives_a_drop(upstream, &start_at).await;
    acknowledges(upstream, &start_at).await;
}

fn in_order(batches: &[(Vec<Change>, SourceProgress)]) {
    let mut last = Position::default();
    for (changes, progress) in batches {
        for change in changes {
            assert!(change.position > last, "positions only grow");
            last = change.position;
        }
        assert!(progress.position >= last, "progress covers what was sent");
    }
}

async fn resumes(
    upstream: &dyn Upstream,
    start_at: &SourceProgress,
    batches: &[(Vec<Change>, SourceProgress)],
) {
    let all: Vec<&Change> = batches.iter().flat_map(|(changes, _)| changes).collect();
    for from in std::iter::once(start_at).chain(batches.iter().map(|(_, progress)| progress)) {
        let expected: Vec<&Change> = all.iter().copied().filter(|c| c.position > from.position).collect();
        let mut again = start(upstream.source(), Some(from.clone()));
        let seen = again.take(expected.len()).await;
        again.stop().await;
        // Duplicates from before the place are allowed; a difference after it is not.
        let seen = seen.iter().flat_map(|(changes, _)| changes).filter(|c| c.position > from.position);
        assert!(seen.eq(expected), "resuming gives the same changes under the same positions");
    }
}

async fn survives_a_drop(upstream: &dyn Upstream, start_at: &SourceProgress) {
    let mut dropped = start(upstream.source(), Some(start_at.clone()));
    let (_, progress) = dropped.next().await;
    dropped.task.abort();
    assert!(dropped.task.await.is_err_and(|error| error.is_cancelled()), "a run can be dropped");
    upstream.change(1);
    let mut again = start(upstream.source(), Some(progress.clone()));
    let (changes, later) = again.next().await;
    assert!(!changes.is_empty() && later.position > progress.position, "the next run goes on");
    again.stop().await;
}

/// Ends with everything acknowledged: only changes after the place are still owed.
async fn acknowledges(upstream: &dyn Upstream, start_at: &SourceProgress) {
    let mut source = start(upstream.source(), Some(start_at.clone()));
    let (_, progress) = source.take(CHANGES + 1).await.pop().expect("a last batch");
    let through = Some((progress.incarnation.clone(), progress.position));
    source.durable.send(Durable { through }).expect("the source listens");
    source.stop().await;
    upstream.change(1);
    let mut again = start(upstream.source(), Some(progress.clone()));
    let seen = again.take(1).await;
    let fresh =
        seen.iter().flat_map(|(changes, _)| changes).filter(|c| c.position > progress.position).count();
    assert_eq!(fresh, 1, "after an acknowledgement the source goes on behind it");
    again.stop().await;
}
