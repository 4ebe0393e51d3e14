//! One event in one attempt, made from a permit and nothing else.

use writ_model::id::{DeliveryId, Offset};

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
