//! Reads committed events that memory no longer holds: for lanes that lag, for retries, for traces.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use writ_kernel::dispatch::{Item, LaneId};
use writ_kernel::route::Router;
use writ_model::cloudevent::Placement;
use writ_model::envelope::PrivatePart;
use writ_model::id::{Generation, Offset, SubjectId};
use writ_store::error::ReadError;
use writ_store::log::{LogReader, Record, StoredEvent};
use writ_store::seal;
use writ_store::vault::{Purpose, Vault};

use super::express::{Looker, Sight};
use super::lanes::wanted;
use super::passage::{Passage, Passages, Passed};
use crate::payload::{Event, Outline, Payloads, Stretch};

/// The vault, shared between the writer and the readers.
pub(crate) type SharedVault = Arc<Mutex<Box<dyn Vault>>>;

/// Bytes of log that one step of a load covers.
const LOAD_BYTES: usize = 128 << 10;

/// Events of one load that lie further apart are looked for one by one.
const NEAR: u64 = 1024;

/// Bytes of log that one cold read covers at most, for all lanes that are behind; a lane that matches little reads
/// again.
const COLD_READ_BYTES: usize = 1 << 20;

/// Readers at a time: while one has the log, another opens what it read. More of them would wait for the log's
/// lock, each on a thread of its own with what the allocator keeps for a thread.
const AT_ONCE: usize = 2;

/// A lane whose read failed asks again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The disk or the vault did not give it now; the reason is logged. It may be asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads from disk, opens payloads, shares what it read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ColdReader {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

pub(super) struct Shared {
    /// For lanes and replays that read on.
    log: Mutex<Box<dyn LogReader>>,
    /// What lanes had read of it. Locked before `log`, while a passage is read too: who wants the same one waits for it.
    passages: Mutex<Passages>,
    /// For the attempts that follow far behind: each of the two goes forward, and a reader that jumps reads whole
    /// commits again.
    behind: Mutex<Box<dyn LogReader>>,
    vault: SharedVault,
    router: Arc<Router>,
    payloads: Arc<Payloads>,
}

impl ColdReader {
    pub(crate) fn new(
        log: Box<dyn LogReader>,
        vault: SharedVault,
        router: Arc<Router>,
        payloads: Arc<Payloads>,
    ) -> Self {
        let behind = Mutex::new(log.another());
        let shared = Arc::new(Shared {
            log: Mutex::new(log),
            passages: Mutex::default(),
            behind,
            vault,
            router,
            payloads,
        });
        Self { shared, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs a read on a thread that may block, when its turn has come. A caller that has gone meanwhile leaves
    /// the read to its end, and its turn with it.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T, Unreadable> {
        let turn = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Unreadable)?;
        let shared = Arc::clone(&self.shared);
        let read = move || {
            let _turn = turn;
            read(&shared)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Unreadable))
    }

    /// One event, from memory or disk; `None` when it is not (or no longer) in the log.
    pub(crate) async fn event(&self, offset: Offset) -> Result<Option<Arc<Event>>, Unreadable> {
        Ok(self.events(vec![offset]).await?.pop().flatten())
    }

    /// Several events, in the order asked for, from memory or disk; `None` in the place of one that is not (or no
    /// longer) in the log.
    pub(crate) async fn events(&self, offsets: Vec<Offset>) -> Result<Vec<Option<Arc<Event>>>, Unreadable> {
        let known = self.shared.payloads.all(&offsets);
        if known.iter().all(Option::is_some) {
            return Ok(known);
        }
        self.blocking(move |shared| shared.load(&offsets)).await
    }

    /// One event, from memory or disk. Blocking.
    pub(crate) fn load(&self, offset: Offset) -> Result<Option<Arc<Event>>, Unreadable> {
        Ok(self.shared.load(&[offset])?.pop().flatten())
    }

    /// Matching items from `stretch.from` on and where to read on; nothing read on, after a while, when the
    /// disk does not give them.
    pub(crate) async fn offer(
        &self,
        base: LaneId,
        subscriber: String,
        stretch: Stretch,
    ) -> (Vec<Item>, Offset) {
        if let Ok(offered) = self.blocking(move |shared| shared.offer(base, &subscriber, stretch)).await {
            return offered;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        (Vec::new(), stretch.from)
    }

    /// Records as they are stored. Blocking.
    pub(crate) fn records(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Unreadable> {
        read(&self.shared.log, from, bytes_max)
    }

    /// The event at an offset as it is stored; `None` when there is none. Blocking.
    pub(crate) fn stored_at(&self, offset: Offset) -> Result<Option<StoredEvent>, Unreadable> {
        event_at(&self.shared.log, offset)
    }

    /// Events as they are stored, and where to read on: `from` where the log ends there. Blocking.
    pub(crate) fn stored_from(
        &self,
        from: Offset,
        bytes_max: usize,
    ) -> Result<(Vec<StoredEvent>, Offset), Unreadable> {
        events(&self.shared.log, from, bytes_max)
    }

    /// A stored event with its payload opened by the keys of now. Blocking.
    pub(crate) fn open(&self, stored: StoredEvent) -> Result<Event, Unreadable> {
        self.shared.open(stored)
    }

    /// The event read and opened anew, shared with nobody; `None` when it is not in the log.
    pub(crate) async fn reopened(&self, offset: Offset) -> Result<Option<Event>, Unreadable> {
        let read = move |shared: &Shared| {
            event_at(&shared.log, offset)?.map(|stored| shared.open(stored)).transpose()
        };
        self.blocking(read).await
    }

    /// The subject's present life. Blocking.
    pub(crate) fn generation(&self, subject: SubjectId) -> Result<Option<Generation>, Unreadable> {
        let vault = self.shared.vault.lock().unwrap_or_else(PoisonError::into_inner);
        vault.generation(subject).map_err(|error| {
            tracing::error!(error = %error, "key vault failed");
            Unreadable
        })
    }

    /// Which of these payloads' keys are gone by now, in the order asked for.
    pub(crate) async fn are_shredded(
        &self,
        payloads: Vec<(SubjectId, Generation)>,
    ) -> Result<Vec<bool>, Unreadable> {
        let look = move |shared: &Shared| {
            let vault = shared.vault.lock().unwrap_or_else(PoisonError::into_inner);
            let is_gone = |(subject, generation): &(SubjectId, Generation)| {
                vault.key(*subject, *generation, Purpose::Content).map(|key| key.is_none())
            };
            payloads.iter().map(is_gone).collect::<Result<_, _>>().map_err(|_| Unreadable)
        };
        self.blocking(look).await
    }

    /// A reader of its own, for who reads much.
    pub(crate) fn reader(&self) -> Box<dyn LogReader> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).another()
    }

    /// The oldest offset that the log still holds.
    pub(crate) fn start(&self) -> Offset {
        self.shared.start()
    }
}

impl Shared {
    fn start(&self) -> Offset {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).start()
    }

    /// Events in the order asked for, from memory where it has them by now.
    fn load(&self, offsets: &[Offset]) -> Result<Vec<Option<Arc<Event>>>, Unreadable> {
        let mut events = self.payloads.all(offsets);
        let missing = events.iter().zip(offsets).filter(|(event, _)| event.is_none());
        let mut missing: BTreeSet<Offset> = missing.map(|(_, offset)| *offset).collect();
        while let Some(first) = missing.first().copied() {
            for event in self.sweep(first, &mut missing)? {
                let places = offsets.iter().zip(&mut events).filter(|(offset, _)| **offset == event.offset);
                places.for_each(|(_, place)| *place = Some(Arc::clone(&event)));
            }
        }
        Ok(events)
    }

    /// Reads on from the first of the missing events as long as the next one is near, and gives those it met.
    /// Whatever it passed is missing no more, in the log or not. What lies between and behind them is shelved too:
    /// a lane that lags asks for it next.
    fn sweep(&self, first: Offset, missing: &mut BTreeSet<Offset>) -> Result<Vec<Arc<Event>>, Unreadable> {
        let mut met = Vec::new();
        let mut next = first;
        while missing.first().is_some_and(|offset| offset.0 < next.0.saturating_add(NEAR)) {
            let (read, through) = events(&self.behind, next, LOAD_BYTES)?;
            let passed = if through == next { Offset(u64::MAX) } else { through };
            for stored in read {
                let is_missing = missing.contains(&stored.offset);
                if !is_missing && self.payloads.get(stored.offset).is_some() {
                    continue;
                }
                let event = match self.open(stored) {
                    Ok(event) => Arc::new(event),
                    Err(unreadable) if is_missing => return Err(unreadable),
                    Err(Unreadable) => continue,
                };
                self.payloads.shelve(Arc::clone(&event));
                met.extend(is_missing.then_some(event));
            }
            missing.retain(|offset| *offset >= passed);
            next = passed;
        }
        Ok(met)
    }

    /// Matching items from `stretch.from` on, and where to read on.
    fn offer(
        &self,
        base: LaneId,
        subscriber: &str,
        stretch: Stretch,
    ) -> Result<(Vec<Item>, Offset), Unreadable> {
        let shown = self.payloads.shown();
        let passage = self.passage(stretch.from)?;
        Ok(passage.offer((base, subscriber), stretch, shown))
    }

    /// Matching express events from an offset on, and where to look on: one step of a search.
    pub(super) fn express(
        &self,
        base: LaneId,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<Sight>, Offset), Unreadable> {
        let shown = self.payloads.shown();
        let passage = self.passage(from)?;
        Ok(passage.express(base, from, limit, shown))
    }

    /// What the log has from an offset on, or from before it.
    fn passage(&self, from: Offset) -> Result<Arc<Passage>, Unreadable> {
        let mut passages = self.passages.lock().unwrap_or_else(PoisonError::into_inner);
        let start = self.start();
        if from < start {
            return Err(unread(from, &ReadError::BehindRetention { from, start }));
        }
        passages.holding(from, || {
            let (events, through) = events(&self.log, from, COLD_READ_BYTES)?;
            if through == from {
                // At least one is stored there: a lane whose stretch begins at the end is not sent to the disk.
                return Err(Unreadable);
            }
            Ok(Passage {
                from,
                through,
                events: events.into_iter().map(|event| self.passed(event)).collect(),
            })
        })
    }

    fn passed(&self, stored: StoredEvent) -> Passed {
        let StoredEvent { header, decision, offset, bytes, .. } = stored;
        let lanes = wanted(&self.router, &header, decision.class);
        Passed { header, decision, offset, bytes, lanes }
    }

    /// One event as a lane sees it; `None` when it is not for that lane, or not in the log any more.
    pub(super) fn item(&self, looker: &Looker, offset: Offset) -> Result<Option<Item>, Unreadable> {
        let subscriber = looker.subscriber.as_str();
        if let Some(event) = self.payloads.get(offset) {
            return Ok(event.lanes.contains(&looker.lane).then(|| event.item(subscriber)));
        }
        let stored = event_at(&self.behind, offset)?.filter(|stored| self.goes_to(looker.lane, stored));
        Ok(stored.map(|stored| outline(&stored).item(subscriber)))
    }

    fn goes_to(&self, base: LaneId, stored: &StoredEvent) -> bool {
        self.router.matches(&stored.header, stored.decision.class).any(|lane| lane == usize::from(base.0))
    }

    fn open(&self, stored: StoredEvent) -> Result<Event, Unreadable> {
        let private = self.private(&stored)?;
        let lanes = wanted(&self.router, &stored.header, stored.decision.class);
        Ok(Event {
            offset: stored.offset,
            placement: Placement {
                sequence: stored.sequence,
                class: stored.decision.class,
                ordinals: stored.ordinals,
            },
            header: stored.header,
            decision: stored.decision,
            intent_index: stored.intent_index,
            intent: None,
            settle_by: stored.settle_by,
            bytes: stored.bytes,
            lanes,
            private: Mutex::new(private),
            view: OnceLock::new(),
        })
    }

    /// The payload; `None` when its key was destroyed or it does not open (which is logged).
    fn private(&self, stored: &StoredEvent) -> Result<Option<PrivatePart>, Unreadable> {
        let Some(part) = stored.parts.first() else { return Ok(None) };
        let vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
        let key = vault.key(part.subject_id, part.generation, Purpose::Content);
        drop(vault);
        let key = key.map_err(|error| {
            tracing::error!(offset = stored.offset.0, error = %error, "key vault failed");
            Unreadable
        })?;
        let open = |key| seal::open(part, &stored.header, &key);
        let opened = key.map(open).transpose().inspect_err(
            |error| tracing::error!(offset = stored.offset.0, error = %error, "payload does not open"),
        );
        Ok(opened.ok().flatten())
    }
}

fn read(log: &Mutex<Box<dyn LogReader>>, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Unreadable> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.read(from, bytes_max).map_err(|error| unread(from, &error))
}

/// Events alone, and where to read on.
fn events(
    log: &Mutex<Box<dyn LogReader>>,
    from: Offset,
    bytes_max: usize,
) -> Result<(Vec<StoredEvent>, Offset), Unreadable> {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.events(from, bytes_max).map_err(|error| unread(from, &error))
}

/// The event at an offset; `None` when another record is there, or nothing.
fn event_at(log: &Mutex<Box<dyn LogReader>>, offset: Offset) -> Result<Option<StoredEvent>, Unreadable> {
    let (events, _) = events(log, offset, 1)?;
    Ok(events.into_iter().next().filter(|event| event.offset == offset))
}

fn unread(from: Offset, error: &ReadError) -> Unreadable {
    tracing::error!(offset = from.0, error = %error, "log read failed");
    Unreadable
}

fn outline(stored: &StoredEvent) -> Outline<'_> {
    let StoredEvent { header, decision, offset, bytes, .. } = stored;
    Outline { header, decision, offset: *offset, bytes: *bytes }
}
