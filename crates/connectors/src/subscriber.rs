//! The contract of subscribers.
//!
//! *One attempt*: `deliver` writes the request at most once. No retry, no reconnect after bytes were written,
//! no redirect. *The answer is raw*: whether a 409 is success is the kernel's word. *Bounded*: the time-out
//! is the connector's own and always ends the call. *Cancel*: dropping the future closes the connection; the
//! engine then treats the attempt as unanswered and repeats it under the same delivery id.

use std::sync::Arc;

use writ_model::delivery::{Answer, Wants};
use writ_model::id::DeliveryId;
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;

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
}

/// One attempt: one item, or a batch for subscribers that take batches.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// In order.
    pub items: Vec<ParcelItem>,
    /// The time of the attempt, for signatures.
    pub at: Timestamp,
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

    /// Sees whether the subscriber can be reached, without delivering anything.
    fn check(&self) -> BoxFuture<'_, Result<(), String>>;
}
