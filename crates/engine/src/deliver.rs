//! Carries out one attempt: gathers the views, calls the connector once, reports what came back.

use std::sync::Arc;

use writ_connectors::subscriber::{Parcel, ParcelItem, Sender, Subscriber};
use writ_kernel::dispatch::Attempt;
use writ_kernel::dispatch::attempt::Delivery;
use writ_model::delivery::{Answer, Branch, Fault, Presence};
use writ_model::id::Epoch;
use writ_model::replay::Shredded;
use writ_schema::cloudevents::View;

use crate::clock;
use crate::hub::reader::{ColdReader, Unreadable};
use crate::payload::Event;

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
    let parcel = match gather(attempt, cold, sender).await {
        Ok(parcel) => parcel,
        Err(answer) => return answer,
    };
    match way {
        Way::Deliver => subscriber.deliver(parcel).await,
        Way::Prepare(epoch) => subscriber.prepare(parcel, Branch { epoch, attempt: attempt.id }).await,
    }
}

/// Looks for the attempt's event at the receiver.
pub(crate) async fn probe(
    attempt: &Attempt,
    subscriber: &dyn Subscriber,
    cold: &ColdReader,
    sender: Sender,
) -> Presence {
    match gather(attempt, cold, sender).await {
        Ok(parcel) => subscriber.probe(parcel).await,
        // Without its payload it can be neither looked for nor sent: the attempt that follows says so.
        Err(Answer::PerItem(_)) => Presence::Absent,
        Err(_) => Presence::Unknown(Fault::SendBroken),
    }
}

/// The events of an attempt as the subscriber sees them, or the answer that stands for theirs.
async fn gather(attempt: &Attempt, cold: &ColdReader, sender: Sender) -> Result<Parcel, Answer> {
    let offsets = attempt.deliveries.iter().map(Delivery::offset).collect();
    // Our own disk's trouble, not the event's: it is tried again.
    let unread = |Unreadable| Answer::Failed(Fault::SendBroken);
    let events = cold.events(offsets).await.map_err(unread)?;
    let shredded = shredded(attempt, &events, cold).await.map_err(unread)?;
    let mut items = Vec::with_capacity(attempt.deliveries.len());
    for ((delivery, event), is_shredded) in attempt.deliveries.iter().zip(events).zip(shredded) {
        match parcel_item(delivery, event, is_shredded, cold).await.map_err(unread)? {
            Some(item) => items.push(item),
            None => return Err(unsendable(attempt.deliveries.len(), items.len())),
        }
    }
    Ok(Parcel { items, at: clock::wall(), sender, settled_below: attempt.settled_below })
}

/// Which events of a replay have lost their key: they are looked at once more, for a slow replay sends long after it
/// read, and memory may hold what the vault has let go. An ordinary delivery is not asked for.
async fn shredded(
    attempt: &Attempt,
    events: &[Option<Arc<Event>>],
    cold: &ColdReader,
) -> Result<Vec<bool>, Unreadable> {
    let is_replayed = attempt.deliveries.iter().any(|delivery| delivery.permit().replayed().is_some());
    if !is_replayed || events.iter().any(Option::is_none) {
        return Ok(vec![false; events.len()]);
    }
    let payload = |event: &Arc<Event>| (event.header.subject_id, event.header.generation);
    cold.are_shredded(events.iter().flatten().map(payload).collect()).await
}

/// The event at `index` has no payload any more: it alone is unsendable, the others are to be sent again.
fn unsendable(count: usize, index: usize) -> Answer {
    let each = |at| if at == index { Fault::Unsendable } else { Fault::SendBroken };
    Answer::PerItem((0..count).map(|at| Answer::Failed(each(at))).collect())
}

async fn parcel_item(
    delivery: &Delivery,
    event: Option<Arc<Event>>,
    is_shredded: bool,
    cold: &ColdReader,
) -> Result<Option<ParcelItem>, Unreadable> {
    let Some(event) = event else { return Ok(None) };
    let view = match delivery.permit().replayed() {
        None => event.view(),
        Some(shredded) if is_shredded => match shredded {
            Shredded::Tombstone => Some(event.tombstone()),
            Shredded::Skip => None,
        },
        Some(_) => replayed(&event, delivery, cold).await?,
    };
    let item = |view| ParcelItem {
        view,
        delivery_id: delivery.delivery_id(),
        attempt: delivery.number(),
        offset: event.offset,
        subject_id: event.header.subject_id,
    };
    Ok(view.map(item))
}

/// The event as a replay may send it while its key is there. Memory holds the event as admission left it: where
/// today's policy withholds something else, the payload is opened once more.
async fn replayed(
    event: &Event,
    delivery: &Delivery,
    cold: &ColdReader,
) -> Result<Option<Arc<View>>, Unreadable> {
    let withhold = delivery.permit().withhold();
    if withhold == event.decision.withhold {
        return Ok(event.view());
    }
    let own = cold.reopened(event.offset).await?;
    Ok(own.and_then(|own| own.into_view_without(withhold)))
}
