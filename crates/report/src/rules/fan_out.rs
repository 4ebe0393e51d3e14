//! A subscriber that has data and does not hear what bears on it.

use writ_model::finding::Severity;
use writ_model::taxonomy::ChangeType;

use super::{CONTACT, PERSONAL, gap, has_any, place, words};
use crate::facts::{Facts, Subscriber, Takes};
use crate::gap::{Gap, Kind};

pub(super) fn look(facts: &Facts) -> Vec<Gap> {
    facts.subscribers.iter().flat_map(|(name, who)| of(name, who)).collect()
}

fn of(name: &str, who: &Subscriber) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut add = |severity, found: String, remedy: &str| {
        gaps.push(gap(severity, Kind::InconsistentFanOut, place(name), (found, remedy)));
    };
    let has_data = has_any(who, PERSONAL);
    match who.takes(ChangeType::Erasure) {
        Takes::None if has_data => {
            add(Severity::P1, "gets personal data and no erasure".to_owned(), "let its filters take erasure");
        }
        Takes::Some if has_data => add(
            Severity::P1,
            "gets only some erasures".to_owned(),
            "let its filters take every erasure: who has left a place may have been in it",
        ),
        Takes::All | Takes::Some | Takes::None => {}
    }
    let hears =
        who.takes(ChangeType::Suppression) == Takes::All || who.takes(ChangeType::Consent) == Takes::All;
    if has_any(who, CONTACT) && !hears {
        let found = "gets addresses, and not every opt-out".to_owned();
        add(Severity::P1, found, "let its filters take suppression, or consent, without a condition");
    }
    let unheard: Vec<ChangeType> =
        [ChangeType::IdentityMerge, ChangeType::IdentitySplit, ChangeType::Rectification]
            .into_iter()
            .filter(|one| has_data && who.takes(*one) == Takes::None)
            .collect();
    if !unheard.is_empty() {
        let found = format!("gets personal data, and no {}", words(unheard));
        add(Severity::P3, found, "let its filters take them, so that its records stay those of the person");
    }
    gaps
}
