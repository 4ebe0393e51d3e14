//! The leaves of one event: its intent, its final leaf, and the leaf of an event that was withheld.

use sha2::{Digest, Sha256};

use super::{AckSet, EventId, LinkedCommitment, Map, StateCommitment, SubjectTag, read_name, require_place};
use crate::canonical::Value;
use crate::fields::{
    FieldError, Fields, checked, is_name, is_policy_version, is_schema_version, is_word, prefixed, require,
};
use crate::note::is_origin;
use crate::time::Time;

/// Steps between a source and a leaf; more is damage.
const CUSTODY_STEPS_MAX: usize = 16;

/// `decision` of an event in the stream.
const CLEARED: &str = "cleared";

/// The schema version of an event that no schema was found for.
pub const SCHEMA_NONE: &str = "none";

prefixed! {
    /// The root of a checkpoint that a time anchor cites.
    AnchorRoot = "th1:";
}

/// What every leaf about one event says alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFacts {
    /// The event's id: random or keyed, never a number of the source.
    pub event_id: EventId,
    /// What it is about: `email`, `consent`.
    pub change_type: String,
    /// The configured source that it came from.
    pub source: String,
    /// Whom it is about, for whoever has the evidence key.
    pub subject_identifier: SubjectTag,
    /// The record before.
    pub before_state_hash: StateCommitment,
    /// The record after.
    pub after_state_hash: StateCommitment,
    /// `<change type>.v<major>+sha256:<hex>`, or [`SCHEMA_NONE`] on a withheld event.
    pub schema_version: String,
    /// `<name>@sha256:<hex>`.
    pub policy_version: String,
    /// The log's shard that the event's leaves belong to.
    pub shard: String,
}

/// See [`EventFacts::digest`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FactsDigest([u8; 32]);

impl EventFacts {
    fn require(&self, is_schema: fn(&str) -> bool) -> Result<(), FieldError> {
        require_place(&self.source, &self.shard)?;
        require(is_word(&self.change_type), "change_type")?;
        require(is_schema(&self.schema_version), "schema_version")?;
        require(is_policy_version(&self.policy_version), "policy_version")
    }

    /// SHA-256 over the facts: equal exactly where two leaves say the same of one event.
    pub(crate) fn digest(&self) -> FactsDigest {
        let words =
            [&self.change_type, &self.source, &self.schema_version, &self.policy_version, &self.shard];
        let mut hash = Sha256::new().chain_update(self.event_id.0).chain_update(self.subject_identifier.0);
        hash.update(self.before_state_hash.0);
        hash.update(self.after_state_hash.0);
        // No field's form allows a zero byte.
        words.iter().for_each(|word| hash.update([word.as_bytes(), &[0]].concat()));
        FactsDigest(hash.finalize().into())
    }

    fn to_map(&self) -> Map<'_> {
        vec![
            ("after_state_hash", Value::display(self.after_state_hash)),
            ("before_state_hash", Value::display(self.before_state_hash)),
            ("change_type", Value::text(&self.change_type)),
            ("event_id", Value::display(self.event_id)),
            ("policy_version", Value::text(&self.policy_version)),
            ("schema_version", Value::text(&self.schema_version)),
            ("shard", Value::text(&self.shard)),
            ("source", Value::text(&self.source)),
            ("subject_identifier", Value::display(self.subject_identifier)),
        ]
    }

    fn from_fields(fields: &mut Fields<'_>, is_schema: fn(&str) -> bool) -> Result<Self, FieldError> {
        Ok(Self {
            event_id: fields.read("event_id", EventId::parse)?,
            change_type: fields.read("change_type", checked(is_word))?,
            source: read_name(fields, "source")?,
            subject_identifier: fields.read("subject_identifier", SubjectTag::parse)?,
            before_state_hash: fields.read("before_state_hash", StateCommitment::parse)?,
            after_state_hash: fields.read("after_state_hash", StateCommitment::parse)?,
            schema_version: fields.read("schema_version", checked(is_schema))?,
            policy_version: fields.read("policy_version", checked(is_policy_version))?,
            shard: read_name(fields, "shard")?,
        })
    }
}

/// One step of `chain_of_custody`: which service did what, when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyStep {
    /// What was done: `captured`, `admitted`, `decided`, `settled`.
    pub step: String,
    /// The service that did it; never a person.
    pub actor: String,
    /// When.
    pub at: Time,
    /// The service's signature over the step, where it signs.
    pub signature: Option<StepSignature>,
}

/// An Ed25519 signature and the id of its key, as in signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSignature {
    /// First four bytes of SHA-256(name || 0x0A || 0x01 || public key).
    pub key_id: [u8; 4],
    /// The signature.
    pub bytes: [u8; 64],
}

impl CustodyStep {
    fn require(&self) -> Result<(), FieldError> {
        require(is_word(&self.step) && is_name(&self.actor), "chain_of_custody")
    }

    fn to_value(&self) -> Value<'_> {
        let mut map = vec![
            ("actor", Value::text(&self.actor)),
            ("at", Value::display(self.at)),
            ("step", Value::text(&self.step)),
        ];
        if let Some(signature) = &self.signature {
            map.push(("key_id", Value::display(crate::hex::Hex(&signature.key_id))));
            map.push(("signature", Value::display(crate::hex::Hex(&signature.bytes))));
        }
        Value::Map(map)
    }

    fn from_value(value: Value<'_>) -> Result<Self, FieldError> {
        let mut fields = Fields::of(value, "chain_of_custody")?;
        let key_id = fields.read_if_present("key_id", crate::hex::decode)?;
        let bytes = fields.read_if_present("signature", crate::hex::decode)?;
        let signature = match (key_id, bytes) {
            (Some(key_id), Some(bytes)) => Some(StepSignature { key_id, bytes }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(FieldError::Missing("signature")),
        };
        let step = Self {
            step: fields.read("step", checked(is_word))?,
            actor: fields.read("actor", checked(is_name))?,
            at: fields.time("at")?,
            signature,
        };
        fields.finish()?;
        Ok(step)
    }
}

/// The newest checkpoint with an independent time that was known when the record was made: the record cannot
/// be older than it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeAnchor {
    /// The anchored log.
    pub origin: String,
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: AnchorRoot,
    /// The time that the independent party stated.
    pub at: Time,
}

impl TimeAnchor {
    fn to_value(&self) -> Value<'_> {
        Value::Map(vec![
            ("at", Value::display(self.at)),
            ("origin", Value::text(&self.origin)),
            ("root", Value::display(self.root)),
            ("size", Value::Number(self.size)),
        ])
    }

    fn from_value(value: Value<'_>) -> Result<Self, FieldError> {
        let mut fields = Fields::of(value, "time_anchor")?;
        let anchor = Self {
            origin: fields.read("origin", checked(is_origin))?,
            size: fields.number("size")?,
            root: fields.read("root", AnchorRoot::parse)?,
            at: fields.time("at")?,
        };
        fields.finish()?;
        Ok(anchor)
    }
}

/// What the leaves of an event have in common beyond its facts: when and by whom they were made.
#[derive(Clone, Copy)]
struct Made<'a> {
    timestamp: Time,
    custody: &'a [CustodyStep],
    anchor: Option<&'a TimeAnchor>,
}

impl<'a> Made<'a> {
    fn extend(self, map: &mut Map<'a>) -> Result<(), FieldError> {
        self.custody.iter().try_for_each(CustodyStep::require)?;
        require(self.custody.len() <= CUSTODY_STEPS_MAX, "chain_of_custody")?;
        require(self.anchor.is_none_or(|anchor| is_origin(&anchor.origin)), "time_anchor")?;
        map.push(("timestamp", Value::display(self.timestamp)));
        map.push(("chain_of_custody", Value::List(self.custody.iter().map(CustodyStep::to_value).collect())));
        map.extend(self.anchor.map(|anchor| ("time_anchor", anchor.to_value())));
        Ok(())
    }
}

fn read_custody(fields: &mut Fields<'_>) -> Result<Vec<CustodyStep>, FieldError> {
    let steps = fields.list("chain_of_custody")?;
    require(steps.len() <= CUSTODY_STEPS_MAX, "chain_of_custody")?;
    steps.into_iter().map(CustodyStep::from_value).collect()
}

fn read_anchor(fields: &mut Fields<'_>) -> Result<Option<TimeAnchor>, FieldError> {
    fields.take("time_anchor").map(TimeAnchor::from_value).transpose()
}

fn read_decision(fields: &mut Fields<'_>) -> Result<(), FieldError> {
    fields.read("decision", |word| (word == CLEARED).then_some(()))
}

/// Written with the event, in the same commit, before any delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The event.
    pub facts: EventFacts,
    /// When its final leaf is due at the latest.
    pub settle_by: Time,
    /// Sequence, causation, transaction, source position: see [`crate::blind::Linked`].
    pub linked: LinkedCommitment,
    /// When the event was admitted.
    pub timestamp: Time,
    /// Who handled it so far.
    pub chain_of_custody: Vec<CustodyStep>,
    /// What proves that the record is not older.
    pub time_anchor: Option<TimeAnchor>,
}

impl Intent {
    pub(super) fn to_map(&self) -> Result<Map<'_>, FieldError> {
        self.facts.require(is_schema_version)?;
        let mut map = self.facts.to_map();
        map.push(("decision", Value::text(CLEARED)));
        map.push(("linked", Value::display(self.linked)));
        map.push(("settle_by", Value::display(self.settle_by)));
        let anchor = self.time_anchor.as_ref();
        Made { timestamp: self.timestamp, custody: &self.chain_of_custody, anchor }.extend(&mut map)?;
        Ok(map)
    }

    pub(super) fn from_fields(fields: &mut Fields<'_>) -> Result<Self, FieldError> {
        read_decision(fields)?;
        Ok(Self {
            facts: EventFacts::from_fields(fields, is_schema_version)?,
            settle_by: fields.time("settle_by")?,
            linked: fields.read("linked", LinkedCommitment::parse)?,
            timestamp: fields.time("timestamp")?,
            chain_of_custody: read_custody(fields)?,
            time_anchor: read_anchor(fields)?,
        })
    }
}

/// The final leaf of an event: every subscriber settled it, or its time to settle passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The event, as on its intent.
    pub facts: EventFacts,
    /// Index of its intent in this log.
    pub intent_index: u64,
    /// How it ended at the subscribers.
    pub subscriber_ack_set: AckSet,
    /// Delivery ids and response digests; absent when the evidence key was destroyed before.
    pub linked: Option<LinkedCommitment>,
    /// When it was made.
    pub timestamp: Time,
    /// Who handled the event.
    pub chain_of_custody: Vec<CustodyStep>,
    /// What proves that the record is not older.
    pub time_anchor: Option<TimeAnchor>,
}

impl Attestation {
    pub(super) fn to_map(&self) -> Result<Map<'_>, FieldError> {
        self.facts.require(is_schema_version)?;
        let mut map = self.facts.to_map();
        map.push(("decision", Value::text(CLEARED)));
        map.push(("intent_index", Value::Number(self.intent_index)));
        map.push(("subscriber_ack_set", self.subscriber_ack_set.to_value()));
        map.extend(self.linked.map(|linked| ("linked", Value::display(linked))));
        let anchor = self.time_anchor.as_ref();
        Made { timestamp: self.timestamp, custody: &self.chain_of_custody, anchor }.extend(&mut map)?;
        Ok(map)
    }

    pub(super) fn from_fields(fields: &mut Fields<'_>) -> Result<Self, FieldError> {
        read_decision(fields)?;
        Ok(Self {
            facts: EventFacts::from_fields(fields, is_schema_version)?,
            intent_index: fields.number("intent_index")?,
            subscriber_ack_set: AckSet::from_value(fields.value("subscriber_ack_set")?)?,
            linked: fields.read_if_present("linked", LinkedCommitment::parse)?,
            timestamp: fields.time("timestamp")?,
            chain_of_custody: read_custody(fields)?,
            time_anchor: read_anchor(fields)?,
        })
    }
}

/// Which of the three ways out of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithheldAs {
    /// Waits for an operator's act or a time.
    Held,
    /// Must be repaired at the source or by an operator.
    Quarantined,
    /// Will not be processed.
    Refused,
}

impl WithheldAs {
    const ALL: [Self; 3] = [Self::Held, Self::Quarantined, Self::Refused];

    /// The word in leaves.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|withheld| withheld.as_str() == word)
    }
}

/// An event that did not enter the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// The event; its state commitments may be to [`crate::blind::NO_STATE`].
    pub facts: EventFacts,
    /// Held, quarantined or refused.
    pub decision: WithheldAs,
    /// Why, as one word: `schema`, `card_number`, `policy`, `policy_timeout`, `erased_subject`.
    pub reason: String,
    /// Causation, transaction, source position.
    pub linked: LinkedCommitment,
    /// When it was decided.
    pub timestamp: Time,
    /// Who handled it.
    pub chain_of_custody: Vec<CustodyStep>,
    /// What proves that the record is not older.
    pub time_anchor: Option<TimeAnchor>,
}

fn is_schema_or_none(text: &str) -> bool {
    text == SCHEMA_NONE || is_schema_version(text)
}

impl Withheld {
    pub(super) fn to_map(&self) -> Result<Map<'_>, FieldError> {
        self.facts.require(is_schema_or_none)?;
        require(is_word(&self.reason), "reason")?;
        let mut map = self.facts.to_map();
        map.push(("decision", Value::text(self.decision.as_str())));
        map.push(("linked", Value::display(self.linked)));
        map.push(("reason", Value::text(&self.reason)));
        let anchor = self.time_anchor.as_ref();
        Made { timestamp: self.timestamp, custody: &self.chain_of_custody, anchor }.extend(&mut map)?;
        Ok(map)
    }

    pub(super) fn from_fields(fields: &mut Fields<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            facts: EventFacts::from_fields(fields, is_schema_or_none)?,
            decision: fields.read("decision", WithheldAs::parse)?,
            reason: fields.read("reason", checked(is_word))?,
            linked: fields.read("linked", LinkedCommitment::parse)?,
            timestamp: fields.time("timestamp")?,
            chain_of_custody: read_custody(fields)?,
            time_anchor: read_anchor(fields)?,
        })
    }
}
