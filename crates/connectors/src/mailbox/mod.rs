//! Where events wait for a subscriber that comes for them: offered by the lane, leased by a consumer, answered
//! or not (ADR 0033). Names no connector; a subscriber that is pulled from has one and says so by
//! [`crate::subscriber::Subscriber::mailbox`].
//!
//! ```text
//!   offer --> waiting --take--> leased --every event answered--------------> the answers, event by event
//!                |                 +---time over, given back, closed-------> what was not answered comes again
//!                +-----nobody came, withdrawn, closed----------------------> as if it had not been offered
//! ```
//!
//! One offer is one attempt of the lane and at most one lease, so that order per subject, retries, dead letters,
//! breaker and cursor stay the lane's. Nothing here is durable and nothing needs to be: an offer that is lost
//! with the process is offered again by the lane, under the same delivery ids and another lease.

mod lease;
mod table;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};
use writ_model::delivery::Answer;
use writ_model::id::Epoch;

pub use lease::{Lease, LeaseId, Refused, Terms, Words};

use crate::subscriber::ParcelItem;
use table::{Look, Table};

/// One subscriber's mailbox.
#[derive(Debug)]
pub struct Mailbox {
    table: Mutex<Table>,
    /// Something was offered, or the mailbox was closed.
    arrived: Notify,
}

impl Mailbox {
    /// Empty, and of no engine yet.
    pub fn new(terms: Terms) -> Self {
        Self { table: Mutex::new(Table::new(terms)), arrived: Notify::new() }
    }

    /// Says whose leases these are. The engine calls it once, before the first offer.
    pub fn open(&self, epoch: Epoch) {
        self.table().open(epoch);
    }

    /// Offers one parcel's events and waits for the end of the matter: always ends, at the latest when the
    /// longest lease does. Dropping it takes the offer back; an answer to its lease is refused then.
    pub async fn offer(&self, items: Vec<ParcelItem>) -> Answer {
        let (number, ended) = self.table().offer(Instant::now(), items);
        let _offer = Offer { mailbox: self, number, ended: Arc::clone(&ended) };
        self.arrived.notify_waiters();
        loop {
            let woken = ended.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let look = self.table().look(number, Instant::now());
            match look {
                Look::Over(answer) => return answer,
                Look::Until(at) => tokio::select! {
                    () = woken => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// Lets a consumer in, until it is dropped.
    ///
    /// # Errors
    /// [`Refused::Crowded`] when as many are in as may be.
    pub fn enter(self: &Arc<Self>) -> Result<Consumer, Refused> {
        self.table().enter()?;
        Ok(Consumer { mailbox: Arc::clone(self) })
    }

    /// Takes a consumer's words on a lease: all of them, or, on an error, none. Gives how many events of the
    /// lease are still unanswered; with none the lease has ended. The words are not durable when it returns:
    /// the cursor follows within a commit or two, and after a crash before that the events come again.
    ///
    /// # Errors
    /// When the lease is not one that may be answered, or a word is not one that may be said.
    pub fn answer(&self, lease: LeaseId, words: &Words) -> Result<usize, Refused> {
        self.table().answer(Instant::now(), lease, words)
    }

    /// Begins the lease's time anew, within the bound on extended leases. Gives what is left of it.
    ///
    /// # Errors
    /// When the lease has ended, or is of another engine.
    pub fn extend(&self, lease: LeaseId) -> Result<Duration, Refused> {
        self.table().extend(Instant::now(), lease)
    }

    /// Takes back what nobody has taken yet: the lane was paused.
    pub fn withdraw(&self) {
        self.table().withdraw();
    }

    /// No more leases: waiting consumers are sent away at once, offers are taken back, and leases end after
    /// a moment in which answers under way still count.
    pub fn close(&self) {
        self.table().close(Instant::now());
        self.arrived.notify_waiters();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic under the lock is a broken invariant of one offer; the others are whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its offer back when dropped.
struct Offer<'a> {
    mailbox: &'a Mailbox,
    number: u64,
    ended: Arc<Notify>,
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        self.mailbox.table().remove(self.number);
        self.ended.notify_waiters();
    }
}

/// A consumer's place in a mailbox: one poll, or one stream. It may lease one parcel at a time or several.
#[derive(Debug)]
pub struct Consumer {
    mailbox: Arc<Mailbox>,
}

impl Consumer {
    /// The oldest offer, with at most `events_max` of its events, as soon as there is one; `None` when none
    /// came within `wait`. What is left of a larger offer is offered again when the lease has ended.
    ///
    /// # Errors
    /// [`Refused::Closed`] when the engine stops.
    pub async fn take(&self, events_max: usize, wait: Duration) -> Result<Option<Lease>, Refused> {
        let end = Instant::now() + wait;
        loop {
            let woken = self.mailbox.arrived.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let taken = self.mailbox.table().take(Instant::now(), events_max)?;
            if taken.is_some() || timeout_at(end, woken).await.is_err() {
                return Ok(taken);
            }
        }
    }

    /// Waits until a lease has ended, however it ended.
    pub async fn ended(&self, lease: LeaseId) {
        loop {
            let Some(ended) = self.mailbox.table().watch(lease) else { return };
            let woken = ended.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if self.mailbox.table().watch(lease).is_none() {
                return;
            }
            woken.await;
        }
    }

    /// Ends a lease whose consumer is gone: what it did not answer may have been processed, and comes again.
    pub fn give_back(&self, lease: LeaseId) {
        self.mailbox.table().give_back(lease);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.mailbox.table().leave();
    }
}
