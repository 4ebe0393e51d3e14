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
pub struct DeliveryKey {
    keyed: Hmac<Sha256>,
    reissue: u32,
}

impl DeliveryKey {
    /// From 32 random bytes that are kept as long as the store.
    pub fn new(bytes: [u8; 32]) -> Self {
        // Keyed once: an id is made per delivery.
        let keyed = Hmac::new_from_slice(&bytes).expect("HMAC takes a key of any length");
        Self { keyed, reissue: 0 }
    }

    /// The same key, making the ids of an explicit reissue; 0 makes those of an ordinary delivery.
    pub fn reissuing(&self, reissue: u32) -> Self {
        Self { keyed: self.keyed.clone(), reissue }
    }

    /// The store's own id at its receivers.
    pub fn store_id(&self) -> StoreId {
        let mut mac = self.keyed.clone();
        mac.update(b"writ store v1");
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        StoreId(*full.first_chunk().expect("32 bytes hold 8"))
    }

    /// The id of one event at one subscriber: HMAC-SHA256 over (subscriber, source, event id, generation,
    /// step, reissue), each variable field preceded by its length, cut to 16 bytes. Step and reissue are
    /// zero for every ordinary delivery, so retry, redrive and a replay under the same ids give the same id.
    pub fn delivery_id(
        &self,
        subscriber: &SubscriberName,
        source: &SourceName,
        event_id: EventId,
        generation: Generation,
    ) -> DeliveryId {
        const STEP: u32 = 0;
        let mut mac = self.keyed.clone();
        mac.update(b"writ delivery v1");
        for text in [subscriber.as_str(), source.as_str()] {
            let len = u8::try_from(text.len()).expect("names have at most 63 bytes");
            mac.update(&[len]);
            mac.update(text.as_bytes());
        }
        mac.update(event_id.0.as_bytes());
        for number in [generation.0, STEP, self.reissue] {
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
    fn every_reissue_has_an_id_of_its_own_and_none_has_the_ordinary_one() {
        let key = DeliveryKey::new([7; 32]);
        let of = |key: &DeliveryKey| {
            let (subscriber, source) = (SubscriberName::new("crm"), SourceName::new("shop"));
            let event = EVENT.parse().expect("an id");
            key.delivery_id(&subscriber.expect("a name"), &source.expect("a name"), event, Generation(1))
        };
        assert_eq!(of(&key.reissuing(0)), of(&key));
        assert_ne!(of(&key.reissuing(1)), of(&key));
        assert_ne!(of(&key.reissuing(1)), of(&key.reissuing(2)));
        assert_eq!(of(&key.reissuing(1).reissuing(2)), of(&key.reissuing(2)));
    }

    #[test]
    fn the_formula_is_a_promise_to_receivers() {
        assert_eq!(id("crm", "shop", EVENT, 1).to_string(), "b7302fc6ac4140c92d9f737f8fefd7fb");
    }
}
