//! What the rules look at, from a configuration and the statute table.

use std::collections::BTreeSet;

use jiff::Timestamp as Now;
use writ_engine::assemble::{Assembled, LanePart};
use writ_engine::config::compliance::Approvals;
use writ_engine::config::{Config, Order, Scope, Subscriber as Configured};
use writ_kernel::guarantee::default_of;
use writ_kernel::route::Filter;
use writ_model::envelope::ClearHeader;
use writ_model::id::{EventId, Generation, Slot, SourceName, SubjectId, TenantId};
use writ_model::taxonomy::{ChangeType, Entity, Operation};
use writ_model::time::{Hlc, Timestamp};
use writ_report::facts::{Evidence, Facts, Source, Subscriber, Takes, Window};
use writ_statutes::deadline::{Acts, Question, answer};
use writ_statutes::law::{Duty, Kind, Law};
use writ_statutes::table::Table;

use super::super::deadline::unknown;
use crate::exit::Failure;

/// A place that no filter names.
const ELSEWHERE: &str = "writ-assess-elsewhere";

pub(super) fn facts(config: &Config, assembled: &Assembled, windows: Vec<Window>) -> Facts {
    let compliance = &config.compliance;
    let said = |with: &dyn Fn(&writ_engine::config::compliance::RecipientTerms) -> bool| {
        compliance.recipients.iter().filter(move |(_, one)| with(one)).map(|(name, _)| name.clone()).collect()
    };
    let persons = config.api.tokens.iter().filter(|token| token.scopes.contains(&Scope::Operate));
    Facts {
        sources: config
            .sources
            .iter()
            .map(|(name, source)| (name.to_string(), of_source(source, assembled.push.contains_key(name))))
            .collect(),
        subscribers: assembled
            .lanes
            .iter()
            .filter_map(|lane| {
                Some((lane.name.to_string(), of_lane(config, config.subscribers.get(&lane.name)?, lane)))
            })
            .collect(),
        windows,
        evidence: Evidence {
            demand: compliance.demand,
            says: compliance.recipients.iter().map(|(name, one)| (name.clone(), one.says)).collect(),
            signing: said(&|one| one.key.is_some()),
            two_persons: compliance.approvals == Approvals::Two,
            persons: persons.count(),
        },
        has_policies: config.policies.is_some(),
    }
}

/// What is pushed may say itself what it is about.
fn of_source(source: &writ_engine::config::Source, takes_typed: bool) -> Source {
    let gives = source.tables.values().flat_map(|table| table.changes.keys().copied()).collect();
    Source { gives, takes_typed }
}

fn of_lane(config: &Config, configured: &Configured, lane: &LanePart) -> Subscriber {
    // It was compiled once already, so it compiles.
    let filter = Filter::compile(&configured.filters).unwrap_or_else(|_| unreachable!("assembled before"));
    let places = places(&configured.filters);
    let takes = |change_type: &ChangeType| (*change_type, takes(config, &filter, &places, *change_type));
    let guarantee = |change_type: ChangeType| lane.promises.of(change_type).guarantee;
    let chosen = configured.guarantee.as_ref().map(writ_engine::config::Wish::chosen).unwrap_or_default();
    let falls_back = |one: &ChangeType| {
        !chosen.contains_key(one) && guarantee(*one) != default_of(*one, configured.ad_audience)
    };
    Subscriber {
        takes: ChangeType::ALL.iter().map(takes).collect(),
        guarantees: ChangeType::ALL.iter().map(|one| (*one, guarantee(*one))).collect(),
        fallbacks: ChangeType::ALL.iter().copied().filter(falls_back).collect(),
        is_ordered: lane.delivery.order != Order::Unordered,
        gives_up_after: lane.delivery.age_max.0,
        told_late_after: lane.delivery.settled_within.map(|period| period.0),
    }
}

/// Tries events of the type from every source, of every kind of record that it maps, at each place that the filters
/// name, at none and at another.
fn takes(config: &Config, filter: &Filter, places: &BTreeSet<String>, change_type: ChangeType) -> Takes {
    let (mut taken, mut tried) = (0, 0);
    let places: Vec<Option<String>> = places.iter().cloned().map(Some).chain([None]).collect();
    for (name, source) in &config.sources {
        let mapped: BTreeSet<Entity> = source.tables.values().map(|table| table.entity).collect();
        let entities = if mapped.is_empty() { BTreeSet::from([Entity::Customer]) } else { mapped };
        for entity in entities {
            for place in &places {
                tried += 1;
                let header =
                    header(config.tenant.clone(), name.clone(), (entity, change_type), place.clone());
                taken += usize::from(filter.matches(&header, change_type.default_class()));
            }
        }
    }
    match taken {
        0 => Takes::None,
        _ if taken == tried => Takes::All,
        _ => Takes::Some,
    }
}

/// Words of the filters, which may be places, and one that none of them is.
fn places(filters: &[serde_json::Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    filters.iter().for_each(|filter| collect(filter, &mut found));
    if !found.is_empty() {
        found.insert(ELSEWHERE.to_owned());
    }
    found
}

fn collect(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, below)| match below.as_str() {
            Some(word) if key == "location" => drop(found.insert(word.to_owned())),
            _ => collect(below, found),
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|below| collect(below, found)),
        _ => {}
    }
}

fn header(
    tenant: TenantId,
    source: SourceName,
    (entity, change_type): (Entity, ChangeType),
    location: Option<String>,
) -> ClearHeader {
    ClearHeader {
        event_id: EventId(uuid::Uuid::nil()),
        tenant,
        source,
        change_type,
        operation: Operation::Update,
        entity,
        subject_id: SubjectId([0; 16]),
        generation: Generation::FIRST,
        slot: Slot::new(0),
        hlc: Hlc { millis: 0, counter: 0, node: 0 },
        time: Timestamp(0),
        recorded_at: Timestamp(0),
        schema_major: 1,
        location,
        locale: None,
        lineage: None,
    }
}

/// The laws that were named, or all of the table.
pub(super) fn laws<'a>(table: &'a Table, named: &[String]) -> Result<Vec<&'a Law>, Failure> {
    if named.is_empty() {
        return Ok(table.laws.values().collect());
    }
    named.iter().map(|word| table.law(word).map_err(unknown)).collect()
}

/// The windows of duties that have a legal date for a request of this moment.
pub(super) fn windows(table: &Table, laws: &[&Law]) -> Result<Vec<Window>, Failure> {
    let start = Now::now();
    let mut windows = Vec::new();
    for law in laws {
        for duty in law.duties.iter().filter(|duty| reaches_recipients(duty)) {
            let (zone, calendar) = (Some("UTC"), None);
            let question = Question { law, duty, right: None, start, zone, calendar, acts: Acts::default() };
            // A duty whose dates cannot be counted sets no window.
            let Ok(answer) = answer(table, &question) else { continue };
            let (Some(_), Some(policy)) = (&answer.legal.moment, &answer.policy.moment) else { continue };
            let Ok(policy) = policy.over().timestamp().duration_since(start).try_into() else { continue };
            let citation = format!("{} {}: {}", law.id, duty.id, answer.row.citation);
            windows.extend(served(duty).into_iter().map(|change_type| Window {
                change_type,
                policy,
                citation: citation.clone(),
            }));
        }
    }
    Ok(windows)
}

/// Confirming to a person that a request came is no matter of recipients; nor is a minimum or a maximum for keeping.
fn reaches_recipients(duty: &Duty) -> bool {
    matches!(duty.kind, Kind::Respond | Kind::Propagate | Kind::Complete)
}

/// The changes that have to arrive when one of these rights is exercised.
fn served(duty: &Duty) -> BTreeSet<ChangeType> {
    let of = |right: &String| -> &'static [ChangeType] {
        match right.as_str() {
            "erasure" => &[ChangeType::Erasure],
            "rectification" => &[ChangeType::Rectification],
            "do-not-call" => &[ChangeType::Suppression, ChangeType::Consent],
            right if ["opt-out-", "consent-", "objection"].iter().any(|begin| right.starts_with(begin)) => {
                &[ChangeType::Suppression, ChangeType::Consent]
            }
            _ => &[],
        }
    };
    duty.rights.iter().flat_map(of).copied().collect()
}
