//! What ties a leaf to a person, and only for whoever has the key: per-event tags and commitments from a
//! subject's evidence key, and the opening that shows one event to an auditor and no other.
//!
//! Destroying the 32-byte key unlinks every leaf of the subject; the log still verifies.

mod hkdf;
mod opening;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::canonical::{self, CanonicalError, Value, percent_encode};
use crate::fields::prefixed;

pub use crate::fields::EventId;
pub use opening::{Opened, Opening, OpeningError, verify_opening};

/// Stands for a state that does not exist, so that its absence is hidden too.
pub const NO_STATE: &[u8] = b"null";

/// Bytes that may be committed to as linked facts: an event may have thousands of deliveries.
pub const LINKED_BYTES_MAX: usize = 1 << 20;

prefixed! {
    /// The subject of one event: equal for no two events, whoever they are about.
    SubjectTag = "st1:";
    /// A state of the record, before or after the change.
    StateCommitment = "sc1:";
    /// Everything about the event that could link it to another.
    LinkedCommitment = "lk1:";
    /// The source positions that an accounting leaf covers.
    RangeCommitment = "pr1:";
}

/// A subject's evidence key. Wiped when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EvidenceKey([u8; 32]);

impl EvidenceKey {
    /// Takes the 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for EvidenceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EvidenceKey")
    }
}

/// Which record's linked facts: each has a blinding of its own, so that opening one opens no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkedIn {
    /// The intent.
    Intent,
    /// The final leaf.
    Attestation,
    /// The leaf of a withheld event.
    Withheld,
}

impl LinkedIn {
    fn label(self) -> &'static str {
        match self {
            Self::Intent => "linked/intent",
            Self::Attestation => "linked/attestation",
            Self::Withheld => "linked/withheld",
        }
    }
}

/// The blindings of one event. They open this event and nothing else.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EventBlinding {
    event: [u8; 32],
}

impl std::fmt::Debug for EventBlinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventBlinding")
    }
}

impl EventBlinding {
    /// k_e = HKDF-SHA256(evidence key, salt = log origin, info = "evt/v1" || event id).
    pub fn derive(key: &EvidenceKey, origin: &str, event_id: EventId) -> Self {
        let pseudorandom = hkdf::extract(origin.as_bytes(), &key.0);
        Self { event: hkdf::expand(&pseudorandom, format!("evt/v1{event_id}").as_bytes()) }
    }

    fn blinding(&self, label: &str) -> [u8; 32] {
        hkdf::expand(&self.event, label.as_bytes())
    }

    /// The event's subject tag.
    pub fn subject_tag(&self, tenant: &str, subject_id: &str) -> SubjectTag {
        subject_tag(&self.blinding("tag"), tenant, subject_id)
    }

    /// Commits to the state before the change: its RFC 8785 text, or [`NO_STATE`].
    pub fn before(&self, state: &[u8]) -> StateCommitment {
        state_commitment(&self.blinding("before"), state)
    }

    /// Commits to the state after the change: its RFC 8785 text, or [`NO_STATE`].
    pub fn after(&self, state: &[u8]) -> StateCommitment {
        state_commitment(&self.blinding("after"), state)
    }

    /// Commits to one record's linked facts, in canonical form.
    pub fn linked(&self, record: LinkedIn, facts: &[u8]) -> LinkedCommitment {
        linked_commitment(&self.blinding(record.label()), facts)
    }
}

fn subject_tag(blinding: &[u8; 32], tenant: &str, subject_id: &str) -> SubjectTag {
    SubjectTag(hkdf::mac(blinding, &[b"subject/v1\0", tenant.as_bytes(), b"\0", subject_id.as_bytes()]))
}

fn commit(context: &[u8], blinding: &[u8; 32], content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(context).chain_update(blinding).chain_update(content).finalize().into()
}

fn state_commitment(blinding: &[u8; 32], state: &[u8]) -> StateCommitment {
    StateCommitment(commit(b"state/v1\0", blinding, state))
}

fn linked_commitment(blinding: &[u8; 32], facts: &[u8]) -> LinkedCommitment {
    LinkedCommitment(commit(b"linked/v1\0", blinding, facts))
}

/// Commits to the source positions of an accounting leaf: the key is the tenant's, not a subject's, and a
/// range opens alone. `from` and `to` are the source's own words, both inclusive.
pub fn range_commitment(key: &EvidenceKey, origin: &str, range: &Range<'_>) -> RangeCommitment {
    let pseudorandom = hkdf::extract(origin.as_bytes(), &key.0);
    let info = format!("acct/v1\0{}\0{}\0{}", range.source, range.partition, range.seq);
    range.commit(&hkdf::expand(&pseudorandom, info.as_bytes()))
}

/// The source positions that one accounting leaf covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range<'a> {
    /// The configured source.
    pub source: &'a str,
    /// The source's partition.
    pub partition: &'a str,
    /// The leaf's number.
    pub seq: u64,
    /// Life of the position space.
    pub incarnation: &'a str,
    /// First covered position.
    pub from: &'a str,
    /// Last covered position.
    pub to: &'a str,
}

impl Range<'_> {
    /// The commitment under a blinding that an auditor was given.
    pub fn commit(&self, blinding: &[u8; 32]) -> RangeCommitment {
        let words = [self.incarnation, self.from, self.to].map(percent_encode);
        let content =
            format!(r#"{{"from":"{}","incarnation":"{}","to":"{}"}}"#, words[1], words[0], words[2]);
        RangeCommitment(commit(b"range/v1\0", blinding, content.as_bytes()))
    }
}

/// What would link an event to others, or comes from outside in any form. Goes inside the commitment only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// Number in the subject's slot.
    pub sequence: Option<u64>,
    /// Shared by the events of one row change.
    pub causation_id: Option<String>,
    /// The source's transaction.
    pub transaction: Option<String>,
    /// Life of the source's position space.
    pub incarnation: Option<String>,
    /// Place in the source.
    pub position: Option<String>,
    /// The deliveries of a final leaf, in ascending order of subscribers.
    pub deliveries: Vec<LinkedDelivery>,
}

/// What a final leaf commits to for one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedDelivery {
    /// The configured name.
    pub subscriber: String,
    /// The stable delivery id.
    pub delivery_id: String,
    /// SHA-256 of the response body, hex, where there was one.
    pub answer_sha256: Option<String>,
}

impl Linked {
    /// The bytes that are committed to. Text that the profile lacks is percent-encoded.
    pub fn to_canonical(&self) -> Result<Vec<u8>, CanonicalError> {
        fn foreign(text: &str) -> Value<'_> {
            Value::text(percent_encode(text))
        }
        let texts = [
            ("causation_id", &self.causation_id),
            ("transaction", &self.transaction),
            ("incarnation", &self.incarnation),
            ("position", &self.position),
        ];
        let mut map: Vec<(&str, Value<'_>)> =
            texts.iter().filter_map(|(key, text)| text.as_ref().map(|text| (*key, foreign(text)))).collect();
        map.extend(self.sequence.map(|sequence| ("sequence", Value::Number(sequence))));
        if !self.deliveries.is_empty() {
            map.push((
                "deliveries",
                Value::List(self.deliveries.iter().map(LinkedDelivery::to_value).collect()),
            ));
        }
        canonical::encode(&Value::Map(map), LINKED_BYTES_MAX)
    }
}

/// The linked facts of a final leaf, written straight away in memory that the next leaf's use again: a final
/// leaf has a delivery for every subscriber. What it gives is what [`Linked::to_canonical`] gives.
#[derive(Debug, Default)]
pub struct Deliveries {
    out: Vec<u8>,
}

impl Deliveries {
    /// Begins anew.
    pub fn begin(&mut self) {
        self.out.clear();
    }

    /// Adds a delivery; they come in ascending order of subscribers.
    pub fn push(&mut self, subscriber: &str, delivery_id: &[u8], answer_sha256: Option<&[u8; 32]>) {
        let opening: &[u8] = if self.out.is_empty() { br#"{"deliveries":[{"# } else { b",{" };
        self.out.extend_from_slice(opening);
        if let Some(digest) = answer_sha256 {
            self.out.extend_from_slice(br#""answer_sha256":""#);
            crate::hex::write(digest, &mut self.out);
            self.out.extend_from_slice(br#"","#);
        }
        self.out.extend_from_slice(br#""delivery_id":""#);
        crate::hex::write(delivery_id, &mut self.out);
        self.out.extend_from_slice(br#"","subscriber":""#);
        self.out.extend_from_slice(percent_encode(subscriber).as_bytes());
        self.out.extend_from_slice(br#""}"#);
    }

    /// The bytes that are committed to.
    pub fn finish(&mut self) -> Result<&[u8], CanonicalError> {
        let closing: &[u8] = if self.out.is_empty() { b"{}" } else { b"]}" };
        self.out.extend_from_slice(closing);
        if self.out.len() > LINKED_BYTES_MAX {
            return Err(CanonicalError { at: LINKED_BYTES_MAX, what: "longer than allowed" });
        }
        Ok(&self.out)
    }
}

impl LinkedDelivery {
    fn to_value(&self) -> Value<'_> {
        let mut map = vec![
            ("delivery_id", Value::text(percent_encode(&self.delivery_id))),
            ("subscriber", Value::text(percent_encode(&self.subscriber))),
        ];
        map.extend(
            self.answer_sha256.as_ref().map(|digest| ("answer_sha256", Value::text(percent_encode(digest)))),
        );
        Value::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EventId = EventId([1; 16]);
    const SIBLING: EventId = EventId([2; 16]);

    fn blinding(key: u8, event_id: EventId) -> EventBlinding {
        EventBlinding::derive(&EvidenceKey::new([key; 32]), "example.com/log", event_id)
    }

    #[test]
    fn the_same_subject_has_another_tag_and_commitment_in_every_event() {
        let (one, other) = (blinding(1, ID), blinding(1, SIBLING));
        assert_ne!(one.subject_tag("shop", "s"), other.subject_tag("shop", "s"));
        assert_ne!(one.before(b"{}"), other.before(b"{}"));
        assert_ne!(one.linked(LinkedIn::Intent, b"{}"), other.linked(LinkedIn::Intent, b"{}"));
    }

    #[test]
    fn no_two_fields_of_one_event_share_a_value() {
        let one = blinding(1, ID);
        let same = b"{}".as_slice();
        assert_ne!(one.before(same), one.after(same));
        let linked =
            [LinkedIn::Intent, LinkedIn::Attestation, LinkedIn::Withheld].map(|at| one.linked(at, same).0);
        assert!(linked[0] != linked[1] && linked[1] != linked[2] && linked[0] != linked[2]);
    }

    #[test]
    fn another_log_or_key_gives_other_values() {
        let key = EvidenceKey::new([1; 32]);
        let here = EventBlinding::derive(&key, "example.com/a", ID).before(NO_STATE);
        assert_ne!(here, EventBlinding::derive(&key, "example.com/b", ID).before(NO_STATE));
        assert_ne!(
            here,
            EventBlinding::derive(&EvidenceKey::new([2; 32]), "example.com/a", ID).before(NO_STATE)
        );
    }

    #[test]
    fn derived_values_never_change() {
        let one = blinding(1, ID);
        let facts = Linked { sequence: Some(7), transaction: Some("a\"b".into()), ..Linked::default() };
        let facts = facts.to_canonical().unwrap();
        assert_eq!(facts, br#"{"sequence":7,"transaction":"a%22b"}"#);
        let values = [
            one.subject_tag("shop", "s").to_string(),
            one.before(NO_STATE).to_string(),
            one.after(br#"{"email":"a"}"#).to_string(),
            one.linked(LinkedIn::Intent, &facts).to_string(),
        ];
        assert_eq!(values.join("\n"), include_str!("../testdata/blind.txt").trim_end());
    }

    #[test]
    fn deliveries_written_straight_away_are_spelled_as_the_canonical_form_spells_them() {
        let mut straight = Deliveries::default();
        for count in [3, 0, 1] {
            straight.begin();
            let mut deliveries = Vec::new();
            for number in 0..count {
                let (name, id) = (format!("receiver{number}"), [number; 16]);
                let answer = (number != 1).then_some([number + 1; 32]);
                straight.push(&name, &id, answer.as_ref());
                deliveries.push(LinkedDelivery {
                    subscriber: name,
                    delivery_id: crate::hex::Hex(&id).to_string(),
                    answer_sha256: answer.map(|digest| crate::hex::Hex(&digest).to_string()),
                });
            }
            let linked = Linked { deliveries, ..Linked::default() };
            assert_eq!(straight.finish().unwrap(), linked.to_canonical().unwrap());
        }
    }

    #[test]
    fn keys_do_not_print_themselves() {
        assert_eq!(
            format!("{:?} {:?}", EvidenceKey::new([1; 32]), blinding(1, ID)),
            "EvidenceKey EventBlinding"
        );
    }

    #[test]
    fn ranges_of_one_source_do_not_repeat() {
        let key = EvidenceKey::new([1; 32]);
        let range =
            Range { source: "shop", partition: "0", seq: 1, incarnation: "i", from: "1.0", to: "2.0" };
        let next = Range { seq: 2, ..range.clone() };
        assert_ne!(range_commitment(&key, "o", &range), range_commitment(&key, "o", &next));
    }
}
