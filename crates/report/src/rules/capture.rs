//! What is captured and goes to nobody; what is needed and is not captured.

use std::collections::BTreeSet;

use writ_model::finding::Severity;
use writ_model::taxonomy::ChangeType;

use super::{CONTACT, gap, words};
use crate::facts::{Facts, Takes};
use crate::gap::{Gap, Kind};

pub(super) fn look(facts: &Facts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let is_taken = |one: &ChangeType| facts.subscribers.values().any(|who| who.takes(*one) != Takes::None);
    for (name, source) in &facts.sources {
        let idle: Vec<ChangeType> = source.gives.iter().copied().filter(|one| !is_taken(one)).collect();
        if !idle.is_empty() {
            let found = format!("captured and sent to nobody: {}", words(idle));
            let remedy = "add a subscriber, widen a filter, or take the columns out of the mapping";
            gaps.push(gap(Severity::P3, Kind::UnhandledChange, format!("sources.{name}"), (found, remedy)));
        }
    }
    gaps.extend(opt_outs(facts));
    gaps
}

/// Contact data is captured, and no way in for what the person wills about it.
fn opt_outs(facts: &Facts) -> Option<Gap> {
    let gives: BTreeSet<ChangeType> = facts.sources.values().flat_map(|one| one.gives.clone()).collect();
    let has_contact = CONTACT.iter().any(|one| gives.contains(one));
    let has_will = gives.contains(&ChangeType::Consent) || gives.contains(&ChangeType::Suppression);
    if !has_contact || has_will || facts.sources.values().any(|one| one.takes_typed) {
        return None;
    }
    let found = "contact data is captured, and neither consent nor suppression".to_owned();
    let remedy = "map the columns that hold consent or suppression, or add an intake that they are sent to";
    Some(gap(Severity::P1, Kind::UnhandledChange, "sources".to_owned(), (found, remedy)))
}
