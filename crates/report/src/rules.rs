//! The rules. Each looks at the facts and says what is open; none knows of another.

mod capture;
mod evidence;
mod fan_out;
mod guarantee;
mod window;

use writ_model::finding::Severity;
use writ_model::taxonomy::ChangeType;

use crate::facts::{Facts, Subscriber, Takes};
use crate::gap::{Gap, Kind};

pub(crate) fn all(facts: &Facts) -> Vec<Gap> {
    let rules = [capture::look, fan_out::look, guarantee::look, window::look, evidence::look];
    rules.into_iter().flat_map(|look| look(facts)).collect()
}

/// What a person's contact data and profile consist of: who gets it has to hear of an erasure.
const PERSONAL: &[ChangeType] = &[
    ChangeType::Email,
    ChangeType::Phone,
    ChangeType::Address,
    ChangeType::Preference,
    ChangeType::Subscription,
    ChangeType::Tier,
    ChangeType::Segment,
    ChangeType::Cohort,
    ChangeType::Household,
    ChangeType::Account,
    ChangeType::PaymentMethod,
];

/// By what a person can be reached: who gets it has to hear of an opt-out.
const CONTACT: &[ChangeType] = &[ChangeType::Email, ChangeType::Phone, ChangeType::Address];

/// What states the person's will.
const WILL: &[ChangeType] =
    &[ChangeType::Consent, ChangeType::Suppression, ChangeType::Erasure, ChangeType::Rectification];

fn gap(severity: Severity, kind: Kind, about: String, (found, remedy): (String, &str)) -> Gap {
    Gap { severity, kind, about, found, remedy: remedy.to_owned(), citation: None }
}

/// The subscriber gets at least some events of one of these types.
fn has_any(subscriber: &Subscriber, types: &[ChangeType]) -> bool {
    types.iter().any(|one| subscriber.takes(*one) != Takes::None)
}

fn words(types: impl IntoIterator<Item = ChangeType>) -> String {
    types.into_iter().map(ChangeType::as_str).collect::<Vec<_>>().join(", ")
}

fn place(subscriber: &str) -> String {
    format!("subscribers.{subscriber}")
}
