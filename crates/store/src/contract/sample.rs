//! Made-up events for the contract suites and tests. Never handed out of this crate: outside it, only the
//! gate and the seal lead to the log.

use writ_model::control::{ControlFact, SourceProgress};
use writ_model::envelope::ClearHeader;
use writ_model::id::{
    EventId, Generation, Incarnation, Position, Sequence, Slot, SourceName, SubjectId, TenantId,
};
use writ_model::lineage::{Lamport, Lineage, Ordinals, Standing, SubjectSequence};
use writ_model::taxonomy::{ChangeType, Entity, Operation, PriorityClass};
use writ_model::time::{Hlc, Timestamp};
use writ_model::verdict::{Decision, PolicyVersion};

use crate::log::NewEvent;
use crate::seal::{Sealed, SealedPart};
use crate::vault::Purpose;

/// Events from this number on have what came to the format after its first day (ADR 0035); those below are as they
/// were written then.
pub(crate) const YOUNG: u64 = 1_000_000;

/// An event id that is made of a number.
pub(crate) fn event_id(number: u64) -> EventId {
    format!("019aa400-0000-7000-8000-{number:012x}").parse().expect("a UUID of fixed form")
}

/// A clear header; its slot is the number's.
pub(crate) fn header(number: u64) -> ClearHeader {
    let mut subject = [0x5a; 16];
    subject[8..].copy_from_slice(&number.to_be_bytes());
    ClearHeader {
        event_id: event_id(number),
        tenant: TenantId::new("shop").expect("a name"),
        source: SourceName::new("crm").expect("a name"),
        change_type: ChangeType::Email,
        operation: Operation::Update,
        entity: Entity::Customer,
        subject_id: SubjectId(subject),
        generation: Generation::FIRST,
        slot: Slot::new((number % u64::from(Slot::COUNT)) as u16),
        hlc: Hlc { millis: 1_764_000_000_000 + number, counter: 1, node: 2 },
        time: Timestamp(1_764_000_000_000_000),
        recorded_at: Timestamp(1_764_000_000_500_000),
        schema_major: 1,
        location: None,
        locale: Some("de-DE".to_owned()),
        lineage: (number >= YOUNG).then(|| Lineage {
            standing: Some(Standing::Stale),
            vector: "eu=3,us=5".parse().expect("a vector"),
        }),
    }
}

/// A decision that withholds something, so that every field is exercised.
pub(crate) fn decision() -> Decision {
    Decision {
        class: PriorityClass::Standard,
        policy: PolicyVersion("default@sha256:00".into()),
        schema: "email.v1+sha256:11".to_owned(),
        deny_subscribers: vec!["ads".to_owned()],
        withhold: vec!["birthday".to_owned()],
    }
}

/// An event to append: `number` names it and fills its sealed bytes, `bytes` is how many there are.
pub(crate) fn event(slot: Slot, sequence: u64, number: u64, bytes: usize) -> NewEvent {
    let mut header = header(number);
    header.slot = slot;
    let part = SealedPart {
        subject_id: header.subject_id,
        generation: header.generation,
        purpose: Purpose::Content,
        nonce: [number as u8; 12],
        ciphertext: (0..bytes).map(|at| (number as usize * 31 + at) as u8).collect(),
    };
    NewEvent {
        sealed: Sealed::from_parts(header, decision(), vec![part]),
        sequence: Sequence(sequence),
        ordinals: ordinals(number),
        settle_by: Timestamp(1_764_000_600_000_000),
        intent: format!("intent {number}").into_bytes(),
    }
}

/// Numbers that are made of a number.
pub(crate) fn ordinals(number: u64) -> Ordinals {
    if number < YOUNG {
        return Ordinals::default();
    }
    Ordinals { subject: SubjectSequence(number + 1), lamport: Lamport(number * 3) }
}

/// A control fact that names a number.
pub(crate) fn fact(number: u64) -> ControlFact {
    ControlFact::SourceProgress(SourceProgress {
        source: SourceName::new("crm").expect("a name"),
        incarnation: Incarnation("pg-7".to_owned()),
        position: Position { commit: number, ordinal: 0 },
        snapshot: None,
    })
}
