//! Guarantees that do not fit what is sent under them.

use writ_model::finding::Severity;
use writ_model::guarantee::Guarantee;
use writ_model::taxonomy::ChangeType;

use super::{WILL, gap, has_any, place, words};
use crate::facts::{Facts, Takes};
use crate::gap::{Gap, Kind};

pub(super) fn look(facts: &Facts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for (name, who) in &facts.subscribers {
        let mut add = |severity, found: String, remedy: &str| {
            gaps.push(gap(severity, Kind::UnfitGuarantee, place(name), (found, remedy)));
        };
        let is_sent = |one: &ChangeType| who.takes(*one) != Takes::None;
        let once = |one: &ChangeType| who.guarantees.get(one) == Some(&Guarantee::AtMostOnce);
        let lost: Vec<ChangeType> = WILL.iter().copied().filter(is_sent).filter(once).collect();
        if !lost.is_empty() {
            let found = format!("may lose {}: they are sent at most once", words(lost));
            add(Severity::P1, found, "choose at-least-once for them");
        }
        let twice: Vec<ChangeType> = who.fallbacks.iter().copied().filter(is_sent).collect();
        if !twice.is_empty() {
            let found = format!("may apply {} twice: no mechanism is proven", words(twice));
            add(
                Severity::P3,
                found,
                "let the receiver drop repeated delivery ids, and say so with `idempotency`",
            );
        }
        if !who.is_ordered && has_any(who, WILL) {
            let found = "gets what a person wills in any order".to_owned();
            add(
                Severity::P1,
                found,
                "keep the order per subject: an opt-out must not go before what it follows",
            );
        }
    }
    gaps
}
