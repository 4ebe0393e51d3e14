//! Express events beyond what a lane has read: a lane that is behind takes them before their turn.
//!
//! A lane that cannot read on, because its window is full, looks further along the log for express events alone. Each
//! is offered with the earlier events of its subject that the lane has not read, so that a subject's events stand in
//! its queue in their order as ever, and the queue decides who of them goes first (`backlog.rs`). When the lane reads
//! on, it passes over what it has taken (`cursor.rs`).

use writ_model::id::Offset;

use super::lane::Lane;
use super::line::Order;
use super::parent::Turn;
use super::{Effect, Item};

/// So many events at most are taken before their turn and not settled. They come on top of the window.
pub const AHEAD_ITEMS_MAX: usize = 256;

/// So many ranges at most are settled and not read past: every cursor that is written holds them.
pub const BEYOND_MAX: usize = 4096;

/// This share of a lane's bytes is kept free for express events.
pub(super) const BYTES_SHARE: usize = 16;

/// The lane's second place in the log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    is_looking: bool,
    /// No express event below is looked for again.
    looked_to: Offset,
}

impl Lane {
    /// Looks for express events further along, where the lane cannot read on by itself.
    pub(super) fn look_ahead(&mut self, turn: &mut Turn<'_>) {
        // Nothing overtakes in a partition.
        let may_overtake = match self.config.order {
            Order::Subject | Order::Unordered => self.replay.is_none(),
            Order::Partition => false,
        };
        let items_max = AHEAD_ITEMS_MAX.saturating_sub(self.position.ahead_count());
        let bytes_max = self.bytes_max().saturating_sub(self.backlog.bytes());
        // What does not fit is passed over, so it looks only when there is room for what usually comes together.
        let bytes_min = (self.bytes_max() / BYTES_SHARE / 2).max(1);
        let has_room = items_max >= AHEAD_ITEMS_MAX / 2 && bytes_max >= bytes_min;
        let has_room = has_room && self.position.beyond_count() < BEYOND_MAX;
        if self.is_reading || self.ahead.is_looking || !may_overtake || !has_room {
            return;
        }
        self.ahead.is_looking = true;
        let behind = self.position.read_to();
        let from = self.ahead.looked_to.max(behind);
        turn.effects.push(Effect::ReadExpress { lane: self.given.id, behind, from, items_max, bytes_max });
    }

    /// Takes express events before their turn, and what of their subjects had to go before them.
    pub(super) fn offered_ahead(&mut self, turn: &mut Turn<'_>, items: Vec<Item>, next: Offset) {
        self.ahead.is_looking = false;
        self.ahead.looked_to = self.ahead.looked_to.max(next);
        if !self.is_in_order(turn, &items) {
            return;
        }
        for item in items {
            if self.position.open_ahead(item.offset, item.recorded_at) {
                self.take_in(turn, item);
            }
        }
    }
}
