//! The opening of one event: the blindings and values that show an auditor what one leaf commits to. It may
//! be partial; what it leaves out stays closed, and so do all other events of the subject.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{EventBlinding, LinkedIn, linked_commitment, state_commitment, subject_tag};
use crate::hex::{self, Hex};
use crate::leaf::{EventFacts, Leaf, LinkedCommitment};

/// What one event's leaf commits to, with the blindings. Personal data: it wipes itself and does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The event.
    pub event_id: String,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<OpenedSubject>,
    /// The state before: RFC 8785 text or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<OpenedText>,
    /// The state after: RFC 8785 text or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<OpenedText>,
    /// The linked facts of the leaf that it goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<OpenedText>,
}

/// A subject with its blinding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct OpenedSubject {
    /// 64 hex digits.
    pub blinding: String,
    /// The operator's tenant.
    pub tenant: String,
    /// The internal subject id.
    pub subject_id: String,
}

/// A text with its blinding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct OpenedText {
    /// 64 hex digits.
    pub blinding: String,
    /// What was committed to.
    pub text: String,
}

macro_rules! closed_debug {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}
closed_debug!(Opening, OpenedSubject, OpenedText);

/// Why an opening does not open a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// It is not JSON of the opening's form.
    #[error("not an opening: unknown or missing fields, or not JSON")]
    Form,
    /// The leaf has no subject, or is of another event.
    #[error("the opening is for another event than the leaf")]
    Event,
    /// A blinding is not 64 hex digits.
    #[error("the blinding of {0} is not 64 hex digits")]
    Blinding(&'static str),
    /// The value is not what the leaf commits to.
    #[error("{0} is not what the leaf commits to")]
    Mismatch(&'static str),
}

/// Which parts of a leaf an opening proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// The subject.
    pub subject: bool,
    /// The state before.
    pub before: bool,
    /// The state after.
    pub after: bool,
    /// The linked facts.
    pub linked: bool,
}

impl Opening {
    /// Reads JSON.
    pub fn parse(json: &[u8]) -> Result<Self, OpeningError> {
        serde_json::from_slice(json).map_err(|_| OpeningError::Form)
    }

    /// As JSON, to be handed to one auditor.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings always serialise")
    }
}

impl EventBlinding {
    /// The subject with its blinding.
    pub fn open_subject(&self, tenant: &str, subject_id: &str) -> OpenedSubject {
        let (tenant, subject_id) = (tenant.to_owned(), subject_id.to_owned());
        OpenedSubject { blinding: self.shown("tag"), tenant, subject_id }
    }

    /// The state before with its blinding.
    pub fn open_before(&self, state: &str) -> OpenedText {
        OpenedText { blinding: self.shown("before"), text: state.to_owned() }
    }

    /// The state after with its blinding.
    pub fn open_after(&self, state: &str) -> OpenedText {
        OpenedText { blinding: self.shown("after"), text: state.to_owned() }
    }

    /// One record's linked facts with their blinding.
    pub fn open_linked(&self, record: LinkedIn, facts: &str) -> OpenedText {
        OpenedText { blinding: self.shown(record.label()), text: facts.to_owned() }
    }

    fn shown(&self, label: &str) -> String {
        Hex(&self.blinding(label)).to_string()
    }
}

/// Checks every part that the opening has against the leaf. Whether the leaf is in the log is a matter of its
/// inclusion proof.
pub fn verify_opening(opening: &Opening, leaf: &Leaf) -> Result<Opened, OpeningError> {
    let (facts, linked) = committed(leaf).ok_or(OpeningError::Event)?;
    if facts.event_id.to_string() != opening.event_id {
        return Err(OpeningError::Event);
    }
    let mut opened = Opened::default();
    if let Some(subject) = &opening.subject {
        let tag = subject_tag(&blinding("subject", &subject.blinding)?, &subject.tenant, &subject.subject_id);
        opened.subject = matches("subject", tag == facts.subject_identifier)?;
    }
    if let Some(part) = &opening.before {
        let state = state_commitment(&blinding("before", &part.blinding)?, part.text.as_bytes());
        opened.before = matches("before", state == facts.before_state_hash)?;
    }
    if let Some(part) = &opening.after {
        let state = state_commitment(&blinding("after", &part.blinding)?, part.text.as_bytes());
        opened.after = matches("after", state == facts.after_state_hash)?;
    }
    if let Some(part) = &opening.linked {
        let commitment = linked_commitment(&blinding("linked", &part.blinding)?, part.text.as_bytes());
        opened.linked = matches("linked", Some(commitment) == linked)?;
    }
    Ok(opened)
}

fn committed(leaf: &Leaf) -> Option<(&EventFacts, Option<LinkedCommitment>)> {
    match leaf {
        Leaf::Intent(intent) => Some((&intent.facts, Some(intent.linked))),
        Leaf::Attestation(attestation) => Some((&attestation.facts, attestation.linked)),
        Leaf::Withheld(withheld) => Some((&withheld.facts, Some(withheld.linked))),
        Leaf::Accounting(_) => None,
    }
}

fn blinding(part: &'static str, text: &str) -> Result<[u8; 32], OpeningError> {
    hex::decode(text).ok_or(OpeningError::Blinding(part))
}

fn matches(part: &'static str, holds: bool) -> Result<bool, OpeningError> {
    if holds { Ok(true) } else { Err(OpeningError::Mismatch(part)) }
}
