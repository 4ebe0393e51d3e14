//! A sound configuration has no gap; each planted one is found, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_model::case::{Grade, Says};
use writ_model::finding::Severity;
use writ_model::guarantee::Guarantee;
use writ_model::taxonomy::ChangeType;

use crate::assess;
use crate::facts::{Evidence, Facts, Source, Subscriber, Takes, Window};
use crate::gap::Kind;

const HOUR: Duration = Duration::from_secs(3600);

fn sound() -> Facts {
    let crm = Subscriber {
        takes: ChangeType::ALL.iter().map(|one| (*one, Takes::All)).collect(),
        guarantees: ChangeType::ALL.iter().map(|one| (*one, Guarantee::AtLeastOnce)).collect(),
        fallbacks: BTreeSet::new(),
        is_ordered: true,
        gives_up_after: 72 * HOUR,
        told_late_after: Some(HOUR),
    };
    let shop = Source { gives: [ChangeType::Email, ChangeType::Consent].into(), takes_typed: false };
    Facts {
        sources: BTreeMap::from([("shop".to_owned(), shop)]),
        subscribers: BTreeMap::from([("crm".to_owned(), crm)]),
        windows: vec![Window {
            change_type: ChangeType::Suppression,
            policy: 120 * HOUR,
            citation: "tcpa stop: 47 CFR 64.1200(a)(10)".to_owned(),
        }],
        evidence: Evidence {
            demand: Grade::E1,
            says: BTreeMap::from([("crm".to_owned(), Says::Outcome)]),
            signing: BTreeSet::new(),
            two_persons: true,
            persons: 2,
        },
        has_policies: true,
    }
}

/// What is found when one thing is wrong.
fn with(plant: impl FnOnce(&mut Facts)) -> Vec<(Severity, Kind, String)> {
    let mut facts = sound();
    plant(&mut facts);
    assess(&facts).into_iter().map(|gap| (gap.severity, gap.kind, gap.about)).collect()
}

fn crm(facts: &mut Facts) -> &mut Subscriber {
    facts.subscribers.get_mut("crm").expect("it is there")
}

fn one(severity: Severity, kind: Kind, about: &str) -> Vec<(Severity, Kind, String)> {
    vec![(severity, kind, about.to_owned())]
}

#[test]
fn a_sound_configuration_has_no_gap() {
    assert_eq!(assess(&sound()), []);
}

#[test]
fn what_is_captured_and_goes_to_nobody_is_a_gap() {
    let found = with(|facts| {
        facts.sources.get_mut("shop").expect("it is there").gives.insert(ChangeType::Tier);
        crm(facts).takes.insert(ChangeType::Tier, Takes::None);
    });
    assert_eq!(found, one(Severity::P3, Kind::UnhandledChange, "sources.shop"));
}

#[test]
fn contact_data_without_a_way_in_for_opt_outs_is_a_gap_unless_producers_may_send_them() {
    let without = |facts: &mut Facts| {
        let shop = facts.sources.get_mut("shop").expect("it is there");
        shop.gives.remove(&ChangeType::Consent);
    };
    assert_eq!(with(without), one(Severity::P1, Kind::UnhandledChange, "sources"));
    let typed = with(|facts| {
        without(facts);
        facts.sources.insert("intake".to_owned(), Source { gives: BTreeSet::new(), takes_typed: true });
    });
    assert_eq!(typed, []);
}

#[test]
fn who_has_data_and_hears_of_no_erasure_or_of_some_is_a_gap() {
    for takes in [Takes::None, Takes::Some] {
        let found = with(|facts| crm(facts).takes.extend([(ChangeType::Erasure, takes)]));
        assert_eq!(found, one(Severity::P1, Kind::InconsistentFanOut, "subscribers.crm"));
    }
}

#[test]
fn who_has_addresses_hears_of_every_opt_out_by_suppression_or_by_consent() {
    let found = with(|facts| crm(facts).takes.extend([(ChangeType::Suppression, Takes::None)]));
    assert_eq!(found, [], "consent says it too");
    let found = with(|facts| {
        crm(facts).takes.extend([(ChangeType::Suppression, Takes::Some), (ChangeType::Consent, Takes::Some)]);
    });
    assert_eq!(found, one(Severity::P1, Kind::InconsistentFanOut, "subscribers.crm"));
}

#[test]
fn who_has_data_and_hears_of_no_merge_is_a_lesser_gap() {
    let found = with(|facts| crm(facts).takes.extend([(ChangeType::IdentityMerge, Takes::None)]));
    assert_eq!(found, one(Severity::P3, Kind::InconsistentFanOut, "subscribers.crm"));
}

#[test]
fn a_persons_will_sent_at_most_once_or_in_any_order_is_a_gap_and_a_persons_tier_is_not() {
    let found = with(|facts| crm(facts).guarantees.extend([(ChangeType::Tier, Guarantee::AtMostOnce)]));
    assert_eq!(found, []);
    let found = with(|facts| crm(facts).guarantees.extend([(ChangeType::Erasure, Guarantee::AtMostOnce)]));
    assert_eq!(found, one(Severity::P1, Kind::UnfitGuarantee, "subscribers.crm"));
    let found = with(|facts| crm(facts).is_ordered = false);
    assert_eq!(found, one(Severity::P1, Kind::UnfitGuarantee, "subscribers.crm"));
}

#[test]
fn a_default_that_nothing_proves_is_a_lesser_gap() {
    let found = with(|facts| crm(facts).fallbacks = [ChangeType::Consent].into());
    assert_eq!(found, one(Severity::P3, Kind::UnfitGuarantee, "subscribers.crm"));
}

#[test]
fn a_window_is_enforced_when_a_subscriber_that_does_not_take_an_event_is_noticed_before_it_is_over() {
    assert_eq!(with(|facts| crm(facts).told_late_after = None), [], "it gives up in time");
    let found = with(|facts| {
        crm(facts).told_late_after = None;
        crm(facts).gives_up_after = 200 * HOUR;
    });
    assert_eq!(found, one(Severity::P1, Kind::UnenforcedWindow, "subscribers.crm"));
    let cited = {
        let mut facts = sound();
        crm(&mut facts).told_late_after = Some(120 * HOUR);
        crm(&mut facts).gives_up_after = 200 * HOUR;
        assess(&facts)
    };
    assert_eq!(cited[0].citation.as_deref(), Some("tcpa stop: 47 CFR 64.1200(a)(10)"));
}

#[test]
fn what_would_be_missing_to_show_a_case_done_is_a_gap() {
    let found = with(|facts| facts.evidence.demand = Grade::E0);
    assert_eq!(found, one(Severity::P1, Kind::MissingEvidence, "compliance.demand"));
    let found = with(|facts| facts.evidence.two_persons = false);
    assert_eq!(found, one(Severity::P2, Kind::MissingEvidence, "compliance.approvals"));
    let found = with(|facts| facts.evidence.persons = 1);
    assert_eq!(found, one(Severity::P3, Kind::MissingEvidence, "api.tokens"));
    let found = with(|facts| facts.evidence.says.clear());
    assert_eq!(found, one(Severity::P3, Kind::MissingEvidence, "subscribers.crm"));
    let found = with(|facts| {
        facts.evidence.says.clear();
        facts.evidence.signing.insert("crm".to_owned());
    });
    assert_eq!(found, []);
    let found = with(|facts| facts.has_policies = false);
    assert_eq!(found, one(Severity::P3, Kind::MissingEvidence, "policies"));
}

#[test]
fn the_worst_comes_first() {
    let found = with(|facts| {
        facts.has_policies = false;
        crm(facts).takes.insert(ChangeType::Erasure, Takes::None);
    });
    assert_eq!(
        found.iter().map(|(severity, ..)| *severity).collect::<Vec<_>>(),
        [Severity::P1, Severity::P3]
    );
}
