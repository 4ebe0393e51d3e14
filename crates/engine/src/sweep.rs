//! Events that memory no longer holds, read forward through the log: what settlement and final leaves need of
//! them, which is never the payload. Both go by ascending offsets, so what one look passes is kept for the
//! next: the intents of one commit lie together behind its events.

use std::collections::BTreeMap;

use writ_attest::leaf::{EventFacts, Leaf};
use writ_model::envelope::ClearHeader;
use writ_model::id::Offset;
use writ_model::taxonomy::PriorityClass;
use writ_store::log::Record;

use crate::hub::reader::{ColdReader, Unreadable};

/// Bytes of log that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Events and intents that are kept; about two kilobytes a pair.
const KEPT_MAX: usize = 4096;

/// What is known of an event without opening it.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) header: ClearHeader,
    pub(crate) class: PriorityClass,
    intent_index: u64,
}

/// A place in the log and what was passed on the way to it.
pub(crate) struct Sweep {
    cold: ColdReader,
    events: BTreeMap<Offset, Passed>,
    intents: BTreeMap<u64, Vec<u8>>,
    /// Where to read on.
    next: Offset,
}

impl Sweep {
    pub(crate) fn new(cold: ColdReader) -> Self {
        Self { cold, events: BTreeMap::new(), intents: BTreeMap::new(), next: Offset::ZERO }
    }

    /// The event at an offset; `None` when the log holds none there.
    pub(crate) fn event(&mut self, offset: Offset) -> Result<Option<&Passed>, Unreadable> {
        if !self.events.contains_key(&offset) {
            if offset < self.cold.start() {
                return Ok(None);
            }
            self.go_to(offset);
            while self.next <= offset && self.read()? {}
        }
        Ok(self.events.get(&offset))
    }

    /// The header of the event at an offset and the facts of its intent; `None` when the log does not hold them.
    pub(crate) fn intent(&mut self, offset: Offset) -> Result<Option<(ClearHeader, EventFacts)>, Unreadable> {
        let Some(Passed { header, intent_index, .. }) = self.event(offset)?.cloned() else { return Ok(None) };
        let is_passed =
            |sweep: &Self| sweep.intents.last_key_value().is_some_and(|(last, _)| *last >= intent_index);
        while !is_passed(self) && self.read()? {}
        let leaf = self.intents.get(&intent_index).map(|bytes| Leaf::parse(bytes));
        Ok(match leaf {
            Some(Ok(Leaf::Intent(intent))) => Some((header, intent.facts)),
            Some(Ok(Leaf::Attestation(_) | Leaf::Accounting(_) | Leaf::Withheld(_)) | Err(_)) | None => None,
        })
    }

    /// Reading on comes to an offset that is not far ahead, if the log was not shortened past the place meanwhile; else
    /// the sweep begins anew there.
    fn go_to(&mut self, offset: Offset) {
        let is_near = self.next <= offset && offset.0 - self.next.0 < KEPT_MAX as u64;
        let is_near = is_near && self.next >= self.cold.start();
        if !is_near {
            self.events.clear();
            self.intents.clear();
            self.next = offset;
        }
    }

    /// Reads on; false at the log's end. What was passed first makes room.
    fn read(&mut self) -> Result<bool, Unreadable> {
        let records = self.cold.records(self.next, READ_BYTES)?;
        let Some(last) = records.last().map(Record::offset) else { return Ok(false) };
        self.next = last.next();
        for record in records {
            match record {
                Record::Event(event) => {
                    let (class, intent_index) = (event.decision.class, event.intent_index);
                    self.events.insert(event.offset, Passed { header: event.header, class, intent_index });
                }
                // A leaf with acknowledgement records is a final one.
                Record::Leaf(_, index, bytes) if !bytes.contains(&b'\n') => {
                    self.intents.insert(index, bytes);
                }
                Record::Leaf(..) | Record::Fact(..) => {}
            }
        }
        while self.events.len() > KEPT_MAX {
            self.events.pop_first();
        }
        while self.intents.len() > KEPT_MAX {
            self.intents.pop_first();
        }
        Ok(true)
    }
}
