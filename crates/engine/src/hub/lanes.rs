//! Which lane is whose: names, subscribers, and replays that run beside a live lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use writ_connectors::subscriber::Subscriber;
use writ_kernel::dispatch::dead_letter::REDRIVE_ITEMS_MAX;
use writ_kernel::dispatch::{Item, LaneId, lane, line};
use writ_kernel::guarantee::Promises;
use writ_kernel::route::Router;
use writ_model::envelope::ClearHeader;
use writ_model::guarantee::Mechanism;
use writ_model::id::{Offset, SubjectId, SubscriberName};
use writ_model::taxonomy::PriorityClass;
use writ_store::state::State;

use super::reader::{ColdReader, Unreadable};
use crate::assemble::LanePart;
use crate::config::{Order, Period};

/// One configured subscriber.
pub(crate) struct Lane {
    pub(crate) name: SubscriberName,
    pub(crate) kind: String,
    pub(crate) subscriber: Arc<dyn Subscriber>,
    pub(crate) promises: Promises,
}

impl From<LanePart> for Lane {
    fn from(part: LanePart) -> Self {
        let LanePart { name, kind, subscriber, promises, .. } = part;
        Self { name, kind, subscriber, promises }
    }
}

/// A lane's settings, from configuration and from what the connector can.
pub(crate) fn settings(part: &LanePart) -> lane::Config {
    let given = &part.delivery;
    let mut config = lane::Config::new(part.name.clone());
    config.order = match given.order {
        Order::PerSubject => line::Order::Subject,
        Order::PerPartition => line::Order::Partition,
        Order::Unordered => line::Order::Unordered,
    };
    for (change_type, Period(time)) in &given.due {
        config.due = config.due.but(*change_type, *time);
    }
    config.settled_within = given.settled_within.map(|Period(time)| time);
    config.in_flight_max = given.in_flight_max.max(1);
    config.window_items = given.window_max.max(1);
    config.batching.items_max = given.batch_max.clamp(1, part.subscriber.batch_max().max(1));
    config.batching.linger = given.linger.0;
    config.batching.subject_repeats = given.subject_repeats;
    config.retry.base = given.retry_first.0;
    config.retry.cap = given.retry_longest.0;
    config.retry.attempts_max = given.attempts_max;
    config.retry.age_max = given.age_max.0;
    config.retry.retry_after_max = given.retry_after_longest.0;
    config.answers = given.rules();
    if let Some(rate) = &given.rate {
        config.rate = rate.policy();
        config.events_in_flight_max = rate.events_in_flight_max.unwrap_or(usize::MAX).max(1);
    }
    config.is_two_phase = part.subscriber.proofs().iter().any(|proof| proof.mechanism == Mechanism::TwoPhase);
    config.probes = part.subscriber.can_probe();
    config.promises = part.promises.clone();
    config.expires_after = given.expires_after.map(|period| period.0);
    config.breaker.failures_in_a_row = given.breaker_failures;
    config.breaker.open_for = given.breaker_open.0;
    config.breaker.probes_max = u32::try_from(given.breaker_probes).unwrap_or(u32::MAX);
    config
}

/// The lanes whose filters match, in lane order.
pub(crate) fn wanted(router: &Router, header: &ClearHeader, class: PriorityClass) -> Vec<LaneId> {
    router.matches(header, class).map(|index| LaneId(u16::try_from(index).unwrap_or(u16::MAX))).collect()
}

/// All lanes.
pub(crate) struct Lanes {
    pub(crate) state: Arc<dyn State>,
    live: Vec<Lane>,
    /// Replay lanes: the replay's name and the live lane whose subscriber and filter it uses.
    replays: BTreeMap<LaneId, (String, LaneId)>,
    /// The last failure's cause, by live lane.
    failures: BTreeMap<LaneId, String>,
}

impl Lanes {
    pub(crate) fn new(live: Vec<Lane>, state: Arc<dyn State>) -> Self {
        Self { state, live, replays: BTreeMap::new(), failures: BTreeMap::new() }
    }

    /// Lets go of the replays that are over.
    pub(crate) fn keep_replays(&mut self, runs: impl Fn(LaneId) -> bool) {
        self.replays.retain(|lane, _| runs(*lane));
    }

    pub(crate) fn add_replay(&mut self, id: String, replay: LaneId, base: LaneId) {
        self.replays.insert(replay, (id, base));
    }

    /// Remembers why a lane's last attempt failed.
    pub(crate) fn failed(&mut self, id: LaneId, cause: &str) {
        self.failures.insert(self.live_of(id), cause.to_owned());
    }

    pub(crate) fn last_failure(&self, id: LaneId) -> Option<String> {
        self.failures.get(&id).cloned()
    }

    fn live_of(&self, id: LaneId) -> LaneId {
        self.replays.get(&id).map_or(id, |(_, base)| *base)
    }

    pub(crate) fn live_ids(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..u16::try_from(self.live.len()).unwrap_or(u16::MAX)).map(LaneId)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<LaneId> {
        self.live_ids().find(|id| self.name(*id) == name)
    }

    fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.live.get(usize::from(self.live_of(id).0))
    }

    /// The live lane whose filter counts, and its subscriber's name.
    pub(crate) fn base(&self, id: LaneId) -> Option<(LaneId, &str)> {
        self.lane(id).map(|lane| (self.live_of(id), lane.name.as_str()))
    }

    pub(crate) fn name(&self, id: LaneId) -> &str {
        self.lane(id).map_or("", |lane| lane.name.as_str())
    }

    pub(crate) fn subscriber_name(&self, id: LaneId) -> Option<&SubscriberName> {
        self.lane(id).map(|lane| &lane.name)
    }

    pub(crate) fn kind(&self, id: LaneId) -> &str {
        self.lane(id).map_or("", |lane| lane.kind.as_str())
    }

    pub(crate) fn promises(&self, id: LaneId) -> Promises {
        self.lane(id).map(|lane| lane.promises.clone()).unwrap_or_default()
    }

    /// Takes back what is offered to consumers of a lane and not taken: it was paused.
    pub(crate) fn withdraw(&self, id: LaneId) {
        if let Some(mailbox) = self.lane(id).and_then(|lane| lane.subscriber.mailbox()) {
            mailbox.withdraw();
        }
    }

    /// Sends consumers away: nothing more is offered.
    pub(crate) fn close_mailboxes(&self) {
        let mailboxes = self.live.iter().filter_map(|lane| lane.subscriber.mailbox());
        mailboxes.for_each(|mailbox| mailbox.close());
    }

    /// Reads how far the log says that a lane has come; nothing of it when that cannot be read. Blocking.
    pub(crate) fn durable_cursor(&self, id: LaneId) -> Option<impl FnOnce() -> Offset + Send + use<>> {
        let name = self.lane(id)?.name.clone();
        let state = Arc::clone(&self.state);
        Some(move || {
            let cursor = state.cursor(&name).ok().flatten();
            cursor.map_or(Offset::ZERO, |cursor| cursor.watermark)
        })
    }

    pub(crate) fn subscriber(&self, id: LaneId) -> Option<Arc<dyn Subscriber>> {
        self.lane(id).map(|lane| Arc::clone(&lane.subscriber))
    }
}

/// One subject's dead letters at one subscriber, as items in order, the first of them at least; `Err` when the
/// disk does not give one of them now. Blocking.
pub(crate) fn dead_letter_items(
    state: &dyn State,
    cold: &ColdReader,
    subscriber: &SubscriberName,
    subject: SubjectId,
) -> Result<Vec<Item>, Unreadable> {
    let letters = state.dead_letters(subscriber, before(subject), REDRIVE_ITEMS_MAX).map_err(|error| {
        tracing::error!(subscriber = %subscriber, error = %error, "dead letters cannot be read");
        Unreadable
    })?;
    let mut items = Vec::new();
    for letter in letters.into_iter().take_while(|letter| letter.subject_id == subject) {
        let event = cold.load(letter.offset)?;
        items.extend(event.map(|event| event.item(subscriber.as_str())));
    }
    Ok(items)
}

/// The place just before a subject's first dead letter.
fn before(subject: SubjectId) -> Option<(SubjectId, Offset)> {
    let number = u128::from_be_bytes(subject.0).checked_sub(1)?;
    Some((SubjectId(number.to_be_bytes()), Offset(u64::MAX)))
}
