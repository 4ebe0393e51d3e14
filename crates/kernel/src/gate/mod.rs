//! The gate: between a checked envelope and the log.
//!
//! One decision per event: schema verdict, card-number scan, policy bundle, priority class. Card numbers
//! are refused before the policy engine sees anything. Only this module constructs [`Cleared`].

pub mod again;
pub mod card;
pub mod input;
pub mod machine;
pub mod permit;

use writ_model::envelope::Envelope;
use writ_model::verdict::{Decision, PolicyVersion, Reason, WithheldAs};

/// An event that the gate let through. The log accepts nothing else (through `writ-store`'s seal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    envelope: Envelope,
    decision: Decision,
}

impl Cleared {
    /// The event.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What was decided.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Taken apart, to be sealed.
    pub fn into_parts(self) -> (Envelope, Decision) {
        (self.envelope, self.decision)
    }
}

/// An event that stays outside the stream, in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The event; for a card number its private data is emptied before it gets here.
    pub envelope: Envelope,
    /// Held, quarantined or refused.
    pub as_what: WithheldAs,
    /// Why.
    pub reason: Reason,
    /// The policy in force.
    pub policy: PolicyVersion,
    /// The private part may be kept, sealed.
    pub may_keep_payload: bool,
}

/// The gate's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Into the stream.
    Cleared(Cleared),
    /// Into the journal.
    Kept(Kept),
}

impl Decided {
    /// The event, whatever was decided.
    pub fn envelope(&self) -> &Envelope {
        match self {
            Self::Cleared(cleared) => &cleared.envelope,
            Self::Kept(kept) => &kept.envelope,
        }
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
