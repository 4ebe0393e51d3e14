//! What would be missing when a case is to be shown to be done.

use writ_model::case::{Grade, Says};
use writ_model::finding::Severity;
use writ_model::taxonomy::ChangeType;

use super::{gap, place};
use crate::facts::{Facts, Takes};
use crate::gap::{Gap, Kind};

pub(super) fn look(facts: &Facts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut add = |severity, about: String, found: String, remedy: &str| {
        gaps.push(gap(severity, Kind::MissingEvidence, about, (found, remedy)));
    };
    let evidence = &facts.evidence;
    if evidence.demand == Grade::E0 {
        let found = "a case is fulfilled although nothing shows that anybody did it".to_owned();
        add(Severity::P1, "compliance.demand".to_owned(), found, "demand E1 at least");
    }
    if !evidence.two_persons {
        let found = "one person can excuse a recipient from an erasure".to_owned();
        add(Severity::P2, "compliance.approvals".to_owned(), found, "let two persons approve exceptions");
    } else if evidence.persons < 2 {
        let found = "an exception takes two persons, and fewer than two tokens may act".to_owned();
        add(
            Severity::P3,
            "api.tokens".to_owned(),
            found,
            "give a second person a token with the scope operate",
        );
    }
    for (name, who) in &facts.subscribers {
        let is_told = who.takes(ChangeType::Erasure) != Takes::None;
        let shows = evidence.says.get(name) == Some(&Says::Outcome) || evidence.signing.contains(name);
        if is_told && !shows {
            let found =
                "an erasure waits for its word: its success shows only that it has the request".to_owned();
            let remedy = "say under `compliance.recipients` that it answers with the outcome, or give the key it signs with";
            add(Severity::P3, place(name), found, remedy);
        }
    }
    if !facts.has_policies {
        let found = "no policy bundle: whatever fits its schema is cleared".to_owned();
        add(Severity::P3, "policies".to_owned(), found, "`writ init` writes a bundle to start from");
    }
    gaps
}
