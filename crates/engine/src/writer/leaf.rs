//! From an event to its leaves' fields. What a leaf may say is `writ-attest`'s; this file only translates.

use writ_attest::blind::{EventBlinding, EvidenceKey, Linked, LinkedIn, NO_STATE};
use writ_attest::leaf::{
    CustodyStep, EventFacts, Intent, Leaf, LeafError, SCHEMA_NONE, Withheld, WithheldAs,
};
use writ_attest::time::Time;
use writ_kernel::gate::Kept;
use writ_model::code;
use writ_model::envelope::Envelope;
use writ_model::id::Sequence;
use writ_model::time::Timestamp;
use writ_model::value::Attributes;
use writ_model::verdict::{self, Decision, Reason};
use writ_store::vault::SubjectKey;

use crate::error::EngineError;

/// The audit log's shard. One per tenant; the field is there so that later ones need no other format.
pub(crate) const SHARD: &str = "standard";

/// Who wrote the record.
const ACTOR: &str = "writ-engine";

/// What an intent is made of.
pub(super) struct IntentParts<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) decision: &'a Decision,
    pub(super) sequence: Sequence,
    pub(super) settle_by: Timestamp,
}

pub(crate) fn time(timestamp: Timestamp) -> Time {
    Time::from_micros(timestamp.0)
}

/// The intent's facts, which the final leaf repeats, and its canonical bytes.
pub(super) fn intent(
    origin: &str,
    parts: &IntentParts<'_>,
    evidence: &SubjectKey,
) -> Result<(EventFacts, Vec<u8>), EngineError> {
    let IntentParts { envelope, decision, sequence, settle_by } = parts;
    let blinding = blinding(origin, envelope, evidence);
    let facts = facts(envelope, &blinding, &decision.schema, &decision.policy.0);
    let linked = linked(envelope, Some(sequence.0)).to_canonical().map_err(|error| unwritable(&error))?;
    let intent = Intent {
        facts: facts.clone(),
        settle_by: time(*settle_by),
        linked: blinding.linked(LinkedIn::Intent, &linked),
        timestamp: time(envelope.header.recorded_at),
        chain_of_custody: vec![
            step("captured", envelope.header.source.as_str(), envelope.header.recorded_at),
            step("gated", ACTOR, envelope.header.recorded_at),
        ],
        time_anchor: None,
    };
    Ok((facts, bytes(&Leaf::Intent(Box::new(intent)))?))
}

/// The leaf of an event that stays outside the stream.
pub(super) fn withheld(
    origin: &str,
    kept: &Kept,
    evidence: Option<&SubjectKey>,
) -> Result<Option<Vec<u8>>, EngineError> {
    let Some(evidence) = evidence else { return Ok(None) };
    let envelope = &kept.envelope;
    let blinding = blinding(origin, envelope, evidence);
    let schema = match &kept.reason {
        Reason::Schema { version, .. } => version.as_str(),
        _ => SCHEMA_NONE,
    };
    let facts = facts(envelope, &blinding, schema, &kept.policy.0);
    let linked = linked(envelope, None).to_canonical().map_err(|error| unwritable(&error))?;
    let leaf = Withheld {
        facts,
        decision: match kept.as_what {
            verdict::WithheldAs::Held => WithheldAs::Held,
            verdict::WithheldAs::Quarantined => WithheldAs::Quarantined,
            verdict::WithheldAs::Refused => WithheldAs::Refused,
        },
        reason: reason_word(&kept.reason).to_owned(),
        linked: blinding.linked(LinkedIn::Withheld, &linked),
        timestamp: time(envelope.header.recorded_at),
        chain_of_custody: vec![step("gated", ACTOR, envelope.header.recorded_at)],
        time_anchor: None,
    };
    bytes(&Leaf::Withheld(Box::new(leaf))).map(Some)
}

fn reason_word(reason: &Reason) -> &'static str {
    match reason {
        Reason::Schema { .. } => "schema",
        Reason::CardNumber { .. } => "card_number",
        Reason::Policy { .. } => "policy",
        Reason::PolicyTimeout => "policy_timeout",
        Reason::ErasedSubject => "erased_subject",
    }
}

fn blinding(origin: &str, envelope: &Envelope, evidence: &SubjectKey) -> EventBlinding {
    let id = writ_attest::leaf::EventId(*envelope.header.event_id.0.as_bytes());
    EventBlinding::derive(&EvidenceKey::new(evidence.0), origin, id)
}

fn facts(envelope: &Envelope, blinding: &EventBlinding, schema: &str, policy: &str) -> EventFacts {
    let header = &envelope.header;
    let data = &envelope.private.data;
    EventFacts {
        event_id: writ_attest::leaf::EventId(*header.event_id.0.as_bytes()),
        change_type: header.change_type.to_string(),
        source: header.source.to_string(),
        subject_identifier: blinding.subject_tag(header.tenant.as_str(), &header.subject_id.to_string()),
        before_state_hash: blinding.before(&state(data.before.as_ref())),
        after_state_hash: blinding.after(&state(data.after.as_ref())),
        schema_version: schema.to_owned(),
        policy_version: policy.to_owned(),
        shard: SHARD.to_owned(),
    }
}

/// The RFC 8785 text of a state: attribute maps are ordered, and their numbers are whole.
fn state(attributes: Option<&Attributes>) -> Vec<u8> {
    match attributes.map(serde_json::to_vec) {
        Some(Ok(text)) => text,
        Some(Err(_)) | None => NO_STATE.to_vec(),
    }
}

fn linked(envelope: &Envelope, sequence: Option<u64>) -> Linked {
    let private = &envelope.private;
    Linked {
        sequence,
        causation_id: Some(private.causation_id.to_string()),
        transaction: private.transaction.clone(),
        incarnation: Some(private.incarnation.0.clone()),
        position: Some(private.position.to_string()),
        deliveries: Vec::new(),
    }
}

/// One step of the chain of custody.
pub(super) fn step(what: &str, actor: &str, at: Timestamp) -> CustodyStep {
    CustodyStep { step: what.to_owned(), actor: actor.to_owned(), at: time(at), signature: None }
}

/// A step that this engine took.
pub(super) fn own_step(what: &str, at: Timestamp) -> CustodyStep {
    step(what, ACTOR, at)
}

pub(super) fn bytes(leaf: &Leaf) -> Result<Vec<u8>, EngineError> {
    leaf.to_canonical().map_err(|error: LeafError| unwritable(&error))
}

pub(super) fn unwritable(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::new(
        code::AUDIT_CANONICAL,
        "write a leaf",
        error,
        "report this; nothing of the commit was stored",
    )
}
