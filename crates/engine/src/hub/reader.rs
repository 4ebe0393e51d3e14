//! Reads committed events that memory no longer holds: for lanes that lag, for retries, for traces.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use writ_kernel::dispatch::{Item, LaneId};
use writ_kernel::route::Router;
use writ_model::cloudevent::Placement;
use writ_model::id::Offset;
use writ_store::log::{LogReader, Record, StoredEvent};
use writ_store::seal;
use writ_store::vault::{Purpose, Vault};

use super::lanes::wanted;
use crate::payload::{Event, Payloads, Stretch};

/// The vault, shared between the writer and the readers.
pub(crate) type SharedVault = Arc<Mutex<Box<dyn Vault>>>;

/// Bytes of log that one cold read covers at most; a lane that matches little reads again.
const COLD_READ_BYTES: usize = 1 << 20;

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
    pub(crate) async fn event(&self, offset: Offset) -> Option<Arc<Event>> {
        if let Some(event) = self.shared.payloads.get(offset) {
            return Some(event);
        }
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.load(offset)).await.ok().flatten()
    }

    /// One event, from memory or disk. Blocking.
    pub(crate) fn load(&self, offset: Offset) -> Option<Arc<Event>> {
        self.shared.payloads.get(offset).or_else(|| self.shared.load(offset))
    }

    /// Matching items from `stretch.from` on and where to read on. Blocking.
    pub(crate) fn offer(
        &self,
        base: LaneId,
        subscriber: &str,
        stretch: Stretch,
    ) -> Option<(Vec<Item>, Offset)> {
        self.shared.offer(base, subscriber, stretch)
    }

    /// Records as they are stored. Blocking.
    pub(crate) fn records(&self, from: Offset, bytes_max: usize) -> Vec<Record> {
        self.shared.read(from, bytes_max)
    }
}

impl Shared {
    fn read(&self, from: Offset, bytes_max: usize) -> Vec<Record> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match log.read(from, bytes_max) {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(offset = from.0, error = %error, "log read failed");
                Vec::new()
            }
        }
    }

    fn load(&self, offset: Offset) -> Option<Arc<Event>> {
        let first = self.read(offset, 1).into_iter().next()?;
        let Record::Event(stored) = first else { return None };
        if stored.offset != offset {
            return None;
        }
        let event = Arc::new(self.open(*stored));
        self.payloads.shelve(Arc::clone(&event));
        Some(event)
    }

    fn offer(&self, base: LaneId, subscriber: &str, stretch: Stretch) -> Option<(Vec<Item>, Offset)> {
        let records = self.read(stretch.from, COLD_READ_BYTES.min(stretch.bytes_max.max(1 << 16)));
        let mut next = records.last()?.offset().next();
        let mut items = Vec::new();
        let mut bytes = 0;
        for record in records {
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
            let event = Arc::new(self.open(*stored));
            items.push(event.item(subscriber));
            self.payloads.shelve(event);
        }
        Some((items, next))
    }

    fn open(&self, stored: StoredEvent) -> Event {
        let private = self.private(&stored);
        let lanes = wanted(&self.router, &stored.header, stored.decision.class);
        Event {
            offset: stored.offset,
            placement: Placement { sequence: stored.sequence, class: stored.decision.class },
            header: stored.header,
            decision: stored.decision,
            intent_index: stored.intent_index,
            intent: None,
            settle_by: stored.settle_by,
            bytes: stored.bytes,
            lanes,
            private,
            view: OnceLock::new(),
        }
    }

    /// The payload; `None` when its key was destroyed or it does not open (which is logged).
    fn private(&self, stored: &StoredEvent) -> Option<writ_model::envelope::PrivatePart> {
        let part = stored.parts.first()?;
        let vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
        let key = vault.key(part.subject_id, part.generation, Purpose::Content);
        drop(vault);
        match key {
            Ok(Some(key)) => seal::open(part, &stored.header, &key)
                .inspect_err(|error| tracing::error!(offset = stored.offset.0, error = %error, "payload does not open"))
                .ok(),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(offset = stored.offset.0, error = %error, "key vault failed");
                None
            }
        }
    }
}
