//! Replays: what the hub's lanes of replays are offered. Finds the selected events, by the index where subjects
//! are selected and else by reading on, and asks today's gate about each. Sends nothing; when and to whom is
//! said by the kernel's lanes.

mod find;
mod plan;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use writ_kernel::dispatch::{Item, LaneId};
use writ_kernel::gate::again::{Asking, Question, Stored};
use writ_kernel::gate::permit::PermitVerdict;
use writ_kernel::identity::Key;
use writ_kernel::route::Router;
use writ_kernel::select::{SelectError, Selected};
use writ_model::id::Offset;
use writ_model::replay::ReplayOrder;
use writ_policy::Engine as Policy;
use writ_store::state::State;

use crate::hub::reader::{ColdReader, Unreadable};
use crate::payload::{Event, Payloads, Stretch};

pub use plan::Plan;

/// A replay whose read failed, or whose index lags, asks again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A replay and what its events are found by.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) order: ReplayOrder,
    pub(crate) base: LaneId,
    selected: Selected,
}

impl Errand {
    /// Compiles what was selected. `base` is the live lane whose filter counts.
    pub(crate) fn new(order: ReplayOrder, base: LaneId) -> Result<Self, SelectError> {
        Ok(Self { selected: Selected::compile(&order.selection)?, order, base })
    }
}

/// Finds events for replays and asks about them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recall {
    shared: Arc<Shared>,
}

/// What it needs of the engine.
pub(crate) struct Shared {
    pub(crate) cold: ColdReader,
    pub(crate) state: Arc<dyn State>,
    pub(crate) router: Arc<Router>,
    pub(crate) payloads: Arc<Payloads>,
    pub(crate) judge: Mutex<Policy>,
    pub(crate) card_hash_key: Key,
}

impl Recall {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Selected events from `stretch.from` on, each with today's permit, and where to read on; nothing read on,
    /// after a while, when disk, vault or index does not give them.
    pub(crate) async fn offer(&self, errand: Arc<Errand>, stretch: Stretch) -> (Vec<Item>, Offset) {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.offer(&errand, stretch)).await;
        if let Ok(Ok(offered)) = read {
            return offered;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        (Vec::new(), stretch.from)
    }

    /// What a replay would send, without sending it.
    pub(crate) async fn plan(&self, errand: Errand) -> Result<Plan, Unreadable> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || plan::count(&shared, &errand)).await.unwrap_or(Err(Unreadable))
    }
}

impl Shared {
    fn offer(&self, errand: &Errand, stretch: Stretch) -> Result<(Vec<Item>, Offset), Unreadable> {
        let found = find::from(self, errand, stretch)?;
        let mut items = Vec::with_capacity(found.events.len());
        for stored in found.events {
            let event = Arc::new(self.cold.open(stored)?);
            let permit = self.permit(errand, &event)?;
            items.push(Item { permit, ..event.item(errand.order.subscriber.as_str()) });
            self.payloads.shelve(event);
        }
        Ok((items, found.next))
    }

    /// Today's word on one event. The engine behind the policy is asked by one replay at a time.
    fn permit(&self, errand: &Errand, event: &Event) -> Result<PermitVerdict, Unreadable> {
        let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = judge.version().clone();
        // The event was opened for this question: its payload is not encoded yet.
        let private = event.private.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = Stored {
            offset: event.offset,
            header: &event.header,
            private: private.as_ref(),
            decision: &event.decision,
            present: self.cold.generation(event.header.subject_id)?,
        };
        let asking = Asking {
            subscriber: errand.order.subscriber.as_str(),
            shredded: errand.order.shredded,
            policy: &policy,
            card_hash_key: &self.card_hash_key,
        };
        Ok(match Question::ask(stored, asking) {
            Ok(question) => {
                let verdict = judge.verdict(question.document());
                question.answer(verdict)
            }
            Err(decided) => decided,
        })
    }
}
