//! A source that streams numbered changes, rewinds on demand, and forgets what was acknowledged.

use serde::{Deserialize, Serialize};
use writ_model::taxonomy::PriorityClass;

use crate::chance::Chance;

/// One event, as it is put on the tape. The number is its position in the source and its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) subject: u8,
    pub(crate) is_express: bool,
    pub(crate) bytes: u32,
    /// Bit per subscriber that policy denies.
    pub(crate) denied: u8,
    pub(crate) recorded_at: i64,
    pub(crate) settle_by: i64,
}

impl Event {
    pub(crate) fn class(&self) -> PriorityClass {
        if self.is_express { PriorityClass::Express } else { PriorityClass::Standard }
    }

    /// The subscribers' filters.
    pub(crate) fn matches(&self, subscriber: usize) -> bool {
        !(self.number + subscriber as u64).is_multiple_of(5)
    }

    pub(crate) fn is_denied(&self, subscriber: usize) -> bool {
        self.denied >> subscriber & 1 == 1
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream {
    changes: Vec<Event>,
    /// How many were handed over in this session.
    sent: usize,
    acknowledged: u64,
}

impl Upstream {
    /// Somebody changes a record.
    pub(crate) fn change(&mut self, chance: &mut Chance, subjects: u64) {
        let number = self.changes.len() as u64 + 1;
        self.changes.push(Event {
            number,
            subject: chance.between(1, subjects) as u8,
            is_express: chance.percent(20),
            bytes: chance.between(50, 900) as u32,
            denied: if chance.percent(5) { chance.draw() as u8 } else { 0 },
            recorded_at: 0,
            settle_by: 0,
        });
    }

    /// The next change of the stream.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let event = self.changes.get(self.sent)?.clone();
        self.sent += 1;
        Some(event)
    }

    pub(crate) fn acknowledge(&mut self, number: u64) {
        self.acknowledged = self.acknowledged.max(number);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Begins the stream again behind what was acknowledged: everything after comes a second time.
    pub(crate) fn rewind(&mut self) {
        self.sent = self.acknowledged as usize;
    }

    /// Begins again behind this change, which the engine says it has.
    pub(crate) fn rewind_to(&mut self, number: u64) {
        self.sent = number.max(self.acknowledged) as usize;
    }

    pub(crate) fn count(&self) -> u64 {
        self.changes.len() as u64
    }
}
