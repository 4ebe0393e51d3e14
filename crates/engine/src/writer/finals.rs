//! Final leaves: an event's facts as on its intent, and how it ended at every subscriber.

use std::sync::Arc;

use writ_attest::acks::{Ack, Sealer, Settled};
use writ_attest::blind::{Deliveries, EventBlinding, EvidenceKey, LinkedCommitment, LinkedIn};
use writ_attest::leaf::{Attestation, EventFacts, Leaf};
use writ_kernel::dispatch::LaneId;
use writ_kernel::settle::Finished;
use writ_model::control::{ControlFact, Finalised};
use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::envelope::ClearHeader;
use writ_model::id::{EventId, Generation, Offset, SourceName, SubjectId, SubscriberName};
use writ_store::vault::Purpose;

use super::batch::Batch;
use super::commit::Writer;
use super::failure::{state_failed, vault_failed};
use super::leaf;
use crate::error::EngineError;
use crate::hub::reader::Unreadable;
use crate::payload::Event;

type SettledAt = (SubscriberName, Acknowledgement);

/// The final leaves of one commit and the fact that says which events have theirs.
#[derive(Default)]
pub(super) struct Finals {
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) fact: Option<ControlFact>,
}

/// An event whose final leaf is due.
pub(crate) struct Due {
    pub(crate) finished: Finished,
    /// What the leaf repeats, where memory had it when the event settled: the ring may have let it go by the time
    /// that its leaf is written.
    pub(crate) known: Option<Known>,
}

/// What a final leaf repeats of its event.
pub(crate) struct Known {
    facts: Arc<EventFacts>,
    source: SourceName,
    event_id: EventId,
    subject_id: SubjectId,
    generation: Generation,
}

impl Known {
    /// `None` for an event that was read from disk.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        event.intent.as_ref().map(|facts| Self::new(&event.header, Arc::clone(facts)))
    }

    fn new(header: &ClearHeader, facts: Arc<EventFacts>) -> Self {
        let ClearHeader { source, event_id, subject_id, generation, .. } = header;
        let (event_id, subject_id, generation) = (*event_id, *subject_id, *generation);
        Self { facts, source: source.clone(), event_id, subject_id, generation }
    }
}

/// Where records and deliveries are written: memory that every final leaf uses again.
#[derive(Default)]
pub(crate) struct Scratch {
    sealer: Sealer,
    deliveries: Deliveries,
}

impl Writer {
    /// The final leaves of events whose outcome is known, each with its acknowledgement records. An event that
    /// the disk does not give now waits for a later commit.
    pub(super) fn finals(&mut self, batch: &mut Batch) -> Result<Finals, EngineError> {
        let mut finals = Finals::default();
        let mut offsets = Vec::with_capacity(batch.hub.finished.len());
        for due in std::mem::take(&mut batch.hub.finished) {
            match self.final_leaf(&due)? {
                Ok(Some(leaf)) => {
                    finals.leaves.push(leaf);
                    offsets.push(due.finished.offset);
                    batch.hub.finished.push(due);
                }
                Ok(None) => {}
                Err(Unreadable) => self.carried.finished.push(due),
            }
        }
        finals.fact = (!offsets.is_empty()).then_some(ControlFact::Finalised(Finalised { offsets }));
        Ok(finals)
    }

    fn final_leaf(&mut self, due: &Due) -> Result<Result<Option<Vec<u8>>, Unreadable>, EngineError> {
        let finished = &due.finished;
        let read = match &due.known {
            Some(_) => Ok(None),
            None => self.intent_of(finished.offset),
        };
        let known = match read.as_ref().map(|read| due.known.as_ref().or(read.as_ref())) {
            Ok(Some(known)) => known,
            Ok(None) => {
                tracing::error!(
                    offset = finished.offset.0,
                    "an event without a final leaf is no longer in the log"
                );
                return Ok(Ok(None));
            }
            Err(unreadable) => return Ok(Err(*unreadable)),
        };
        let settled = self.settled(finished)?;
        let linked = self.linked(&settled, known)?;
        let subscriber_ack_set = self.scratch.sealer.seal(settled.iter().map(ack));
        let subscriber_ack_set = subscriber_ack_set.map_err(|error| leaf::unwritable(&error))?;
        let at = self.stamp();
        let attestation = Attestation {
            intent_index: finished.intent_index,
            subscriber_ack_set,
            linked,
            timestamp: leaf::time(at),
            chain_of_custody: vec![leaf::own_step("settled", at)],
            time_anchor: None,
            facts: known.facts.as_ref().clone(),
        };
        let bytes = leaf::bytes(&Leaf::Attestation(Box::new(attestation)))?;
        Ok(Ok(Some(self.scratch.sealer.join(&bytes))))
    }

    /// What final leaves repeat: from memory, else from the log.
    fn intent_of(&mut self, offset: Offset) -> Result<Option<Known>, Unreadable> {
        if let Some(known) = self.payloads.get(offset).and_then(|event| Known::of(&event)) {
            return Ok(Some(known));
        }
        let read = self.sweep.intent(offset)?;
        Ok(read.map(|(header, facts)| Known::new(&header, Arc::new(facts))))
    }

    /// How the event ended at each subscriber: at those it is routed to, and at those that settled it in an
    /// earlier run and are not configured any more.
    fn settled(&mut self, finished: &Finished) -> Result<Vec<SettledAt>, EngineError> {
        let named = |(lane, how): &(LaneId, Acknowledgement)| (self.lane_name(*lane).clone(), *how);
        let mut settled: Vec<SettledAt> = finished.acknowledgements.iter().map(named).collect();
        if finished.offset < self.began {
            settled.extend(self.of_former(finished.offset)?);
        }
        settled.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(settled)
    }

    /// How an event of an earlier run settled at subscribers that are not configured any more. They settle nothing
    /// while this run lasts, so what was read of a stretch of the log serves for all its events.
    fn of_former(&mut self, offset: Offset) -> Result<Vec<SettledAt>, EngineError> {
        if !self.former.as_ref().is_some_and(|near| near.covers.contains(&offset)) {
            let near = self.state.acknowledgements_near(offset);
            let mut near = near.map_err(|error| state_failed(&error))?;
            for settled in near.settled.values_mut() {
                settled.retain(|name, _| !self.subscribers.contains(name));
            }
            self.former = Some(near);
        }
        let known = self.former.as_ref().and_then(|near| near.settled.get(&offset));
        Ok(known.into_iter().flatten().map(|(name, how)| (name.clone(), *how)).collect())
    }

    /// Delivery ids and response digests, committed to under the subject's evidence key; nothing once that
    /// key is destroyed.
    fn linked(
        &mut self,
        settled: &[SettledAt],
        known: &Known,
    ) -> Result<Option<LinkedCommitment>, EngineError> {
        let Known { facts, source, event_id, subject_id, generation } = known;
        let key = self.vault().key(*subject_id, *generation, Purpose::Evidence);
        let Some(key) = key.map_err(|error| vault_failed(&error))? else { return Ok(None) };
        let Self { scratch: Scratch { deliveries, .. }, delivery_key, origin, .. } = self;
        deliveries.begin();
        for (subscriber, how) in settled {
            let id = delivery_key.delivery_id(subscriber, source, *event_id, *generation);
            deliveries.push(subscriber.as_str(), &id.0, how.answer_sha256.as_ref().map(|digest| &digest.0));
        }
        let linked = deliveries.finish().map_err(|error| leaf::unwritable(&error))?;
        let blinding = EventBlinding::derive(&EvidenceKey::new(key.0), origin, facts.event_id);
        Ok(Some(blinding.linked(LinkedIn::Attestation, linked)))
    }
}

fn ack((subscriber, how): &SettledAt) -> Ack<'_> {
    Ack {
        subscriber: subscriber.as_str(),
        settled: match how.settled {
            SettledAs::Acknowledged => Settled::Acknowledged,
            SettledAs::DeadLettered => Settled::DeadLettered,
            SettledAs::Withheld => Settled::Withheld,
            SettledAs::Pending => Settled::Pending,
            SettledAs::Attempted => Settled::Attempted,
        },
        at: leaf::time(how.at),
        attempts: u64::from(how.attempts),
    }
}
