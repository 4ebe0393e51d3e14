//! What is carried out over days, restarts included: read from derived state at the start, journaled whole at each
//! change, and kept in memory as long as it is open.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use writ_model::case::Case;
use writ_model::saga::Saga;
use writ_model::time::Timestamp;
use writ_store::error::StateError;

/// Read in one step.
const PAGE: usize = 256;

/// A saga, or a privacy case.
pub(crate) trait Lasting: Clone {
    fn id(&self) -> &str;
    fn changed_at(&self) -> Timestamp;
    /// Nothing is done for it any more.
    fn has_ended(&self) -> bool;
}

impl Lasting for Saga {
    fn id(&self) -> &str {
        &self.id
    }

    fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    fn has_ended(&self) -> bool {
        writ_kernel::saga::has_ended(self)
    }
}

impl Lasting for Case {
    fn id(&self) -> &str {
        &self.id
    }

    fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    fn has_ended(&self) -> bool {
        writ_kernel::case::has_ended(self)
    }
}

/// Those of one kind that have not ended, as they were when last made durable.
pub(crate) struct Open<T> {
    /// Held by who changes one, until the change is durable.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Somebody changed one.
    pub(crate) wake: Notify,
    items: Mutex<BTreeMap<String, T>>,
}

impl<T: Lasting> Open<T> {
    /// What an earlier run left open, from pages behind an id.
    pub(crate) fn read(
        page_behind: impl Fn(Option<&str>, usize) -> Result<Vec<T>, StateError>,
    ) -> Result<Self, StateError> {
        let (mut items, mut after) = (BTreeMap::new(), None::<String>);
        loop {
            let page = page_behind(after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id().to_owned());
            let left = page.into_iter().filter(|item| !item.has_ended());
            items.extend(left.map(|item| (item.id().to_owned(), item)));
        }
        Ok(Self { turn: tokio::sync::Mutex::new(()), wake: Notify::new(), items: Mutex::new(items) })
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().values().cloned().collect()
    }

    /// One of them.
    pub(crate) fn get(&self, id: &str) -> Option<T> {
        self.lock().get(id).cloned()
    }

    /// When each last changed.
    pub(crate) fn changes(&self) -> Vec<(String, Timestamp)> {
        self.lock().iter().map(|(id, item)| (id.clone(), item.changed_at())).collect()
    }

    /// Looks at all of them in place: there may be thousands.
    pub(crate) fn map<R>(&self, look: impl FnMut(&T) -> R) -> Vec<R> {
        self.lock().values().map(look).collect()
    }

    /// One was made durable as it is now.
    pub(crate) fn put(&self, item: T) {
        match item.has_ended() {
            true => drop(self.lock().remove(item.id())),
            false => drop(self.lock().insert(item.id().to_owned(), item)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
