//! From a batch to a commit: sequences, intent leaves, sealing. The decoded events are kept for the lanes, so
//! that what was just written is never read back.

use std::sync::{Arc, Mutex, OnceLock};

use writ_attest::leaf::EventFacts;
use writ_kernel::route::Router;
use writ_model::cloudevent::Placement;
use writ_model::envelope::Envelope;
use writ_model::time::Timestamp;
use writ_model::verdict::Decision;
use writ_store::log::{Appended, Commit, NewEvent};
use writ_store::seal;

use super::batch::{Batch, Pending};
use super::commit::Writer;
use super::failure::seal_failed;
use super::{leaf, random};
use crate::error::EngineError;
use crate::hub::lanes::wanted;
use crate::payload::Event;

/// A commit and the decoded events in it.
pub(super) struct Built {
    pub(super) commit: Commit,
    pub(super) decoded: Decoded,
}

/// Events of a commit before the log has placed them.
pub(super) struct Decoded(Vec<Unplaced>);

struct Unplaced {
    envelope: Envelope,
    decision: Decision,
    placement: Placement,
    settle_by: Timestamp,
    bytes: u32,
    facts: EventFacts,
}

impl Writer {
    /// Gives sequences, seals, writes intents. What belongs to the hub stays in the batch too, for the next
    /// commit should this one be refused.
    pub(super) fn build(&mut self, batch: &mut Batch) -> Result<Built, EngineError> {
        let mut commit = Commit::default();
        let mut decoded = Vec::with_capacity(batch.events.len());
        for pending in std::mem::take(&mut batch.events) {
            let (event, unplaced) = self.place(pending)?;
            commit.events.push(event);
            decoded.push(unplaced);
        }
        let finals = self.finals(batch)?;
        commit.facts =
            batch.hub.facts.iter().cloned().chain(finals.fact).chain(batch.facts.drain(..)).collect();
        commit.facts.extend(batch.progress_facts());
        commit.leaves = finals.leaves.into_iter().chain(batch.leaves.drain(..)).collect();
        Ok(Built { commit, decoded: Decoded(decoded) })
    }

    fn place(&mut self, pending: Pending) -> Result<(NewEvent, Unplaced), EngineError> {
        let Pending { cleared, ordinals, content, evidence } = pending;
        let envelope = cleared.envelope().clone();
        let decision = cleared.decision().clone();
        let sequence = self.sequencer.give(envelope.header.slot);
        let settle_by = envelope.header.recorded_at.after(self.settle_within);
        let parts = leaf::IntentParts { envelope: &envelope, decision: &decision, sequence, settle_by };
        let (facts, intent) = leaf::intent(&self.origin, &parts, &evidence)?;
        let sealed = seal::seal(cleared, &content, random()?).map_err(|error| seal_failed(&error))?;
        let bytes: usize = sealed.parts().iter().map(|part| part.ciphertext.len()).sum();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let placement = Placement { sequence, class: decision.class, ordinals };
        let event = NewEvent { sealed, sequence, ordinals, settle_by, intent };
        Ok((event, Unplaced { envelope, decision, placement, settle_by, bytes, facts }))
    }
}

impl Decoded {
    /// The events as the log placed them.
    pub(super) fn finish(self, appended: &Appended, router: &Router) -> Vec<Arc<Event>> {
        let placed = self.0.into_iter().zip(&appended.offsets).zip(appended.first_leaf..);
        placed
            .map(|((event, offset), intent_index)| {
                let Unplaced { envelope, decision, placement, settle_by, bytes, facts } = event;
                Arc::new(Event {
                    offset: *offset,
                    lanes: wanted(router, &envelope.header, decision.class),
                    placement,
                    header: envelope.header,
                    decision,
                    intent_index,
                    intent: Some(Arc::new(facts)),
                    settle_by,
                    bytes,
                    private: Mutex::new(Some(envelope.private)),
                    view: OnceLock::new(),
                })
            })
            .collect()
    }
}
