//! Carries out one attempt: gathers the views, calls the connector once, reports what came back.

use writ_connectors::subscriber::{Parcel, ParcelItem, Sender, Subscriber};
use writ_kernel::dispatch::Attempt;
use writ_kernel::dispatch::attempt::Delivery;
use writ_model::delivery::{Answer, Branch, Fault};
use writ_model::id::Epoch;

use crate::clock;
use crate::hub::reader::{ColdReader, Unreadable};

/// How an attempt is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Whole.
    Deliver,
    /// Up to its decision, under a branch of this epoch.
    Prepare(Epoch),
}

/// Makes the attempt; always returns an answer.
pub(crate) async fn attempt(
    attempt: &Attempt,
    subscriber: &dyn Subscriber,
    cold: &ColdReader,
    sender: Sender,
    way: Way,
) -> Answer {
    let mut items = Vec::with_capacity(attempt.deliveries.len());
    for delivery in &attempt.deliveries {
        match parcel_item(delivery, cold).await {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return unsendable(attempt.deliveries.len(), items.len()),
            // Our own disk's trouble, not the event's: it is tried again.
            Err(Unreadable) => return Answer::Failed(Fault::SendBroken),
        }
    }
    let settled_below = attempt.settled_below;
    let parcel = Parcel { items, at: clock::wall(), sender, settled_below };
    match way {
        Way::Deliver => subscriber.deliver(parcel).await,
        Way::Prepare(epoch) => subscriber.prepare(parcel, Branch { epoch, attempt: attempt.id }).await,
    }
}

/// The event at `index` has no payload any more: it alone is unsendable, the others are to be sent again.
fn unsendable(count: usize, index: usize) -> Answer {
    let each = |at| if at == index { Fault::Unsendable } else { Fault::SendBroken };
    Answer::PerItem((0..count).map(|at| Answer::Failed(each(at))).collect())
}

async fn parcel_item(delivery: &Delivery, cold: &ColdReader) -> Result<Option<ParcelItem>, Unreadable> {
    let Some(event) = cold.event(delivery.offset()).await? else { return Ok(None) };
    let item = |view| ParcelItem {
        view,
        delivery_id: delivery.delivery_id(),
        attempt: delivery.number(),
        offset: event.offset,
        subject_id: event.header.subject_id,
    };
    Ok(event.view().map(item))
}
