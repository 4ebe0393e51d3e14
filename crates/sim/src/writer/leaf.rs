//! From events, kept events and changes to real leaves.

use writ_attest::acks::{self, AckRecord, Settled};
use writ_attest::blind::{
    EventBlinding, EvidenceKey, Linked, LinkedDelivery, LinkedIn, NO_STATE, Range, range_commitment,
};
use writ_attest::leaf::{
    Accounting, Attestation, CustodyStep, EventFacts, Intent, Leaf, SCHEMA_NONE, Withheld, WithheldAs,
};
use writ_attest::time::Time;
use writ_kernel::admission::Tally;
use writ_kernel::gate::Kept;
use writ_kernel::settle::Finished;
use writ_model::delivery::SettledAs;
use writ_model::envelope::Envelope;
use writ_model::id::Sequence;
use writ_model::time::Timestamp;
use writ_model::value::Attributes;
use writ_model::verdict::{self, Decision, Reason};
use writ_store::vault::{Purpose, SubjectKey, Vault};

use super::Span;
use crate::tenant::{ORIGIN, Tenant};
use crate::world::World;

const SHARD: &str = "standard";

/// The source is one partition of itself.
const PARTITION: &str = "0";

fn time(at: Timestamp) -> Time {
    Time::from_micros(at.0)
}

fn step(what: &str, at: Timestamp) -> Vec<CustodyStep> {
    vec![CustodyStep { step: what.to_owned(), actor: "writ-sim".to_owned(), at: time(at), signature: None }]
}

fn bytes(leaf: &Leaf) -> Result<Vec<u8>, String> {
    leaf.to_canonical().map_err(|error| format!("a leaf is not canonical: {error}"))
}

fn blinding(envelope: &Envelope, evidence: &SubjectKey) -> EventBlinding {
    let id = writ_attest::leaf::EventId(*envelope.header.event_id.0.as_bytes());
    EventBlinding::derive(&EvidenceKey::new(evidence.0), ORIGIN, id)
}

fn facts(envelope: &Envelope, blinding: &EventBlinding, schema: &str, policy: &str) -> EventFacts {
    let (header, data) = (&envelope.header, &envelope.private.data);
    let state = |side: Option<&Attributes>| match side.map(serde_json::to_vec) {
        Some(Ok(text)) => text,
        Some(Err(_)) | None => NO_STATE.to_vec(),
    };
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

fn linked(envelope: &Envelope, sequence: Option<u64>) -> Result<Vec<u8>, String> {
    let private = &envelope.private;
    let linked = Linked {
        sequence,
        causation_id: Some(private.causation_id.to_string()),
        transaction: private.transaction.clone(),
        incarnation: Some(private.incarnation.0.clone()),
        position: Some(private.position.to_string()),
        deliveries: Vec::new(),
    };
    linked.to_canonical().map_err(|error| error.to_string())
}

/// The intent of a cleared event.
pub(super) fn intent(
    envelope: &Envelope,
    decision: &Decision,
    sequence: Sequence,
    settle_by: Timestamp,
    evidence: &SubjectKey,
) -> Result<Vec<u8>, String> {
    let blinding = blinding(envelope, evidence);
    let at = envelope.header.recorded_at;
    bytes(&Leaf::Intent(Box::new(Intent {
        facts: facts(envelope, &blinding, &decision.schema, &decision.policy.0),
        settle_by: time(settle_by),
        linked: blinding.linked(LinkedIn::Intent, &linked(envelope, Some(sequence.0))?),
        timestamp: time(at),
        chain_of_custody: step("gated", at),
        time_anchor: None,
    })))
}

/// The leaf of an event that stays outside the stream.
pub(super) fn withheld(kept: &Kept, evidence: &SubjectKey) -> Result<Vec<u8>, String> {
    let envelope = &kept.envelope;
    let blinding = blinding(envelope, evidence);
    let (schema, reason) = match &kept.reason {
        Reason::Schema { version, .. } => (version.as_str(), "schema"),
        Reason::CardNumber { .. } => (SCHEMA_NONE, "card_number"),
        Reason::Policy { .. } => (SCHEMA_NONE, "policy"),
        Reason::PolicyTimeout => (SCHEMA_NONE, "policy_timeout"),
        Reason::ErasedSubject => (SCHEMA_NONE, "erased_subject"),
    };
    let at = envelope.header.recorded_at;
    bytes(&Leaf::Withheld(Box::new(Withheld {
        facts: facts(envelope, &blinding, schema, &kept.policy.0),
        decision: match kept.as_what {
            verdict::WithheldAs::Held => WithheldAs::Held,
            verdict::WithheldAs::Quarantined => WithheldAs::Quarantined,
            verdict::WithheldAs::Refused => WithheldAs::Refused,
        },
        reason: reason.to_owned(),
        linked: blinding.linked(LinkedIn::Withheld, &linked(envelope, None)?),
        timestamp: time(at),
        chain_of_custody: step("gated", at),
        time_anchor: None,
    })))
}

/// What became of the changes of one commit.
pub(super) fn accounting(
    tenant: &Tenant,
    seq: u64,
    tally: &Tally,
    span: &Span,
    at: Timestamp,
) -> Result<Vec<u8>, String> {
    let source = tenant.source.as_str();
    let range = Range {
        source,
        partition: PARTITION,
        seq,
        incarnation: &tenant.incarnation.0,
        from: &span.from,
        to: &span.to,
    };
    let accepted = (tally.accepted > 0).then(|| (SHARD.to_owned(), tally.accepted));
    bytes(&Leaf::Accounting(Box::new(Accounting {
        source: source.to_owned(),
        partition: PARTITION.to_owned(),
        seq,
        covered: tally.covered(),
        accepted: accepted.into_iter().collect(),
        duplicate: tally.duplicate,
        stale: tally.stale,
        unchanged: tally.silent,
        held: tally.held,
        quarantined: tally.quarantined,
        refused: tally.refused,
        range: range_commitment(&EvidenceKey::new(tenant.secrets.attest_seed), ORIGIN, &range),
        shard: SHARD.to_owned(),
        timestamp: time(at),
    })))
}

impl World {
    /// The final leaf of an event with its acknowledgement records.
    pub(crate) fn final_leaf(&self, finished: &Finished) -> Result<Vec<u8>, String> {
        let event = &self.reference.events[&finished.offset];
        let facts = event.intent.clone().ok_or_else(|| format!("{} has no intent", finished.offset))?;
        let header = &event.stored.header;
        let key = self.vault.key(header.subject_id, header.generation, Purpose::Evidence);
        let key = key.map_err(|error| error.to_string())?;
        let mut deliveries = Vec::new();
        let mut records = Vec::new();
        for (lane, how) in &finished.acknowledgements {
            let name = &self.names[usize::from(lane.0)];
            let id = self.delivery_key.delivery_id(name, &header.source, header.event_id, header.generation);
            let (subscriber, answer_sha256) =
                (name.to_string(), how.answer_sha256.map(|digest| digest.to_string()));
            deliveries.push(LinkedDelivery { subscriber, delivery_id: id.to_string(), answer_sha256 });
            records.push(AckRecord {
                subscriber: name.to_string(),
                settled: match how.settled {
                    SettledAs::Acknowledged => Settled::Acknowledged,
                    SettledAs::DeadLettered => Settled::DeadLettered,
                    SettledAs::Withheld => Settled::Withheld,
                    SettledAs::Pending => Settled::Pending,
                    SettledAs::Attempted => Settled::Attempted,
                },
                at: time(how.at),
                attempts: u64::from(how.attempts),
            });
        }
        let linked = Linked { deliveries, ..Linked::default() }.to_canonical();
        let linked = linked.map_err(|error| error.to_string())?;
        let (subscriber_ack_set, records) = acks::seal(records).map_err(|error| error.to_string())?;
        let blinding =
            |key: SubjectKey| EventBlinding::derive(&EvidenceKey::new(key.0), ORIGIN, facts.event_id);
        let leaf = bytes(&Leaf::Attestation(Box::new(Attestation {
            intent_index: finished.intent_index,
            subscriber_ack_set,
            linked: key.map(|key| blinding(key).linked(LinkedIn::Attestation, &linked)),
            timestamp: time(self.now.wall),
            chain_of_custody: step("settled", self.now.wall),
            time_anchor: None,
            facts,
        })))?;
        Ok(acks::join(&leaf, &records))
    }
}
