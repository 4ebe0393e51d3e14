//! What the derived state need not keep: where events that leave the log were and how they settled; pushed
//! changes whose window is over.

use writ_model::id::Offset;
use writ_model::time::Timestamp;

use super::derived::PAGE_ROWS_MAX;
use super::key::{self, EVENTS, SETTLING};
use super::{disclosure, row};
use crate::log::{Record, StoredEvent};
use crate::pairs::{Batch, Fault, Pairs};

/// The removals for the events among these records, which follow each other in the log. The last second's time
/// row stays: later events of that second, which are not among them, are found by it.
pub(super) fn rows(pairs: &dyn Pairs, records: &[Record]) -> Result<Batch, Fault> {
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) => Some(event.as_ref()),
        Record::Fact(..) | Record::Leaf(..) => None,
    });
    let last = events.clone().map(second).max();
    let mut batch = Batch::default();
    disclosure::record(pairs, &mut batch, events.clone())?;
    for event in events {
        one(pairs, &mut batch, event)?;
        if Some(second(event)) < last {
            remove_if_here(pairs, &mut batch, key::second(second(event)), event.offset)?;
        }
    }
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        acknowledgements(pairs, &mut batch, first.offset(), last.offset().next())?;
    }
    Ok(batch)
}

/// The removals for at most `limit` pushed changes of a source that were taken before a time.
pub(super) fn taken(
    pairs: &dyn Pairs,
    source: &str,
    before: Timestamp,
    limit: usize,
) -> Result<(Batch, usize), Fault> {
    let mut batch = Batch::default();
    let mut count = 0;
    for (key, _) in pairs.scan(EVENTS, &key::taken(source), &[], limit)? {
        let (at, causation) = key::taken_of(&key).ok_or_else(|| row::unreadable("key"))?;
        if at >= before {
            break;
        }
        batch.remove(EVENTS, key);
        batch.remove(EVENTS, key::intake(causation));
        count += 1;
    }
    Ok((batch, count))
}

fn second(event: &StoredEvent) -> i64 {
    event.header.recorded_at.0.div_euclid(1_000_000)
}

fn one(pairs: &dyn Pairs, batch: &mut Batch, event: &StoredEvent) -> Result<(), Fault> {
    let (header, offset) = (&event.header, event.offset);
    remove_if_here(pairs, batch, key::event(header.event_id), offset)?;
    batch.remove(EVENTS, key::subject_event(header.subject_id, offset));
    batch.remove(SETTLING, key::open(offset));
    Ok(())
}

/// Acknowledgements lie by the page: one goes when its last event does.
fn acknowledgements(pairs: &dyn Pairs, batch: &mut Batch, first: Offset, end: Offset) -> Result<(), Fault> {
    for page in key::page(first)..key::page(end) {
        for (key, _) in pairs.scan(SETTLING, &key::acknowledgements(page), &[], PAGE_ROWS_MAX)? {
            batch.remove(SETTLING, key);
        }
    }
    Ok(())
}

/// Removes a pointer, unless it points to another event.
fn remove_if_here(pairs: &dyn Pairs, batch: &mut Batch, key: Vec<u8>, offset: Offset) -> Result<(), Fault> {
    let at = pairs.get(EVENTS, &key)?.map(|bytes| row::number(&bytes)).transpose()?;
    if at.map(Offset) == Some(offset) {
        batch.remove(EVENTS, key);
    }
    Ok(())
}
