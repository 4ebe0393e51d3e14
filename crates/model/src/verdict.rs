//! What schema, policy and gate say of an event. Reasons carry codes and field paths, never values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::taxonomy::PriorityClass;

/// The schema's word on an event's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchemaVerdict {
    /// Valid against this schema: `<change type>.v<major>+sha256:<hex of the file>`.
    Valid {
        /// Name, version and content hash.
        version: String,
    },
    /// Not valid; each violation as a JSON pointer and the failed keyword.
    Invalid {
        /// Name, version and content hash.
        version: String,
        /// At most sixteen, in document order.
        violations: Vec<Violation>,
    },
}

/// One failed schema keyword.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// JSON pointer into the data.
    pub path: String,
    /// The keyword that failed (`required`, `format`, `maxLength`).
    pub keyword: String,
}

/// An envelope with the schema's verdict attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The event.
    pub envelope: Envelope,
    /// The verdict.
    pub schema: SchemaVerdict,
}

/// The version of a policy bundle: `<name>@sha256:<hex>`; on every decision, leaf and receipt. Shared, because
/// every delivery's permit holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyVersion(pub Arc<str>);

/// What the operator's policy bundle answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVerdict {
    /// Clear, hold or refuse.
    pub answer: PolicyAnswer,
    /// A class that policy demands; it can raise to express, never lower.
    pub class: Option<PriorityClass>,
    /// Subscribers that must not get this event.
    pub deny_subscribers: Vec<String>,
    /// Attributes to withhold from every subscriber.
    pub withhold: Vec<String>,
    /// The bundle that answered.
    pub version: PolicyVersion,
}

/// The answer itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAnswer {
    /// Go on.
    Clear,
    /// Wait for an operator's act.
    Hold(String),
    /// Do not process.
    Refuse(String),
}

/// A card number that was found, without the number (PCI DSS 3.3.1): where, and how it begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFinding {
    /// JSON pointer of the field.
    pub path: String,
    /// The first six digits.
    pub first6: String,
    /// The last four digits.
    pub last4: String,
    /// Keyed hash of the number, hex; correlates repeats without storing it.
    pub keyed_hash: String,
}

/// Why an event did not enter the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The data does not fit the schema.
    Schema {
        /// The schema's version.
        version: String,
        /// What failed.
        violations: Vec<Violation>,
    },
    /// The data holds card numbers.
    CardNumber {
        /// What was found, truncated.
        findings: Vec<CardFinding>,
    },
    /// The policy bundle said so.
    Policy {
        /// The policy's own reason.
        reason: String,
    },
    /// The policy engine did not answer in time.
    PolicyTimeout,
    /// The subject was erased and nothing shows a new lawful basis (decision 11).
    ErasedSubject,
}

/// Which of the three ways out of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithheldAs {
    /// Waits for an operator's act or a time.
    Held,
    /// Must be repaired at the source or by an operator.
    Quarantined,
    /// Will not be processed.
    Refused,
}

impl WithheldAs {
    /// The word in leaves and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
        }
    }
}

/// What the gate decided for a cleared event; stored with it, in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Stream inside the slot.
    pub class: PriorityClass,
    /// The policy in force.
    pub policy: PolicyVersion,
    /// The schema that the data fits.
    pub schema: String,
    /// Subscribers that must not get it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny_subscribers: Vec<String>,
    /// Attributes to withhold from every subscriber.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withhold: Vec<String>,
}
