//! `subscribers.<name>.delivery.rate`: how much a subscriber may be sent, as it is written in `writ.yaml`, and
//! what of it cannot be kept. What a limit promises is the kernel's word (`crates/kernel/src/dispatch/rate.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use writ_kernel::dispatch::rate::{Limit, Meter, Policy, Tariff};
use writ_model::taxonomy::ChangeType;

use super::Period;

/// At most so many windows; a receiver's documentation names one or two.
pub const WINDOWS_MAX: usize = 4;

/// All limits of one subscriber; what is absent does not limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// A token bucket: bursts, and an even rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Windows; with two, a dual window (a second and a day).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// A budget of points that refills evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Events in flight at once, over all requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_in_flight_max: Option<usize>,
}

/// So many requests, or events, in each period.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Requests that come back in each period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// Events that come back in each period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u32>,
    /// The period.
    pub per: Period,
    /// The largest burst; as many as come back in one period unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// At most so many requests, or events, in any stretch of time of this length.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Requests in each window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// Events in each window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u32>,
    /// Its length.
    pub per: Period,
}

/// What requests and events cost against a budget.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Points that come back in each period.
    pub points: u32,
    /// The period.
    pub per: Period,
    /// Points that there are at most; as many as come back in one period unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Price of a request.
    #[serde(default)]
    pub request: u32,
    /// Price of an event.
    #[serde(default = "one")]
    pub event: u32,
    /// Other prices of events, by change type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub change_types: BTreeMap<ChangeType, u32>,
}

fn one() -> u32 {
    1
}

/// A limit that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unkept {
    /// The key below `rate`.
    pub key: String,
    /// Why.
    pub cause: String,
}

impl Rate {
    /// What the kernel keeps. What [`Rate::unkept`] names is kept as far as it can be.
    pub fn policy(&self) -> Policy {
        let limits = self.limits().into_iter().filter_map(|(_, limit)| limit.ok());
        Policy { limits: limits.collect() }
    }

    /// Everything that is impossible, or that another limit makes meaningless.
    pub fn unkept(&self) -> Vec<Unkept> {
        let mut found = Vec::new();
        for (key, limit) in self.limits() {
            let checked = limit.and_then(|limit| limit.check().map_err(|error| error.to_string()));
            found.extend(checked.err().map(|cause| Unkept { key, cause }));
        }
        found.extend(self.meaningless());
        if self.windows.len() > WINDOWS_MAX {
            let cause = format!("there are more than {WINDOWS_MAX} windows");
            found.push(Unkept { key: "windows".to_owned(), cause });
        }
        found
    }

    fn limits(&self) -> Vec<(String, Result<Limit, String>)> {
        let bucket = self.bucket.as_ref().map(|bucket| ("bucket".to_owned(), bucket.limit()));
        let windows = self.windows.iter().map(|window| ("windows".to_owned(), window.limit()));
        let cost = self.cost.as_ref().map(|cost| ("cost".to_owned(), Ok(cost.limit())));
        bucket.into_iter().chain(windows).chain(cost).collect()
    }

    /// A window that a longer one is never less strict than is never the one that holds.
    fn meaningless(&self) -> impl Iterator<Item = Unkept> {
        let counted = |window: &Window| window.requests.or(window.events);
        let pairs = self.windows.iter().flat_map(|one| self.windows.iter().map(move |other| (one, other)));
        pairs.filter_map(move |(one, other)| {
            let is_same_unit = one.requests.is_some() == other.requests.is_some();
            let is_shorter = one.per < other.per;
            let clash = is_same_unit && is_shorter && counted(one) >= counted(other);
            clash.then(|| {
                let (shorter, longer) = (one.per.0, other.per.0);
                let cause = format!(
                    "the window of {shorter:?} never holds, because the one of {longer:?} allows no more"
                );
                Unkept { key: "windows".to_owned(), cause }
            })
        })
    }
}

fn counted(requests: Option<u32>, events: Option<u32>) -> Result<(u32, Tariff), String> {
    match (requests, events) {
        (Some(most), None) => Ok((most, Tariff::requests())),
        (None, Some(most)) => Ok((most, Tariff::events())),
        (None, None) | (Some(_), Some(_)) => Err("it counts either requests or events".to_owned()),
    }
}

impl Bucket {
    fn limit(&self) -> Result<Limit, String> {
        let (refill, tariff) = counted(self.requests, self.events)?;
        let (capacity, per) = (self.burst.unwrap_or(refill), self.per.0);
        Ok(Limit { meter: Meter::Bucket { capacity, refill, per }, tariff })
    }
}

impl Window {
    fn limit(&self) -> Result<Limit, String> {
        let (most, tariff) = counted(self.requests, self.events)?;
        Ok(Limit { meter: Meter::Window { most, per: self.per.0 }, tariff })
    }
}

impl Cost {
    fn limit(&self) -> Limit {
        let Self { points: refill, per: Period(per), burst, .. } = *self;
        let prices = self.change_types.iter();
        let tariff = prices.fold(Tariff::of(self.request, self.event), |tariff, (change_type, price)| {
            tariff.but(*change_type, *price)
        });
        Limit { meter: Meter::Bucket { capacity: burst.unwrap_or(refill), refill, per }, tariff }
    }
}

/// The longest period that a limit may have.
pub const PER_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

impl Rate {
    /// Every period with its key, to be checked against [`PER_MAX`].
    pub fn periods(&self) -> impl Iterator<Item = (&'static str, Period)> {
        let bucket = self.bucket.iter().map(|bucket| ("bucket.per", bucket.per));
        let windows = self.windows.iter().map(|window| ("windows", window.per));
        bucket.chain(windows).chain(self.cost.iter().map(|cost| ("cost.per", cost.per)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn causes(rate: serde_json::Value) -> Vec<String> {
        let rate: Rate = serde_json::from_value(rate).expect("a rate");
        rate.unkept().into_iter().map(|unkept| format!("{}: {}", unkept.key, unkept.cause)).collect()
    }

    #[test]
    fn limits_that_can_be_kept_together_are_taken_as_they_are() {
        let rate = json!({
            "bucket": { "requests": 10, "per": "1s", "burst": 20 },
            "windows": [{ "requests": 100, "per": "10s" }, { "events": 5000, "per": "24h" }],
            "cost": { "points": 50, "per": "1s", "burst": 1000, "request": 10, "change_types": { "erasure": 90 } },
            "events_in_flight_max": 200,
        });
        assert_eq!(causes(rate.clone()), Vec::<String>::new());
        let rate: Rate = serde_json::from_value(rate).expect("a rate");
        assert_eq!(rate.policy().limits.len(), 4);
    }

    #[test]
    fn a_limit_that_allows_nothing_or_never_enough_is_refused() {
        let nothing = causes(json!({ "bucket": { "requests": 0, "per": "1s" } }));
        assert_eq!(nothing, ["bucket: it allows nothing"]);
        let both = causes(json!({ "windows": [{ "requests": 1, "events": 1, "per": "1s" }] }));
        assert_eq!(both, ["windows: it counts either requests or events"]);
        let dear = causes(json!({ "cost": { "points": 5, "per": "1s", "change_types": { "erasure": 6 } } }));
        assert_eq!(dear, ["cost: one request costs 6, and there are never more than 5"]);
    }

    #[test]
    fn a_window_that_never_holds_because_of_a_longer_one_is_refused() {
        let day = json!({ "requests": 100, "per": "24h" });
        let clash = causes(json!({ "windows": [{ "requests": 100, "per": "1s" }, day] }));
        assert!(clash.len() == 1 && clash[0].contains("never holds"), "{clash:?}");
        let other_unit = causes(json!({ "windows": [{ "events": 100, "per": "1s" }, day] }));
        assert_eq!(other_unit, Vec::<String>::new());
    }
}
