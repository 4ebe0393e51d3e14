//! Dates that nothing makes anybody keep: a subscriber that does not take an event is noticed when the law's window for
//! it, or the operator's share of it, is over.

use writ_model::finding::Severity;

use super::{gap, place};
use crate::facts::{Facts, Subscriber, Takes, Window};
use crate::gap::{Gap, Kind};

pub(super) fn look(facts: &Facts) -> Vec<Gap> {
    facts.subscribers.iter().flat_map(|(name, who)| of(name, who, &facts.windows)).collect()
}

/// One gap for each change type: by the shortest window that is missed.
fn of(name: &str, who: &Subscriber, windows: &[Window]) -> Vec<Gap> {
    let noticed = who.told_late_after.map_or(who.gives_up_after, |late| late.min(who.gives_up_after));
    let mut missed: Vec<&Window> = windows
        .iter()
        .filter(|window| who.takes(window.change_type) != Takes::None && noticed >= window.policy)
        .collect();
    missed.sort_by_key(|window| (window.change_type, window.policy));
    missed.dedup_by_key(|window| window.change_type);
    let told = missed.into_iter().map(|window| {
        let found = format!(
            "{} that it does not take is noticed after {} h, when the window of {} h is over",
            window.change_type,
            noticed.as_secs() / 3600,
            window.policy.as_secs() / 3600
        );
        let remedy = "set `delivery.settled_within` below the window, and watch the finding";
        let citation = Some(window.citation.clone());
        Gap { citation, ..gap(Severity::P1, Kind::UnenforcedWindow, place(name), (found, remedy)) }
    });
    told.collect()
}
