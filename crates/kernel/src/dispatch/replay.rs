//! A replay: selected events of a stretch of the log sent once more to one subscriber, beside its live lane.
//! It has a position, a pace and a breaker of its own and never touches the live cursor.
//!
//! A replay parks nothing: an event that fails for good is passed over, with a note, and the live lane's
//! dead letters stay as they are. Which events are selected, and whether each may still be sent, is said by
//! what it is offered (`select.rs`, `gate/again.rs`).

use writ_model::control::{ControlFact, ReplayProgress};
use writ_model::guarantee::Guarantee;
use writ_model::id::Offset;
use writ_model::replay::{DeliveryIds, ReplayAct, ReplayOrder, ReplayWithheld};
use writ_model::taxonomy::ChangeType;

use super::lane::{Lane, State};
use super::pace::Pace;
use super::parent::Turn;
use crate::gate::permit::Denial;
use crate::guarantee::Promises;

/// At most so many replays run at once, over all lanes: each takes a share of the byte bound.
pub const REPLAYS_MAX: usize = 8;

/// What an operator orders, or what the journal says of a replay that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// As it was ordered.
    pub given: ReplayOrder,
    /// How far it came.
    pub progress: ReplayProgress,
    /// Nobody has written it down yet.
    pub is_new: bool,
    /// What today's gate kept back and nobody has written down yet.
    denied: Vec<(Offset, Denial)>,
}

impl Order {
    /// A new replay.
    pub fn new(given: ReplayOrder) -> Self {
        let progress = ReplayProgress {
            id: given.id.clone(),
            subscriber: given.subscriber.clone(),
            from: given.from,
            to: given.to,
            next: given.from,
            state: State::Running.as_str().to_owned(),
            delivered: 0,
            done: Vec::new(),
            withheld: 0,
            failed: 0,
            rate_per_second: given.rate_per_second,
        };
        Self { given, progress, is_new: true, denied: Vec::new() }
    }

    /// Takes up what the journal holds. One from before orders were journaled selects everything.
    pub fn resumed(given: Option<ReplayOrder>, progress: ReplayProgress) -> Self {
        let plain = || ReplayOrder {
            id: progress.id.clone(),
            number: 0,
            subscriber: progress.subscriber.clone(),
            from: progress.from,
            to: progress.to,
            selection: writ_model::replay::Selection::default(),
            ids: DeliveryIds::SameId,
            shredded: writ_model::replay::Shredded::Tombstone,
            rate_per_second: progress.rate_per_second,
            forced: None,
            request: String::new(),
            asked: String::new(),
            actor: String::new(),
            at: writ_model::time::Timestamp::default(),
        };
        Self { given: given.unwrap_or_else(plain), progress, is_new: false, denied: Vec::new() }
    }

    /// It was paused and stays so.
    pub fn is_paused(&self) -> bool {
        self.progress.state == State::Paused.as_str()
    }

    /// The reissue number of its delivery ids.
    pub(super) fn reissue(&self) -> u32 {
        match self.given.ids {
            DeliveryIds::SameId => 0,
            DeliveryIds::NewId => self.given.number,
        }
    }
}

/// What is done to a replay that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing new is sent.
    Pause,
    /// It goes on.
    Resume,
    /// At most so many events a second from now on; `None`: as fast as it can.
    Rate(Option<u32>),
    /// It ends here.
    Cancel,
}

impl Act {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Rate(_) => "rate",
            Self::Cancel => "cancelled",
        }
    }
}

/// Why a replay was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are [`REPLAYS_MAX`] already.
    #[error("{REPLAYS_MAX} replays are running; wait for one to end or cancel it")]
    TooMany,
    /// The base is no live lane.
    #[error("there is no such live lane")]
    UnknownLane,
    /// Nothing lies between the bounds.
    #[error("the range is empty")]
    EmptyRange,
    /// A replay of that name runs.
    #[error("one of that name is running")]
    SameName,
    /// New delivery ids would break a guarantee.
    #[error("{0} events to this subscriber are exactly-once, and new delivery ids would repeat their effect")]
    ExactlyOnce(ChangeType),
}

/// New delivery ids are refused for exactly-once pairs, unless they are forced with a reason.
pub fn check_ids(given: &ReplayOrder, promises: &Promises) -> Result<(), Refused> {
    if given.ids == DeliveryIds::SameId || given.forced.is_some() {
        return Ok(());
    }
    let chosen = given.selection.change_types.as_slice();
    let chosen = if chosen.is_empty() { ChangeType::ALL } else { chosen };
    match chosen.iter().find(|one| promises.of(**one).guarantee == Guarantee::ExactlyOnce) {
        Some(one) => Err(Refused::ExactlyOnce(*one)),
        None => Ok(()),
    }
}

impl Lane {
    /// How far a replay came; `None` for a live lane.
    pub fn progress(&self) -> Option<ReplayProgress> {
        let order = self.replay.as_ref()?;
        let (next, done) = (self.position.watermark(), self.position.done());
        Some(ReplayProgress { next, done, state: self.state.as_str().to_owned(), ..order.progress.clone() })
    }

    /// Writes how far the replay came, and before it what was ordered and what was kept back.
    pub(super) fn tell_replay(&mut self, turn: &mut Turn<'_>, progress: ReplayProgress) {
        let Some(order) = &mut self.replay else { return };
        if std::mem::take(&mut order.is_new) {
            turn.journal(ControlFact::ReplayOrdered(Box::new(order.given.clone())));
        }
        let denied = std::mem::take(&mut order.denied);
        if let Some((_, Denial { policy, .. })) = denied.first() {
            let (id, policy) = (order.given.id.clone(), policy.clone());
            let items = denied.into_iter().map(|(at, denial)| (at, denial.cause.as_str().to_owned()));
            let items = items.collect();
            turn.journal(ControlFact::ReplayWithheld(ReplayWithheld { id, policy, items }));
        }
        turn.journal(ControlFact::Replay(progress));
    }

    /// Today's gate kept an event back from a replay.
    pub(super) fn note_denied(&mut self, offset: Offset, denial: Denial) {
        if let Some(order) = &mut self.replay {
            order.denied.push((offset, denial));
        }
    }

    /// Does what an operator asks of a replay, and writes down who asked. A live lane ignores it.
    pub(super) fn act(&mut self, turn: &mut Turn<'_>, act: Act, actor: String) {
        let Some(order) = &mut self.replay else { return };
        let (id, at) = (order.given.id.clone(), turn.now.wall);
        let rate_per_second = match act {
            Act::Rate(rate) => rate,
            Act::Pause | Act::Resume | Act::Cancel => None,
        };
        let act_word = act.as_str().to_owned();
        turn.journal(ControlFact::ReplayActed(ReplayAct { id, act: act_word, rate_per_second, actor, at }));
        match act {
            Act::Pause => self.change(turn, State::Paused),
            Act::Resume => self.change(turn, State::Running),
            Act::Rate(rate) => {
                order.progress.rate_per_second = rate;
                self.set_rate(turn, rate);
            }
            Act::Cancel => self.cancel(turn),
        }
    }

    /// A wait that the subscriber asked for outlives a change of the rate.
    fn set_rate(&mut self, turn: &mut Turn<'_>, rate: Option<u32>) {
        let held = self.pace.deadline(turn.now.moment);
        self.pace = Pace::new(rate);
        held.into_iter().for_each(|until| self.pace.hold(until));
        self.tell(turn);
    }

    /// A replay ends before its end.
    pub(super) fn cancel(&mut self, turn: &mut Turn<'_>) {
        let Some(progress) = self.progress() else { return };
        self.state = State::Over;
        self.ledger.take(progress.next);
        self.tell_replay(turn, ReplayProgress { state: "cancelled".to_owned(), ..progress });
    }

    /// A replay that has read and settled its whole range is over.
    pub(super) fn end_if_done(&mut self, turn: &mut Turn<'_>) {
        let Some(order) = &self.replay else { return };
        let done = self.position.watermark() >= order.given.to && self.backlog.items() == 0;
        if done && self.state == State::Running {
            self.change(turn, State::Over);
        }
    }
}
