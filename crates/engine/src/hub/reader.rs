//! Reads committed events that memory no longer holds: for lanes that lag, for retries, for traces.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use writ_kernel::dispatch::{Item, LaneId};
use writ_kernel::route::Router;
use writ_model::cloudevent::Placement;
use writ_model::envelope::PrivatePart;
use writ_model::id::{Generation, Offset, SubjectId};
use writ_store::log::{LogReader, Record, StoredEvent};
use writ_store::seal;
use writ_store::vault::{Purpose, Vault};

use super::lanes::wanted;
use crate::payload::{Event, Payloads, Stretch};

/// The vault, shared between the writer and the readers.
pub(crate) type SharedVault = Arc<Mutex<Box<dyn Vault>>>;

/// Bytes of log that the read of a single event covers.
const LOAD_BYTES: usize = 64 << 10;

/// Bytes of log that one cold read covers at most; a lane that matches little reads again.
const COLD_READ_BYTES: usize = 1 << 20;

/// A lane whose read failed asks again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The disk or the vault did not give it now; the reason is logged. It may be asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads from disk, opens payloads, shares what it read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ColdReader {
    shared: Arc<Shared>,
}

struct Shared {
    log: Mutex<Box<dyn LogReader>>,
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
        Self { shared: Arc::new(Shared { log: Mutex::new(log), vault, router, payloads }) }
    }

    /// One event, from memory or disk; `None` when it is not (or no longer) in the log.
    pub(crate) async fn event(&self, offset: Offset) -> Result<Option<Arc<Event>>, Unreadable> {
        if let Some(event) = self.shared.payloads.get(offset) {
            return Ok(Some(event));
        }
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.load(offset)).await.unwrap_or(Err(Unreadable))
    }

    /// One event, from memory or disk. Blocking.
    pub(crate) fn load(&self, offset: Offset) -> Result<Option<Arc<Event>>, Unreadable> {
        self.shared.payloads.get(offset).map_or_else(|| self.shared.load(offset), |event| Ok(Some(event)))
    }

    /// Matching items from `stretch.from` on and where to read on; nothing read on, after a while, when the
    /// disk does not give them.
    pub(crate) async fn offer(
        &self,
        base: LaneId,
        subscriber: String,
        stretch: Stretch,
    ) -> (Vec<Item>, Offset) {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.offer(base, &subscriber, stretch)).await;
        if let Ok(Ok(offered)) = read {
            return offered;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        (Vec::new(), stretch.from)
    }

    /// Records as they are stored. Blocking.
    pub(crate) fn records(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Unreadable> {
        self.shared.read(from, bytes_max)
    }

    /// A stored event with its payload opened by the keys of now. Blocking.
    pub(crate) fn open(&self, stored: StoredEvent) -> Result<Event, Unreadable> {
        self.shared.open(stored)
    }

    /// The event read and opened anew, shared with nobody; `None` when it is not in the log.
    pub(crate) async fn reopened(&self, offset: Offset) -> Result<Option<Event>, Unreadable> {
        let shared = Arc::clone(&self.shared);
        let read = move || match shared.read(offset, 1)?.into_iter().next() {
            Some(Record::Event(stored)) if stored.offset == offset => shared.open(*stored).map(Some),
            Some(Record::Event(_) | Record::Fact(..) | Record::Leaf(..)) | None => Ok(None),
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(Unreadable))
    }

    /// The subject's present life. Blocking.
    pub(crate) fn generation(&self, subject: SubjectId) -> Result<Option<Generation>, Unreadable> {
        let vault = self.shared.vault.lock().unwrap_or_else(PoisonError::into_inner);
        vault.generation(subject).map_err(|error| {
            tracing::error!(error = %error, "key vault failed");
            Unreadable
        })
    }

    /// Whether the key of an event's payload is gone by now.
    pub(crate) async fn is_shredded(
        &self,
        subject: SubjectId,
        generation: Generation,
    ) -> Result<bool, Unreadable> {
        let shared = Arc::clone(&self.shared);
        let key = move || {
            let vault = shared.vault.lock().unwrap_or_else(PoisonError::into_inner);
            vault.key(subject, generation, Purpose::Content)
        };
        match tokio::task::spawn_blocking(key).await {
            Ok(Ok(key)) => Ok(key.is_none()),
            Ok(Err(_)) | Err(_) => Err(Unreadable),
        }
    }

    /// A reader of its own, for who reads much.
    pub(crate) fn reader(&self) -> Box<dyn LogReader> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).another()
    }

    /// The oldest offset that the log still holds.
    pub(crate) fn start(&self) -> Offset {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).start()
    }
}

impl Shared {
    fn read(&self, from: Offset, bytes_max: usize) -> Result<Vec<Record>, Unreadable> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.read(from, bytes_max).map_err(|error| {
            tracing::error!(offset = from.0, error = %error, "log read failed");
            Unreadable
        })
    }

    /// Reads a little more than was asked for: a lane that lags asks for the next events next, and a commit is
    /// read as a whole whatever is taken from it.
    fn load(&self, offset: Offset) -> Result<Option<Arc<Event>>, Unreadable> {
        let mut found = None;
        for record in self.read(offset, LOAD_BYTES)? {
            let Record::Event(stored) = record else { continue };
            if stored.offset == offset {
                let event = Arc::new(self.open(*stored)?);
                self.payloads.shelve(Arc::clone(&event));
                found = Some(event);
            } else if found.is_none() {
                break;
            } else if self.payloads.get(stored.offset).is_none()
                && let Ok(event) = self.open(*stored)
            {
                self.payloads.shelve(Arc::new(event));
            }
        }
        Ok(found)
    }

    fn offer(
        &self,
        base: LaneId,
        subscriber: &str,
        stretch: Stretch,
    ) -> Result<(Vec<Item>, Offset), Unreadable> {
        let shown = self.payloads.shown();
        let records = self.read(stretch.from, COLD_READ_BYTES.min(stretch.bytes_max.max(1 << 16)))?;
        // At least one is stored there: a lane whose stretch begins at the end is not sent to the disk.
        let mut next = records.last().ok_or(Unreadable)?.offset().next().min(shown);
        let mut items = Vec::new();
        let mut bytes = 0;
        for record in records {
            if record.offset() >= shown {
                break;
            }
            let Record::Event(stored) = record else { continue };
            let class = stored.decision.class;
            if !self.router.matches(&stored.header, class).any(|lane| lane == usize::from(base.0)) {
                continue;
            }
            bytes += stored.bytes as usize;
            if items.len() == stretch.items_max || (bytes > stretch.bytes_max && !items.is_empty()) {
                next = stored.offset;
                break;
            }
            let event = Arc::new(self.open(*stored)?);
            items.push(event.item(subscriber));
            self.payloads.shelve(event);
        }
        Ok((items, next))
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
