//! What is promised for each change type? Defaults, the operator's choices, and what the connector proves.
//!
//! A choice that nothing proves is refused. A default that nothing proves falls back to at-least-once, and says
//! so: nobody is told of a guarantee that does not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use writ_model::code::{self, Code};
use writ_model::guarantee::{Guarantee, Mechanism, Promise, Proof};
use writ_model::taxonomy::ChangeType;

/// What one subscriber is promised, by change type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises(BTreeMap<ChangeType, Promise>);

impl Promises {
    /// The promise for one change type.
    pub fn of(&self, change_type: ChangeType) -> Promise {
        self.0.get(&change_type).copied().unwrap_or(Promise::AT_LEAST_ONCE)
    }

    /// Sets the promise for one change type.
    #[must_use]
    pub fn with(mut self, change_type: ChangeType, promise: Promise) -> Self {
        self.0.insert(change_type, promise);
        self
    }

    /// Every change type with its promise.
    pub fn all(&self) -> impl Iterator<Item = (ChangeType, Promise)> {
        ChangeType::ALL.iter().map(|change_type| (*change_type, self.of(*change_type)))
    }
}

impl Default for Promises {
    /// At least once for everything.
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// What the promises of one subscriber follow from.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The operator's choices.
    pub chosen: &'a BTreeMap<ChangeType, Guarantee>,
    /// The subscriber is an advertising audience.
    pub is_ad_audience: bool,
    /// Events that are sent at most once expire.
    pub expires: bool,
    /// What the connector proves.
    pub proofs: &'a [Proof],
    /// The longest time after which one event may still be sent again.
    pub repeats_within: Duration,
}

/// Why a guarantee does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// No mechanism proves exactly-once.
    #[error("{0}: this subscriber, as it is configured, proves no mechanism for exactly-once")]
    Unproven(ChangeType),
    /// The receiver forgets a delivery before its last repeat.
    #[error(
        "{change_type}: the receiver remembers for {remembers:?}, an event may be sent again after {repeats_within:?}"
    )]
    Forgets {
        /// For what.
        change_type: ChangeType,
        /// How long the receiver remembers.
        remembers: Duration,
        /// How long Writ repeats.
        repeats_within: Duration,
    },
    /// A statute sets a due date: it must not be lost.
    #[error("{0}: a statute sets a due date for it, so it must not be lost")]
    Owed(ChangeType),
    /// At-most-once without a time after which the event is of no use.
    #[error("{0}: at-most-once needs delivery.expires_after")]
    Endless(ChangeType),
}

impl Unkept {
    /// The code of its page.
    pub fn code(&self) -> Code {
        match self {
            Self::Unproven(_) => code::GUARANTEE_UNPROVEN,
            Self::Forgets { .. } => code::GUARANTEE_FORGETFUL,
            Self::Owed(_) | Self::Endless(_) => code::GUARANTEE_REFUSED,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unproven(_) => "choose at-least-once: this connector proves no mechanism",
            Self::Forgets { .. } => {
                "lower delivery.age_max and retry_longest until their sum is below it, or choose at-least-once"
            }
            Self::Owed(_) => "choose at-least-once or exactly-once",
            Self::Endless(_) => "set delivery.expires_after, or choose at-least-once",
        }
    }
}

/// What came of the terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// For each change type.
    pub promises: Promises,
    /// Where at-least-once stands in for a default, and why.
    pub fallbacks: Vec<Unkept>,
}

/// The specification's default (R32): what must not happen twice is exactly once. Consent carries both opt-out and
/// re-opt-in and takes the stronger of their two.
pub fn default_of(change_type: ChangeType, is_ad_audience: bool) -> Guarantee {
    match change_type {
        ChangeType::Consent | ChangeType::Erasure | ChangeType::Tier => Guarantee::ExactlyOnce,
        ChangeType::Segment | ChangeType::Cohort if is_ad_audience => Guarantee::AtMostOnce,
        ChangeType::Segment
        | ChangeType::Cohort
        | ChangeType::Email
        | ChangeType::Phone
        | ChangeType::Address
        | ChangeType::Preference
        | ChangeType::Subscription
        | ChangeType::Suppression
        | ChangeType::Household
        | ChangeType::Account
        | ChangeType::PaymentMethod
        | ChangeType::IdentityMerge
        | ChangeType::IdentitySplit
        | ChangeType::Rectification => Guarantee::AtLeastOnce,
    }
}

/// Whether a statute sets a due date for telling others of it.
fn is_owed(change_type: ChangeType) -> bool {
    match change_type {
        ChangeType::Consent | ChangeType::Suppression | ChangeType::Erasure | ChangeType::Rectification => {
            true
        }
        ChangeType::Email
        | ChangeType::Phone
        | ChangeType::Address
        | ChangeType::Preference
        | ChangeType::Subscription
        | ChangeType::Tier
        | ChangeType::Segment
        | ChangeType::Cohort
        | ChangeType::Household
        | ChangeType::Account
        | ChangeType::PaymentMethod
        | ChangeType::IdentityMerge
        | ChangeType::IdentitySplit => false,
    }
}

/// One promise for each change type.
///
/// # Errors
/// Every choice of the operator's that does not hold.
pub fn resolve(terms: &Terms<'_>) -> Result<Resolved, Vec<Unkept>> {
    let (mut promises, mut fallbacks, mut refused) = (Promises::default(), Vec::new(), Vec::new());
    for change_type in ChangeType::ALL.iter().copied() {
        let chosen = terms.chosen.get(&change_type).copied();
        let wanted = chosen.unwrap_or_else(|| default_of(change_type, terms.is_ad_audience));
        match promise(change_type, wanted, terms) {
            Ok(promise) => promises = promises.with(change_type, promise),
            Err(unkept) if chosen.is_some() => refused.push(unkept),
            Err(unkept) => fallbacks.push(unkept),
        }
    }
    if refused.is_empty() { Ok(Resolved { promises, fallbacks }) } else { Err(refused) }
}

fn promise(change_type: ChangeType, wanted: Guarantee, terms: &Terms<'_>) -> Result<Promise, Unkept> {
    match wanted {
        Guarantee::AtLeastOnce => Ok(Promise::AT_LEAST_ONCE),
        Guarantee::AtMostOnce if is_owed(change_type) => Err(Unkept::Owed(change_type)),
        Guarantee::AtMostOnce if !terms.expires => Err(Unkept::Endless(change_type)),
        Guarantee::AtMostOnce => Ok(Promise { guarantee: wanted, mechanism: None }),
        Guarantee::ExactlyOnce => proven(change_type, terms),
    }
}

/// The first mechanism that holds. One that forgets too early is no proof, but says more than that there is none.
fn proven(change_type: ChangeType, terms: &Terms<'_>) -> Result<Promise, Unkept> {
    let mut unkept = Unkept::Unproven(change_type);
    let mut proofs: Vec<&Proof> = terms.proofs.iter().filter(|proof| proof.covers(change_type)).collect();
    proofs.sort_by_key(|proof| rank(change_type, proof.mechanism));
    for proof in proofs {
        match proof.remembers {
            Some(remembers) if remembers <= terms.repeats_within => {
                let repeats_within = terms.repeats_within;
                unkept = Unkept::Forgets { change_type, remembers, repeats_within };
            }
            Some(_) | None => {
                let mechanism = Some(proof.mechanism);
                return Ok(Promise { guarantee: Guarantee::ExactlyOnce, mechanism });
            }
        }
    }
    Err(unkept)
}

/// Which of several proven mechanisms is taken: lower first. An erasure is best an operation that may be done again.
fn rank(change_type: ChangeType, mechanism: Mechanism) -> u8 {
    match mechanism {
        Mechanism::IdempotentOperation if change_type == ChangeType::Erasure => 0,
        Mechanism::Transactional => 1,
        Mechanism::TwoPhase => 2,
        Mechanism::KafkaTransaction => 3,
        Mechanism::IdempotencyKey => 4,
        Mechanism::Probe => 5,
        Mechanism::IdempotentOperation => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn proof(mechanism: Mechanism, remembers: Option<Duration>) -> Proof {
        Proof::of_all(mechanism, remembers)
    }

    fn resolved(
        chosen: &[(ChangeType, Guarantee)],
        proofs: &[Proof],
        is_ad_audience: bool,
        expires: bool,
    ) -> Result<Resolved, Vec<Unkept>> {
        let chosen = chosen.iter().copied().collect();
        resolve(&Terms { chosen: &chosen, is_ad_audience, expires, proofs, repeats_within: 3 * DAY })
    }

    #[test]
    fn an_operation_that_may_be_done_again_is_proven_for_what_it_was_stated_of_and_for_nothing_else() {
        let stated =
            Proof { change_types: vec![ChangeType::Erasure], ..proof(Mechanism::IdempotentOperation, None) };
        let found = resolved(&[], std::slice::from_ref(&stated), false, false).unwrap();
        let erasure = found.promises.of(ChangeType::Erasure);
        assert_eq!(erasure.mechanism, Some(Mechanism::IdempotentOperation));
        assert_eq!(found.promises.of(ChangeType::Consent), Promise::AT_LEAST_ONCE);
        let chosen = [(ChangeType::Tier, Guarantee::ExactlyOnce)];
        assert_eq!(resolved(&chosen, &[stated], false, false), Err(vec![Unkept::Unproven(ChangeType::Tier)]));
    }

    #[test]
    fn a_default_that_nothing_proves_falls_back_and_says_so() {
        let found = resolved(&[], &[], false, false).unwrap();
        assert!(found.promises.all().all(|(_, promise)| promise == Promise::AT_LEAST_ONCE));
        let unproven = [ChangeType::Consent, ChangeType::Tier, ChangeType::Erasure];
        let mut expected: Vec<Unkept> = unproven.into_iter().map(Unkept::Unproven).collect();
        expected.sort_by_key(|one| format!("{one:?}"));
        let mut fallbacks = found.fallbacks;
        fallbacks.sort_by_key(|one| format!("{one:?}"));
        assert_eq!(fallbacks, expected);
    }

    #[test]
    fn a_choice_that_nothing_proves_is_refused() {
        let choice = [(ChangeType::Email, Guarantee::ExactlyOnce)];
        assert_eq!(resolved(&choice, &[], false, false), Err(vec![Unkept::Unproven(ChangeType::Email)]));
        let found = resolved(&choice, &[proof(Mechanism::Transactional, None)], false, false).unwrap();
        assert_eq!(found.promises.of(ChangeType::Email).mechanism, Some(Mechanism::Transactional));
        assert_eq!(found.fallbacks, []);
    }

    #[test]
    fn what_a_statute_is_waiting_for_is_never_sent_at_most_once() {
        for change_type in
            [ChangeType::Consent, ChangeType::Suppression, ChangeType::Erasure, ChangeType::Rectification]
        {
            let refused = resolved(&[(change_type, Guarantee::AtMostOnce)], &[], true, true);
            assert_eq!(refused, Err(vec![Unkept::Owed(change_type)]));
        }
    }

    #[test]
    fn at_most_once_needs_a_time_after_which_the_event_is_of_no_use() {
        let choice = [(ChangeType::Segment, Guarantee::AtMostOnce)];
        assert_eq!(resolved(&choice, &[], false, false), Err(vec![Unkept::Endless(ChangeType::Segment)]));
        assert!(resolved(&choice, &[], false, true).is_ok());
    }

    #[test]
    fn only_an_advertising_audience_gets_its_additions_at_most_once_by_default() {
        let promise = |is_ad_audience| {
            resolved(&[], &[], is_ad_audience, true).unwrap().promises.of(ChangeType::Segment)
        };
        assert_eq!(promise(false), Promise::AT_LEAST_ONCE);
        let of_ads = promise(true);
        use writ_model::taxonomy::Operation;
        let once: Vec<_> = Operation::ALL.iter().filter(|each| of_ads.is_once(**each)).collect();
        assert_eq!(once, [&Operation::Insert, &Operation::Restore]);
    }

    #[test]
    fn a_receiver_that_forgets_before_the_last_retry_proves_nothing() {
        let choice = [(ChangeType::Tier, Guarantee::ExactlyOnce)];
        let forgetful = proof(Mechanism::IdempotencyKey, Some(3 * DAY));
        let refused = resolved(&choice, &[forgetful], false, false).unwrap_err();
        assert!(
            matches!(refused[..], [Unkept::Forgets { change_type: ChangeType::Tier, .. }]),
            "{refused:?}"
        );
        let longer = proof(Mechanism::IdempotencyKey, Some(4 * DAY));
        assert!(resolved(&choice, &[longer], false, false).is_ok());
    }

    #[test]
    fn an_erasure_is_an_operation_that_may_be_done_again_where_that_is_proven() {
        let proofs = [proof(Mechanism::Transactional, None), proof(Mechanism::IdempotentOperation, None)];
        let found = resolved(&[], &proofs, false, false).unwrap().promises;
        assert_eq!(found.of(ChangeType::Erasure).mechanism, Some(Mechanism::IdempotentOperation));
        assert_eq!(found.of(ChangeType::Tier).mechanism, Some(Mechanism::Transactional));
    }
}
