//! The reference pages of the configuration and the metrics hold every key, default and name, and no other.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use writ_engine::config::compliance::Compliance;
use writ_engine::config::{Api, Attest, Config, Delivery, Limits};

const CONFIGURATION: &str = include_str!("../../../docs/reference/configuration.md");
const METRICS: &str = include_str!("../../../docs/reference/metrics.md");

/// A configuration with every key of Writ's own.
fn whole() -> Config {
    let config = json!({
        "tenant": "acme",
        "store": { "path": "data", "log_bytes_max": 1, "reserve_mib": 1 },
        "api": { "tokens": [{ "name": "a", "secret": "env:A", "scopes": ["consume"], "subscriber": "crm" }] },
        "retention": { "cursors_wait": "24h", "classes": [{
            "name": "mail", "keep": "24h", "change_types": ["email"], "priority": "standard",
        }] },
        "compliance": { "statutes": "our.yaml", "recipients": {
            "crm": { "says": "outcome", "demand": "E4", "behind": "erp", "key": "AAAA" },
        } },
        "region": "eu",
        "schemas": "schemas",
        "policies": "policies",
        "sources": { "shop": {
            "kind": "sqlite",
            "tables": { "customers": {
                "entity": "customer", "key": ["id"], "changes": { "email": ["email"] },
                "soft_delete": "a", "parent": "b", "location": "c", "locale": "d",
            } },
        } },
        "subscribers": { "crm": {
            "kind": "file",
            "filters": [{ "exact": { "type": "a" } }],
            "guarantee": "at-least-once",
            "delivery": {
                "expires_after": "1h",
                "settled_within": "15m",
                "answers": [{
                    "status": 409,
                    "header": { "name": "a", "equals": "b", "contains": "b" },
                    "body": { "at": "/a", "equals": 1 },
                    "change_types": ["erasure"],
                    "then": "retry",
                }],
                "answer_items": { "at": "/a", "status": "/b" },
                "due": { "consent": "10m" }, "rate": {
                "bucket": { "requests": 1, "events": 1, "per": "1s", "burst": 1 },
                "windows": [{ "requests": 1, "events": 1, "per": "1s" }],
                "cost": { "points": 1, "per": "1s", "burst": 1, "change_types": { "email": 1 } },
                "events_in_flight_max": 1,
            } },
        } },
    });
    serde_json::from_value(config).expect("a configuration")
}

/// Dotted keys, with `<name>` where the operator chooses the key.
fn keys(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    let Some(map) = value.as_object() else {
        value.as_array().into_iter().flatten().for_each(|item| keys(item, place, found));
        return;
    };
    let is_named = ["sources", "subscribers", "tables", "recipients"].iter().any(|end| place.ends_with(end));
    for (key, below) in map {
        let key = if is_named { "<name>" } else { key };
        let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
        if !is_named {
            found.insert(place.clone());
        }
        let is_plain =
            [".changes", ".filters", ".change_types", ".due"].iter().any(|end| place.ends_with(end));
        if !is_plain {
            keys(below, &place, found);
        }
    }
}

/// The first cell of every table row, without its quotes.
fn rows(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.lines().filter_map(|line| {
        let cell = line.strip_prefix("| `")?.split_once("` |")?.0;
        Some((cell, line))
    })
}

#[test]
fn the_configuration_page_has_every_key_and_no_other() {
    let mut expected = BTreeSet::new();
    keys(&serde_json::to_value(whole()).expect("json"), "", &mut expected);
    let documented: BTreeSet<String> = rows(CONFIGURATION).map(|(key, _)| key.to_owned()).collect();
    let sections = ["store", "api", "attest", "retention", "compliance", "sources", "subscribers", "limits"];
    expected.retain(|key| {
        !sections.contains(&key.as_str())
            && ![".delivery", ".recipients"].iter().any(|end| key.ends_with(end))
    });
    assert_eq!(documented, expected);
}

#[test]
fn the_configuration_page_prints_the_defaults_in_use() {
    let sections = [
        ("api", serde_json::to_value(Api::default())),
        ("attest", serde_json::to_value(Attest::default())),
        ("limits", serde_json::to_value(Limits::default())),
        ("compliance", serde_json::to_value(Compliance::default())),
        ("subscribers.<name>.delivery", serde_json::to_value(Delivery::default())),
    ];
    for (place, defaults) in sections {
        let defaults = defaults.expect("json");
        let plain =
            defaults.as_object().expect("an object").iter().filter(|(_, default)| !default.is_object());
        for (key, default) in plain {
            let key = format!("{place}.{key}");
            let (_, row) = rows(CONFIGURATION).find(|(known, _)| *known == key).expect(&key);
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            assert!(default == "[]" || row.contains(&format!("| `{default}` |")), "{key} {default}: {row}");
        }
    }
}

#[test]
fn the_metrics_page_has_every_name_and_no_other() {
    let source = include_str!("../src/metric.rs");
    let declared = source.lines().filter(|line| line.starts_with("pub const"));
    let declared: BTreeSet<&str> = declared.filter_map(|line| line.split('"').nth(1)).collect();
    let names = rows(METRICS).map(|(cell, _)| cell).filter(|cell| !cell.contains(' '));
    let documented: BTreeSet<&str> = names.collect();
    assert!(!declared.is_empty());
    assert_eq!(documented, declared);
}
