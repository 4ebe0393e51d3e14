//! Values that are of the right kind and still cannot be used: bounds, addresses, tokens.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use writ_engine::config::compliance::public_key;
use writ_engine::config::rate::{PER_MAX, Rate};
use writ_engine::config::{Api, Config, Delivery, Period, Retention, Scope, Token};
use writ_model::code;

use super::{Mistake, Places};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLI: Duration = Duration::from_millis(1);

/// Everything that is out of range.
pub(super) fn check(config: &Config, places: &Places) -> Vec<Mistake> {
    let mut found = Found { places, mistakes: Vec::new() };
    found.number("store.segment_mib", u64::from(config.store.segment_mib), 1..=1024);
    found.number("store.reserve_mib", config.store.reserve_mib.unwrap_or_default(), 0..=1 << 20);
    found.number("limits.recent_mib", config.limits.recent_mib as u64, 1..=1 << 20);
    found.number("limits.lanes_mib", config.limits.lanes_mib as u64, 1..=1 << 20);
    found.number("limits.intake_changes", config.limits.intake_changes as u64, 1..=1 << 24);
    found.period("attest.checkpoint_every", config.attest.checkpoint_every, 10 * MILLI..=HOUR);
    found.period("attest.settle_within", config.attest.settle_within, Duration::from_secs(1)..=365 * DAY);
    found.retention(&config.retention);
    found.compliance(config);
    found.api(&config.api);
    config.api.tokens.iter().for_each(|token| found.consumer(token, config));
    for (name, source) in &config.sources {
        found.period(&format!("sources.{name}.dedup_window"), source.dedup_window, HOUR..=365 * DAY);
    }
    for (name, subscriber) in &config.subscribers {
        found.delivery(&format!("subscribers.{name}.delivery"), &subscriber.delivery);
    }
    found.mistakes
}

struct Found<'a> {
    places: &'a Places,
    mistakes: Vec<Mistake>,
}

impl Found<'_> {
    /// A recipient is a subscriber, or stands behind one; its key can be read.
    fn compliance(&mut self, config: &Config) {
        let compliance = &config.compliance;
        self.period("compliance.observe", compliance.observe, Duration::ZERO..=3650 * DAY);
        let is_subscriber = |name: &str| config.subscribers.keys().any(|known| known.as_str() == name);
        for (name, one) in &compliance.recipients {
            let place = format!("compliance.recipients.{name}");
            match &one.behind {
                Some(behind) if !is_subscriber(behind.as_str()) => {
                    self.wrong(
                        &place,
                        format!("there is no subscriber {behind}"),
                        "name one of `subscribers`",
                    );
                }
                None if !is_subscriber(name) => {
                    let remedy = "name a subscriber, or say `behind` which one it stands";
                    self.wrong(&place, "it is no subscriber, and stands behind none", remedy);
                }
                Some(_) | None => {}
            }
            if one.key.as_deref().is_some_and(|key| public_key(key).is_none()) {
                let cause = "the key is not 32 bytes in base64";
                self.wrong(&place, cause, "give the raw Ed25519 public key, without a header");
            }
        }
    }

    fn wrong(&mut self, key: &str, cause: impl Into<String>, remedy: &str) {
        self.mistakes.push(Mistake::new(code::CONFIG_INVALID, &self.places.of(key), cause, remedy));
    }

    fn number(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            let cause = format!("{value} is not within {} to {}", range.start(), range.end());
            self.wrong(key, cause, "choose a value within");
        }
    }

    fn period(&mut self, key: &str, value: Period, range: RangeInclusive<Duration>) {
        if !range.contains(&value.0) {
            let cause = format!("{:?} is not within {:?} to {:?}", value.0, range.start(), range.end());
            self.wrong(key, cause, "choose a value within");
        }
    }

    fn delivery(&mut self, place: &str, delivery: &Delivery) {
        let key = |name: &str| format!("{place}.{name}");
        self.number(&key("in_flight_max"), delivery.in_flight_max as u64, 1..=1024);
        self.number(&key("batch_max"), delivery.batch_max as u64, 1..=1000);
        self.number(&key("window_max"), delivery.window_max as u64, 1..=1 << 16);
        self.number(&key("attempts_max"), u64::from(delivery.attempts_max), 1..=1_000_000);
        self.number(&key("breaker_failures"), u64::from(delivery.breaker_failures), 1..=1_000_000);
        self.number(&key("breaker_probes"), delivery.breaker_probes as u64, 1..=1024);
        self.period(&key("linger"), delivery.linger, Duration::ZERO..=HOUR);
        self.period(&key("retry_first"), delivery.retry_first, MILLI..=DAY);
        self.period(&key("retry_longest"), delivery.retry_longest, delivery.retry_first.0..=7 * DAY);
        self.period(&key("retry_after_longest"), delivery.retry_after_longest, Duration::ZERO..=7 * DAY);
        self.period(&key("age_max"), delivery.age_max, MILLI..=365 * DAY);
        if let Some(expires_after) = delivery.expires_after {
            self.period(&key("expires_after"), expires_after, MILLI..=365 * DAY);
        }
        self.period(&key("breaker_open"), delivery.breaker_open, MILLI..=DAY);
        if let Some(time) = delivery.settled_within {
            self.period(&key("settled_within"), time, MILLI..=365 * DAY);
        }
        for (change_type, time) in &delivery.due {
            self.period(&key(&format!("due.{change_type}")), *time, MILLI..=365 * DAY);
        }
        if let Some(rate) = &delivery.rate {
            self.rate(&key("rate"), rate);
        }
    }

    fn rate(&mut self, place: &str, rate: &Rate) {
        let most = rate.events_in_flight_max.unwrap_or(1);
        self.number(&format!("{place}.events_in_flight_max"), most as u64, 1..=1 << 20);
        for (key, period) in rate.periods() {
            self.period(&format!("{place}.{key}"), period, MILLI..=PER_MAX);
        }
        for unkept in rate.unkept() {
            let place = self.places.of(&format!("{place}.{}", unkept.key));
            let remedy = "see the limits in docs/reference/delivery.md";
            self.mistakes.push(Mistake::new(code::RATE_UNKEPT, &place, unkept.cause, remedy));
        }
    }

    fn retention(&mut self, retention: &Retention) {
        if let Some(wait) = retention.cursors_wait {
            self.period("retention.cursors_wait", wait, MILLI..=100 * 365 * DAY);
        }
        let mut names = BTreeSet::new();
        for class in &retention.classes {
            self.period("retention.classes", class.keep, MILLI..=100 * 365 * DAY);
            if !names.insert(&class.name) {
                let cause = format!("two classes have the name {:?}", class.name);
                self.wrong(
                    "retention.classes",
                    cause,
                    "rename one: reports name the class that keeps a segment",
                );
            }
        }
    }

    /// A token for consumers opens one subscriber's events and nothing else.
    fn consumer(&mut self, token: &Token, config: &Config) {
        let name = &token.name;
        match (&token.subscriber, token.scopes.contains(&Scope::Consume)) {
            (None, false) => {}
            (None, true) => {
                let cause = format!("token {name:?} has the scope consume and names no subscriber");
                self.wrong("api.tokens", cause, "add `subscriber`: a consumer takes one subscriber's events");
            }
            (Some(_), _) if token.scopes != [Scope::Consume] => {
                let cause = format!("token {name:?} is a consumer's and has other scopes");
                self.wrong(
                    "api.tokens",
                    cause,
                    "write `scopes: [consume]`, and give the others a token of their own",
                );
            }
            (Some(subscriber), _) if !config.subscribers.contains_key(subscriber) => {
                let cause = format!("token {name:?} is for {subscriber}, which is not configured");
                self.wrong("api.tokens", cause, "name a subscriber of this file");
            }
            (Some(_), _) => {}
        }
    }

    fn api(&mut self, api: &Api) {
        self.number("api.body_bytes_max", api.body_bytes_max as u64, 1024..=64 << 20);
        let port = api.listen.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            self.wrong("api.listen", "this is not an address and a port", "write it as 127.0.0.1:8780");
        }
        let is_beyond = api.listen.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_loopback());
        if is_beyond && api.tokens.is_empty() {
            let cause = "this address is not loopback and api.tokens is empty";
            self.wrong("api.listen", cause, "add a token, or listen on 127.0.0.1");
        }
        let mut names = BTreeSet::new();
        for token in &api.tokens {
            if token.scopes.is_empty() {
                let cause = format!("token {:?} opens nothing", token.name);
                self.wrong("api.tokens", cause, "give it a scope: ingest, read, operate or consume");
            }
            if !names.insert(&token.name) {
                let cause = format!("two tokens have the name {:?}", token.name);
                self.wrong("api.tokens", cause, "rename one: records of acts name their actor");
            }
        }
    }
}
