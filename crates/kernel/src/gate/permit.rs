//! Leave to send one event to one subscriber, under one policy version.
//!
//! First form: the stored decision names denied subscribers and withheld attributes. A permit for a replay is
//! asked for again, of today's policy: `again.rs`.

use writ_model::id::Offset;
use writ_model::replay::Shredded;
use writ_model::verdict::{Decision, PolicyVersion};

/// Leave to send. Only [`ask`] and [`super::again`] make one, and an attempt takes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    offset: Offset,
    policy: PolicyVersion,
    withhold: Vec<String>,
    replayed: Option<Shredded>,
}

impl Permit {
    /// Leave to replay an event: `withhold` is what admission and today's policy withhold together.
    pub(super) fn again(
        offset: Offset,
        policy: PolicyVersion,
        withhold: Vec<String>,
        shredded: Shredded,
    ) -> Self {
        Self { offset, policy, withhold, replayed: Some(shredded) }
    }

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

    /// For an event of a replay: what becomes of it when its key is destroyed before it is sent.
    pub fn replayed(&self) -> Option<Shredded> {
        self.replayed
    }
}

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The decision that is stored with the event denies the subscriber.
    Admission,
    /// Today's policy refuses the event.
    PolicyRefused,
    /// Today's policy holds the event, or gave no usable answer.
    PolicyHeld,
    /// Today's policy denies the subscriber.
    PolicySubscriber,
    /// Today's scan finds a card number in the event.
    CardNumber,
    /// The event is of a former life of its subject.
    StaleGeneration,
    /// The event's content key was destroyed, and the replay leaves such events out.
    Shredded,
}

impl Cause {
    /// The word in the journal and in counts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::PolicyRefused => "policy_refused",
            Self::PolicyHeld => "policy_held",
            Self::PolicySubscriber => "policy_subscriber",
            Self::CardNumber => "card_number",
            Self::StaleGeneration => "stale_generation",
            Self::Shredded => "shredded",
        }
    }
}

/// A refusal, and under which policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub cause: Cause,
    /// The policy in force.
    pub policy: PolicyVersion,
}

/// The answer to a request for a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermitVerdict {
    /// Send.
    Granted(Permit),
    /// Do not send.
    Denied(Denial),
}

/// Asks for leave to send the event at `offset` to `subscriber`, from the decision stored with it.
pub fn ask(offset: Offset, decision: &Decision, subscriber: &str) -> PermitVerdict {
    let Decision { policy, withhold, .. } = decision;
    if decision.deny_subscribers.iter().any(|denied| denied == subscriber) {
        return PermitVerdict::Denied(Denial { cause: Cause::Admission, policy: policy.clone() });
    }
    let (policy, withhold) = (policy.clone(), withhold.clone());
    PermitVerdict::Granted(Permit { offset, policy, withhold, replayed: None })
}
