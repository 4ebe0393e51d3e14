//! The contract of subscribers.
//!
//! *One attempt*: `deliver` writes the request at most once. No retry, no reconnect after bytes were written,
//! no redirect. *The answer is raw*: whether a 409 is success is the kernel's word. *Bounded*: the time-out
//! is the connector's own and always ends the call. *Cancel*: dropping the future closes the connection; the
//! engine then treats the attempt as unanswered and repeats it under the same delivery id.

use std::sync::Arc;

use writ_model::delivery::{Answer, Branch, Fault, Presence, Resolution, Verdict, Wants};
use writ_model::guarantee::Proof;
use writ_model::id::{DeliveryId, Epoch, Offset, StoreId, SubjectId};
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;

use crate::mailbox::Mailbox;
use crate::source::BoxFuture;

/// One event in one attempt.
#[derive(Debug, Clone)]
pub struct ParcelItem {
    /// The event as this subscriber may see it, encoded at most once for all who see it so.
    pub view: Arc<View>,
    /// The same on every retry.
    pub delivery_id: DeliveryId,
    /// This event's attempts, from 1.
    pub attempt: u32,
    /// Where it is in the log.
    pub offset: Offset,
    /// Whose order it stands in. Internal: it is not to be kept by a receiver.
    pub subject_id: SubjectId,
}

/// Who sends: receivers that keep state fence a former owner of the same lane by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The store whose events these are.
    pub store: StoreId,
    /// Its owner's epoch; a later owner has a higher one.
    pub epoch: Epoch,
}

/// One attempt: one item, or a batch for subscribers that take batches.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// In order.
    pub items: Vec<ParcelItem>,
    /// The time of the attempt, for signatures.
    pub at: Timestamp,
    /// Who sends.
    pub sender: Sender,
    /// Events below this offset are durably settled and come again only by an operator's act; zero when nothing is
    /// known of it, and for subscribers that do not [forget](Subscriber::forgets).
    pub settled_below: Offset,
}

/// One subscriber's connection.
pub trait Subscriber: Send + Sync {
    /// Makes one attempt. May be called concurrently, up to the lane's in-flight bound.
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer>;

    /// How many events one request may hold; 1 for subscribers that take no batches.
    fn batch_max(&self) -> usize;

    /// Told once, before the first delivery: what of each HTTP answer is to be handed over, uninterpreted. False
    /// from a subscriber that gives none, so that rules about them are refused.
    fn hand_over(&mut self, wants: Wants) -> bool {
        drop(wants);
        false
    }

    /// The mechanisms that this subscriber, as it is configured, proves. None of them: at least once only.
    fn proofs(&self) -> Vec<Proof> {
        Vec::new()
    }

    /// Whether it forgets what it has taken by [`Parcel::settled_below`].
    fn forgets(&self) -> bool {
        false
    }

    /// Whether [`Subscriber::probe`] says something. Such a subscriber takes no batches.
    fn can_probe(&self) -> bool {
        false
    }

    /// Looks once whether the parcel's only event is there. Delivers nothing.
    fn probe(&self, parcel: Parcel) -> BoxFuture<'_, Presence> {
        drop(parcel);
        Box::pin(std::future::ready(Presence::Unknown(Fault::Unsendable)))
    }

    /// Makes one attempt up to the point where its effects are certain and not yet there, under this branch; one
    /// that proves two-phase does. `Durable` items are prepared; when there is none, nothing is.
    fn prepare(&self, parcel: Parcel, branch: Branch) -> BoxFuture<'_, Answer> {
        drop((parcel, branch));
        Box::pin(std::future::ready(Answer::Failed(Fault::Unsendable)))
    }

    /// Ends a prepared branch of this store, once.
    fn resolve(&self, sender: Sender, branch: Branch, verdict: Verdict) -> BoxFuture<'_, Resolution> {
        let _ = (sender, branch, verdict);
        Box::pin(std::future::ready(Resolution::Failed(Fault::Unsendable)))
    }

    /// The prepared branches of this store at this subscriber, of every epoch; never those of others.
    fn branches(&self, sender: Sender) -> BoxFuture<'_, Result<Vec<Branch>, Fault>> {
        let _ = sender;
        Box::pin(std::future::ready(Err(Fault::Unsendable)))
    }

    /// Sees whether the subscriber can be reached, without delivering anything.
    fn check(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Where consumers come for what `deliver` offers; `None` for subscribers that are sent to. The same one
    /// at every call.
    fn mailbox(&self) -> Option<Arc<Mailbox>> {
        None
    }
}
