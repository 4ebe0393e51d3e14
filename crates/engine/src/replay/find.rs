//! Which events a replay reads next: by the subject index, or record by record.

use writ_model::id::Offset;
use writ_store::log::StoredEvent;

use super::{Errand, Shared};
use crate::hub::reader::Unreadable;
use crate::payload::Stretch;

/// Bytes of log that one read covers at most; a replay that selects little reads again.
const READ_BYTES: usize = 1 << 20;

/// What an event takes of the log at a first guess, with its leaves: no more is read than what is asked for.
const EVENT_BYTES: usize = 8 << 10;

/// Events of selected subjects that are looked up at once.
const LOOKED_UP_MAX: usize = 256;

/// Selected events, and where to read on.
pub(super) struct Found {
    pub(super) events: Vec<StoredEvent>,
    pub(super) next: Offset,
}

/// How much may still be taken.
struct Room {
    items: usize,
    bytes: usize,
}

impl Room {
    /// Whether one more event fits; the first always does.
    fn takes(&mut self, event: &StoredEvent, taken: usize) -> bool {
        let bytes = event.bytes as usize;
        if taken > 0 && (self.items == 0 || bytes > self.bytes) {
            return false;
        }
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

/// Selected events from `stretch.from` on, at least one or a later place to read on. Blocking.
pub(super) fn from(shared: &Shared, errand: &Errand, stretch: Stretch) -> Result<Found, Unreadable> {
    let room = Room { items: stretch.items_max.max(1), bytes: stretch.bytes_max };
    // Segments may leave the log between an order and its first read: what they held was past retention.
    let from = stretch.from.max(shared.cold.start());
    let found = match errand.selected.subjects() {
        _ if from >= errand.order.to => Found { events: Vec::new(), next: errand.order.to },
        Some(_) => by_subject(shared, errand, from, room)?,
        None => by_offset(shared, errand, from, room)?,
    };
    // The index may not have come so far yet.
    if found.next > stretch.from { Ok(found) } else { Err(Unreadable) }
}

fn by_offset(shared: &Shared, errand: &Errand, from: Offset, mut room: Room) -> Result<Found, Unreadable> {
    let to = errand.order.to;
    let wanted = room.bytes.min(room.items * EVENT_BYTES).max(1 << 16);
    let (read, through) = shared.cold.stored_from(from, READ_BYTES.min(wanted))?;
    let mut next = if through == from { to } else { through.min(to) };
    let mut events = Vec::new();
    for event in read.into_iter().take_while(|event| event.offset < to) {
        if !is_selected(shared, errand, &event) {
            continue;
        }
        if !room.takes(&event, events.len()) {
            next = event.offset;
            break;
        }
        events.push(event);
    }
    Ok(Found { events, next })
}

fn by_subject(shared: &Shared, errand: &Errand, from: Offset, mut room: Room) -> Result<Found, Unreadable> {
    let to = errand.order.to;
    let limit = room.items.min(LOOKED_UP_MAX);
    // Taken first: events that are applied meanwhile are looked up the next time.
    let known = shared.state.applied().min(to);
    let mut offsets = looked_up(shared, errand, from, limit)?;
    offsets.retain(|offset| *offset < known);
    offsets.truncate(limit);
    let mut next = if offsets.len() == limit { offsets[limit - 1].next() } else { known };
    let mut events = Vec::new();
    for offset in offsets {
        let Some(event) = shared.cold.stored_at(offset)?.filter(|event| is_selected(shared, errand, event))
        else {
            continue;
        };
        if !room.takes(&event, events.len()) {
            next = offset;
            break;
        }
        events.push(event);
    }
    Ok(Found { events, next })
}

/// The next offsets of each selected subject, all in order: up to the `limit`th there is none missing.
fn looked_up(
    shared: &Shared,
    errand: &Errand,
    from: Offset,
    limit: usize,
) -> Result<Vec<Offset>, Unreadable> {
    let after = from.0.checked_sub(1).map(Offset);
    let mut offsets = Vec::new();
    for subject in errand.selected.subjects().into_iter().flatten() {
        let found = shared.state.events_of(*subject, after, limit).map_err(|error| {
            tracing::error!(error = %error, "the index of subjects cannot be read");
            Unreadable
        })?;
        offsets.extend(found);
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// The subscriber wants it, and the replay selects it.
fn is_selected(shared: &Shared, errand: &Errand, event: &StoredEvent) -> bool {
    let (header, class) = (&event.header, event.decision.class);
    errand.selected.matches(header, class, event.sequence)
        && shared.router.matches(header, class).any(|lane| lane == usize::from(errand.base.0))
}
