//! Intents that memory no longer holds, for final leaves. The intents of one commit lie together behind its
//! events, and finals come in the order of their events: what one look passed on the way is kept for the next.

use std::collections::BTreeMap;

use writ_attest::leaf::{EventFacts, Leaf};
use writ_kernel::settle::Finished;
use writ_store::log::Record;

use crate::hub::reader::{ColdReader, Unreadable};

/// Bytes of log that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Intents that are kept; about a kilobyte each.
const KEPT_MAX: usize = 4096;

/// Leaves that were passed, by index.
#[derive(Default)]
pub(crate) struct Intents {
    passed: BTreeMap<u64, Vec<u8>>,
}

impl Intents {
    /// The facts of an event's intent, whose leaf follows the event in the same commit; `None` when the log
    /// does not hold it.
    pub(super) fn take(
        &mut self,
        finished: &Finished,
        cold: &ColdReader,
    ) -> Result<Option<EventFacts>, Unreadable> {
        if !self.passed.contains_key(&finished.intent_index) {
            self.look(finished, cold)?;
        }
        let leaf = self.passed.remove(&finished.intent_index);
        Ok(match leaf.map(|bytes| Leaf::parse(&bytes)) {
            Some(Ok(Leaf::Intent(intent))) => Some(intent.facts),
            Some(Ok(Leaf::Attestation(_) | Leaf::Accounting(_) | Leaf::Withheld(_)) | Err(_)) | None => None,
        })
    }

    /// Reads on from the event until its intent was passed. What an earlier look passed makes room.
    fn look(&mut self, finished: &Finished, cold: &ColdReader) -> Result<(), Unreadable> {
        self.passed.clear();
        let mut from = finished.offset;
        loop {
            let records = cold.records(from, READ_BYTES)?;
            let Some(last) = records.last() else { return Ok(()) };
            from = last.offset().next();
            if self.keep(records, finished.intent_index) {
                return Ok(());
            }
        }
    }

    /// Keeps leaves from an index on, as many as there is room for; true once there was one.
    fn keep(&mut self, records: Vec<Record>, index: u64) -> bool {
        let leaves = records.into_iter().filter_map(|record| match record {
            Record::Leaf(_, at, bytes) => (at >= index).then_some((at, bytes)),
            Record::Event(_) | Record::Fact(..) => None,
        });
        self.passed.extend(leaves.take(KEPT_MAX));
        !self.passed.is_empty()
    }
}
