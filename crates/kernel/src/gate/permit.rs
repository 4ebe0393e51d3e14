//! Leave to send one event to one subscriber, under one policy version.
//!
//! First form: the stored decision names denied subscribers and withheld attributes. A permit is asked for
//! again when the policy in force is not the one that the stored decision names (`stale`).

use writ_model::id::Offset;
use writ_model::verdict::{Decision, PolicyVersion};

/// Leave to send. Only [`ask`] makes one, and an attempt takes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    offset: Offset,
    policy: PolicyVersion,
    withhold: Vec<String>,
}

impl Permit {
    /// The event it is for.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The policy it was given under.
    pub fn policy(&self) -> &PolicyVersion {
        &self.policy
    }

    /// Attributes that must not be sent.
    pub fn withhold(&self) -> &[String] {
        &self.withhold
    }
}

/// The answer to a request for a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermitVerdict {
    /// Send.
    Granted(Permit),
    /// Do not send: policy denies this subscriber.
    Denied,
}

/// Asks for leave to send the event at `offset` to `subscriber`, from the decision stored with it.
pub fn ask(offset: Offset, decision: &Decision, subscriber: &str) -> PermitVerdict {
    if decision.deny_subscribers.iter().any(|denied| denied == subscriber) {
        return PermitVerdict::Denied;
    }
    let Decision { policy, withhold, .. } = decision;
    PermitVerdict::Granted(Permit { offset, policy: policy.clone(), withhold: withhold.clone() })
}
