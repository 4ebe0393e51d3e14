//! A replay: a stretch of the log sent once more to one subscriber, beside its live lane, under the same
//! delivery ids. It has a position, a pace and a breaker of its own and never touches the live cursor.
//!
//! A replay parks nothing: an event that fails for good is passed over, with a note, and the live lane's
//! dead letters stay as they are.

use writ_model::control::ReplayProgress;
use writ_model::id::Offset;

/// At most so many replays run at once, over all lanes: each takes a share of the byte bound.
pub const REPLAYS_MAX: usize = 8;

/// What an operator orders, or what the journal says of a replay that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Names the replay.
    pub id: String,
    /// First offset of the range.
    pub from: Offset,
    /// First offset after the range; not beyond the log's end.
    pub to: Offset,
    /// Where to go on; `from` for a new one.
    pub next: Offset,
    /// Delivered so far.
    pub delivered: u64,
    /// It was paused and stays so.
    pub is_paused: bool,
    /// At most so many events per second.
    pub rate_per_second: Option<u32>,
}

impl Order {
    /// A new replay of `from..to`.
    pub fn new(id: &str, from: Offset, to: Offset, rate_per_second: Option<u32>) -> Self {
        Self { id: id.to_owned(), from, to, next: from, delivered: 0, is_paused: false, rate_per_second }
    }

    /// Takes up what the journal holds.
    pub fn resumed(progress: &ReplayProgress, rate_per_second: Option<u32>) -> Self {
        Self {
            next: progress.next,
            delivered: progress.delivered,
            is_paused: progress.state == "paused",
            ..Self::new(&progress.id, progress.from, progress.to, rate_per_second)
        }
    }
}

/// Why a replay was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are [`REPLAYS_MAX`] already.
    #[error("start replay: {REPLAYS_MAX} replays are running; wait for one to end or cancel it")]
    TooMany,
    /// The base is no live lane.
    #[error("start replay: there is no such live lane")]
    UnknownLane,
    /// Nothing lies between the bounds.
    #[error("start replay: the range is empty")]
    EmptyRange,
    /// A replay of that name runs.
    #[error("start replay: one of that name is running")]
    SameName,
}
