//! One event in one attempt, made from a permit and nothing else, and the id under which it is delivered.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use writ_model::id::{DeliveryId, EventId, Generation, Offset, SourceName, StoreId, SubscriberName};

use crate::gate::permit::Permit;

/// One event of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    permit: Permit,
    delivery_id: DeliveryId,
    number: u32,
}

impl Delivery {
    /// `number` counts this event's attempts from 1.
    pub fn new(permit: Permit, delivery_id: DeliveryId, number: u32) -> Self {
        Self { permit, delivery_id, number }
    }

    /// Which event.
    pub fn offset(&self) -> Offset {
        self.permit.offset()
    }

    /// Leave to send it.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The same on every retry.
    pub fn delivery_id(&self) -> DeliveryId {
        self.delivery_id
    }

    /// This event's attempts, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }
}

/// The key of all delivery ids of one store. Whoever changes it makes every receiver's dedup worthless.
#[derive(Clone)]
pub struct DeliveryKey(Hmac<Sha256>);

impl DeliveryKey {
    /// From 32 random bytes that are kept as long as the store.
    pub fn new(bytes: [u8; 32]) -> Self {
        // Keyed once: an id is made per delivery.
        Self(Hmac::new_from_slice(&bytes).expect("HMAC takes a key of any length"))
    }

    /// The store's own id at its receivers.
    pub fn store_id(&self) -> StoreId {
        let mut mac = self.0.clone();
        mac.update(b"writ store v1");
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        StoreId(*full.first_chunk().expect("32 bytes hold 8"))
    }

    /// The id of one event at one subscriber: HMAC-SHA256 over (subscriber, source, event id, generation,
    /// step, reissue), each variable field preceded by its length, cut to 16 bytes. Step and reissue are
    /// zero for every ordinary delivery, so retry, redrive and replay give the same id.
    pub fn delivery_id(
        &self,
        subscriber: &SubscriberName,
        source: &SourceName,
        event_id: EventId,
        generation: Generation,
    ) -> DeliveryId {
        const STEP: u32 = 0;
        const REISSUE: u32 = 0;
        let mut mac = self.0.clone();
        mac.update(b"writ delivery v1");
        for text in [subscriber.as_str(), source.as_str()] {
            let len = u8::try_from(text.len()).expect("names have at most 63 bytes");
            mac.update(&[len]);
            mac.update(text.as_bytes());
        }
        mac.update(event_id.0.as_bytes());
        for number in [generation.0, STEP, REISSUE] {
            mac.update(&number.to_be_bytes());
        }
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        DeliveryId(*full.first_chunk().expect("32 bytes hold 16"))
    }
}

impl std::fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryKey(<secret>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(subscriber: &str, source: &str, event: &str, generation: u32) -> DeliveryId {
        let subscriber = SubscriberName::new(subscriber).expect("a name");
        let source = SourceName::new(source).expect("a name");
        let event = event.parse().expect("an id");
        DeliveryKey::new([7; 32]).delivery_id(&subscriber, &source, event, Generation(generation))
    }

    const EVENT: &str = "019a0000-0000-7000-8000-000000000001";
    const OTHER: &str = "019a0000-0000-7000-8000-000000000002";

    #[test]
    fn each_part_of_the_identity_changes_the_id_and_nothing_else_does() {
        let base = id("crm", "shop", EVENT, 1);
        assert_eq!(base, id("crm", "shop", EVENT, 1));
        let others = [
            id("crn", "shop", EVENT, 1),
            id("crm", "shoq", EVENT, 1),
            id("crm", "shop", OTHER, 1),
            id("crm", "shop", EVENT, 2),
            id("crms", "hop", EVENT, 1),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn the_formula_is_a_promise_to_receivers() {
        assert_eq!(id("crm", "shop", EVENT, 1).to_string(), "b7302fc6ac4140c92d9f737f8fefd7fb");
    }
}
