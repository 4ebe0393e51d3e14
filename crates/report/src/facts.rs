//! What is known of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_model::case::{Grade, Says};
use writ_model::guarantee::Guarantee;
use writ_model::taxonomy::ChangeType;

/// Everything that the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where changes come from.
    pub sources: BTreeMap<String, Source>,
    /// Who receives events.
    pub subscribers: BTreeMap<String, Subscriber>,
    /// By when what has to have arrived, by the laws that apply.
    pub windows: Vec<Window>,
    /// What policy demands of recipients.
    pub evidence: Evidence,
    /// A policy bundle decides what is kept out of the stream.
    pub has_policies: bool,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Change types that its mapping gives.
    pub gives: BTreeSet<ChangeType>,
    /// Producers may send events of every type to it.
    pub takes_typed: bool,
}

/// How much of a change type a subscriber's filters take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Every event, as far as could be tried.
    All,
    /// Some.
    Some,
    /// None.
    None,
}

/// One subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// How much of each change type it takes.
    pub takes: BTreeMap<ChangeType, Takes>,
    /// What it is promised.
    pub guarantees: BTreeMap<ChangeType, Guarantee>,
    /// Change types whose default guarantee no mechanism proves.
    pub fallbacks: BTreeSet<ChangeType>,
    /// A subject's events keep their order.
    pub is_ordered: bool,
    /// Age at which an event that is not taken goes to the dead letters.
    pub gives_up_after: Duration,
    /// Age at which an event that is not settled makes a finding.
    pub told_late_after: Option<Duration>,
}

impl Subscriber {
    /// How much of a change type it takes.
    pub fn takes(&self, change_type: ChangeType) -> Takes {
        self.takes.get(&change_type).copied().unwrap_or(Takes::None)
    }
}

/// The shortest time that a law and the operator's window leave for a change to reach recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Changes of this type.
    pub change_type: ChangeType,
    /// From the request to the operator's date.
    pub policy: Duration,
    /// The law and its duty.
    pub citation: String,
}

/// What policy demands of the recipients of a privacy case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Of all of whom nothing else is said.
    pub demand: Grade,
    /// What the success of a subscriber means, where that was said.
    pub says: BTreeMap<String, Says>,
    /// Recipients whose signature can be verified.
    pub signing: BTreeSet<String>,
    /// Two persons for an exception.
    pub two_persons: bool,
    /// Persons who can act on cases: tokens that may.
    pub persons: usize,
}
