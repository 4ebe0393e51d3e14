//! The table of offers and leases: every transition as a function of the time and what was there before. The
//! waiting is done in the parent.
//!
//! The end of a lease is decided by the clock of the caller, not by who wakes first: a word that comes at or
//! after the end is refused although nobody has noticed the end yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use writ_model::delivery::{Answer, Fault, Word};
use writ_model::id::{DeliveryId, Epoch};

use super::lease::{Lease, LeaseId, Refused, Terms, Words};
use crate::subscriber::ParcelItem;

/// An offer that nobody takes goes back to the lane after this: an opened payload must not lie about, and what
/// has changed meanwhile (a pause, a destroyed key) is to be seen at the next offer.
pub(super) const OFFER_LONGEST: Duration = Duration::from_secs(30);

/// However often it is extended, a lease ends so long after it was taken: a consumer that only ever extends
/// does not hold a subject for ever.
pub(super) const LEASE_LONGEST: Duration = Duration::from_secs(12 * 3600);

/// After closing, answers that are under way still count for so long: well below what a drain may take.
pub(super) const CLOSING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
enum Phase {
    Waiting { until: Instant },
    Leased { until: Instant, longest: Instant },
}

/// One offer.
#[derive(Debug)]
struct Slot {
    /// Until they are taken: the payloads go with the lease.
    items: Vec<ParcelItem>,
    deliveries: Vec<DeliveryId>,
    answers: Vec<Option<Answer>>,
    phase: Phase,
    /// Wakes whoever waits for the end: it has come, or has been moved nearer.
    ended: Arc<Notify>,
}

/// What has become of an offer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is over, by this.
    Over(Answer),
    /// Nothing happens by itself before this.
    Until(Instant),
}

/// All offers of one mailbox. An offer's number is its lease's.
#[derive(Debug)]
pub(super) struct Table {
    terms: Terms,
    epoch: Epoch,
    last: u64,
    slots: BTreeMap<u64, Slot>,
    waiting: BTreeSet<u64>,
    consumers: usize,
    is_closed: bool,
}

impl Table {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            epoch: Epoch::default(),
            last: 0,
            slots: BTreeMap::new(),
            waiting: BTreeSet::new(),
            consumers: 0,
            is_closed: false,
        }
    }

    pub(super) fn open(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    pub(super) fn enter(&mut self) -> Result<(), Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        if self.consumers >= self.terms.consumers_max {
            return Err(Refused::Crowded(self.consumers));
        }
        self.consumers += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.consumers -= 1;
    }

    /// A new offer. In a closed mailbox it is over at once.
    pub(super) fn offer(&mut self, now: Instant, items: Vec<ParcelItem>) -> (u64, Arc<Notify>) {
        self.last += 1;
        let ended = Arc::new(Notify::new());
        let until = if self.is_closed { now } else { now + OFFER_LONGEST };
        let slot = Slot {
            deliveries: items.iter().map(|item| item.delivery_id).collect(),
            answers: vec![None; items.len()],
            items,
            phase: Phase::Waiting { until },
            ended: Arc::clone(&ended),
        };
        self.slots.insert(self.last, slot);
        self.waiting.insert(self.last);
        (self.last, ended)
    }

    /// What has become of an offer; one that is over is gone after this.
    pub(super) fn look(&mut self, number: u64, now: Instant) -> Look {
        let slot = self.slots.get(&number).expect("an offer is in the table until it was seen to be over");
        let Some(answer) = slot.answer(now) else { return Look::Until(slot.phase.until()) };
        self.remove(number);
        Look::Over(answer)
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.slots.remove(&number);
    }

    /// Leases the oldest offer.
    pub(super) fn take(&mut self, now: Instant, events_max: usize) -> Result<Option<Lease>, Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        let is_open = |number: &u64| self.slots.get(number).is_some_and(|slot| slot.phase.until() > now);
        let Some(number) = self.waiting.iter().copied().find(is_open) else { return Ok(None) };
        self.waiting.remove(&number);
        let id = LeaseId { epoch: self.epoch, number };
        let time = self.terms.lease;
        let Some(slot) = self.slots.get_mut(&number) else { return Ok(None) };
        slot.phase = Phase::Leased { until: now + time, longest: now + LEASE_LONGEST };
        // Whoever waits for the end of the offer has another end to wait for.
        slot.ended.notify_waiters();
        let mut items = std::mem::take(&mut slot.items);
        items.truncate(events_max.max(1));
        slot.answers[items.len()..].fill(Some(Answer::Failed(Fault::NotTaken)));
        Ok(Some(Lease { id, items, time }))
    }

    pub(super) fn answer(&mut self, now: Instant, lease: LeaseId, words: &Words) -> Result<usize, Refused> {
        let slot = self.live(now, lease)?;
        let mut answers = slot.answers.clone();
        for (delivery, word) in &words.items {
            let index = slot.index_of(*delivery).ok_or(Refused::NotLeased(*delivery))?;
            let said = Answer::Consumer(*word);
            match &answers[index] {
                None => answers[index] = Some(said),
                Some(before) if *before == said => {}
                Some(Answer::Failed(Fault::NotTaken)) => return Err(Refused::NotLeased(*delivery)),
                Some(_) => return Err(Refused::Answered(*delivery)),
            }
        }
        if let Some(word) = words.rest {
            answers.iter_mut().filter(|answer| answer.is_none()).for_each(|answer| *answer = said(word));
        }
        slot.answers = answers;
        slot.ended.notify_waiters();
        Ok(slot.answers.iter().filter(|answer| answer.is_none()).count())
    }

    pub(super) fn extend(&mut self, now: Instant, lease: LeaseId) -> Result<Duration, Refused> {
        let (time, is_closed) = (self.terms.lease, self.is_closed);
        let slot = self.live(now, lease)?;
        if let Phase::Leased { until, longest } = &mut slot.phase
            && !is_closed
        {
            *until = (now + time).min(*longest);
        }
        Ok(slot.phase.until() - now)
    }

    pub(super) fn give_back(&mut self, lease: LeaseId) {
        let Some(slot) = self.slots.get_mut(&lease.number).filter(|_| lease.epoch == self.epoch) else {
            return;
        };
        let unanswered = slot.answers.iter_mut().filter(|answer| answer.is_none());
        unanswered.for_each(|answer| *answer = Some(Answer::Failed(Fault::AnswerBroken)));
        slot.ended.notify_waiters();
    }

    /// Wakes at the end of a lease that is not over.
    pub(super) fn watch(&self, lease: LeaseId) -> Option<Arc<Notify>> {
        let slot = self.slots.get(&lease.number).filter(|_| lease.epoch == self.epoch)?;
        Some(Arc::clone(&slot.ended))
    }

    pub(super) fn withdraw(&mut self) {
        for number in std::mem::take(&mut self.waiting) {
            let Some(slot) = self.slots.get_mut(&number) else { continue };
            slot.answers.fill(Some(Answer::Failed(Fault::NotTaken)));
            slot.ended.notify_waiters();
        }
    }

    pub(super) fn close(&mut self, now: Instant) {
        self.is_closed = true;
        self.withdraw();
        for slot in self.slots.values_mut() {
            if let Phase::Leased { until, .. } = &mut slot.phase {
                *until = (*until).min(now + CLOSING);
            }
            slot.ended.notify_waiters();
        }
    }

    /// The slot of a lease that may be answered now.
    fn live(&mut self, now: Instant, lease: LeaseId) -> Result<&mut Slot, Refused> {
        if lease.epoch != self.epoch {
            return Err(Refused::Fenced { lease, epoch: self.epoch });
        }
        let slot = self.slots.get_mut(&lease.number).filter(|slot| slot.is_leased(now));
        slot.ok_or(Refused::Ended(lease))
    }
}

fn said(word: Word) -> Option<Answer> {
    Some(Answer::Consumer(word))
}

impl Phase {
    fn until(self) -> Instant {
        match self {
            Self::Waiting { until } | Self::Leased { until, .. } => until,
        }
    }
}

impl Slot {
    fn is_leased(&self, now: Instant) -> bool {
        let is_whole = self.answers.iter().all(Option::is_some);
        matches!(self.phase, Phase::Leased { until, .. } if now < until) && !is_whole
    }

    fn index_of(&self, delivery: DeliveryId) -> Option<usize> {
        self.deliveries.iter().position(|leased| *leased == delivery)
    }

    /// What the lane is told, once it can be.
    fn answer(&self, now: Instant) -> Option<Answer> {
        let is_over = now >= self.phase.until();
        if !is_over && self.answers.iter().any(Option::is_none) {
            return None;
        }
        let fault = match self.phase {
            Phase::Waiting { .. } => Fault::NotTaken,
            Phase::Leased { .. } => Fault::LeaseExpired,
        };
        let each = |answer: &Option<Answer>| answer.clone().unwrap_or(Answer::Failed(fault));
        Some(Answer::PerItem(self.answers.iter().map(each).collect()))
    }
}
