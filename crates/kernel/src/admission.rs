//! What happens to a change before it is an event of its own: is it new, when is it, which number does it
//! get; and the assembly of its envelope. The verdicts themselves are the gate's.

mod clock;
mod dedup;
mod sequencer;
mod standing;
mod tally;

pub use clock::{Clock, ClockError, DRIFT_MAX, count, node};
pub use dedup::{Pushed, Read, advances, is_remembered, pushed, read};
pub use sequencer::Sequencer;
pub use standing::{Course, NEVER_DROPPED, StaleRule, is_whole, lineage, standing};
pub use tally::{Fate, Tally};

use writ_model::change::{Change, Detected};
use writ_model::envelope::{ClearHeader, Envelope, EventData, PrivatePart};
use writ_model::id::{EventId, Generation, Slot, SubjectId, TenantId};
use writ_model::lineage::Lineage;
use writ_model::time::{Hlc, Timestamp};

/// What an envelope needs beside the change and what was detected in it.
#[derive(Debug, Clone)]
pub struct Admission<'a> {
    /// Whose event it is.
    pub tenant: &'a TenantId,
    /// From [`crate::identity::event_id`].
    pub event_id: EventId,
    /// From [`crate::identity::causation_id`].
    pub causation_id: EventId,
    /// Whom it is about.
    pub subject_id: SubjectId,
    /// In which life.
    pub generation: Generation,
    /// From [`crate::identity::slot`].
    pub slot: Slot,
    /// From [`Clock::tick`].
    pub hlc: Hlc,
    /// The wall clock at admission.
    pub recorded_at: Timestamp,
    /// Major version of the schema in force for the change type.
    pub schema_major: u32,
    /// From [`lineage`].
    pub lineage: Option<Lineage>,
}

/// Puts an envelope together: routing attributes into the clear header, everything that names or links a
/// person into the private part.
pub fn assemble(change: &Change, detected: Detected, admission: &Admission<'_>) -> Envelope {
    let header = ClearHeader {
        event_id: admission.event_id,
        tenant: admission.tenant.clone(),
        source: change.source.clone(),
        change_type: detected.change_type,
        operation: detected.operation,
        entity: detected.entity,
        subject_id: admission.subject_id,
        generation: admission.generation,
        slot: admission.slot,
        hlc: admission.hlc,
        time: change.committed_at,
        recorded_at: admission.recorded_at,
        schema_major: admission.schema_major,
        location: detected.location,
        locale: detected.locale,
        lineage: admission.lineage.clone(),
    };
    let data = EventData {
        key: change.key.0.clone(),
        before: detected.before,
        after: detected.after,
        unseen: detected.unseen,
    };
    let private = PrivatePart {
        key: change.key.clone(),
        old_key: change.old_key.clone(),
        table: change.table.clone(),
        incarnation: change.incarnation.clone(),
        position: change.position,
        transaction: change.transaction.clone(),
        producer_id: change.producer_id.clone(),
        causation_id: admission.causation_id,
        correlation_id: change.claim.correlation.clone(),
        version: change.claim.version.clone(),
        data,
    };
    Envelope { header, private }
}
