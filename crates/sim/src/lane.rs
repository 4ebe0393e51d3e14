//! The settings of each subscriber's lane, as the world's options and what the receiver is make them.

use std::time::Duration;

use serde_json::json;
use writ_kernel::dispatch::answers::Rules;
use writ_kernel::dispatch::lane::{Batching, Config};
use writ_kernel::dispatch::{breaker, ledger, rate, retry};
use writ_model::id::SubscriberName;

use crate::bug::Bug;
use crate::inbox::Kind;
use crate::options::Options;

/// The length of the window that limits requests.
pub(crate) const RATE_WINDOW: Duration = Duration::from_millis(100);

impl Options {
    pub(crate) fn config(&self, number: usize, subscriber: &SubscriberName, bug: Option<Bug>) -> Config {
        let kind = self.kind(number);
        // A receiver that is looked at takes no batches.
        let items_max = if kind == Kind::Probed { 1 } else { self.batch_items as usize };
        Config {
            order: self.order,
            in_flight_max: self.in_flight_max as usize,
            window_items: self.window_items as usize,
            window_bytes: self.bytes_max as usize,
            batching: Batching {
                items_max,
                bytes_max: 2_000,
                linger: Duration::from_millis(self.linger_ms),
                subject_repeats: self.subject_repeats,
            },
            rate: rate::Policy { limits: self.limit().into_iter().collect() },
            retry: self.retry(kind),
            breaker: breaker::Policy {
                failures_in_a_row: self.failures_in_a_row as u32,
                open_for: Duration::from_secs(2),
                ..breaker::Policy::default()
            },
            cursor: ledger::Policy {
                settlements_max: self.settlements_max as usize,
                delay_max: Duration::from_millis(20),
            },
            answers: if self.rules && bug != Some(Bug::RulesForgotten) { rules() } else { Rules::default() },
            probes: kind == Kind::Probed,
            is_two_phase: kind == Kind::TwoPhase,
            promises: self.promises(number),
            expires_after: self.once.then(|| Duration::from_millis(self.expires_ms)),
            ..Config::new(subscriber.clone())
        }
    }

    fn limit(&self) -> Option<rate::Limit> {
        let most = u32::try_from(self.rate).ok().filter(|most| *most > 0)?;
        let meter = rate::Meter::Window { most, per: RATE_WINDOW };
        Some(rate::Limit { meter, tariff: rate::Tariff::requests() })
    }

    /// Where the receiver remembers for a time, events are repeated within a shorter one.
    fn retry(&self, kind: Kind) -> retry::Policy {
        let (cap, age_max) = match kind {
            Kind::Keyed => (Duration::from_secs(1), Duration::from_secs(5)),
            Kind::Plain | Kind::Transactional | Kind::TwoPhase | Kind::Probed => {
                (Duration::from_secs(5), Duration::from_secs(60))
            }
        };
        retry::Policy {
            base: Duration::from_millis(20),
            cap,
            attempts_max: self.attempts_max as u32,
            age_max,
            retry_after_max: Duration::from_secs(10),
        }
    }
}

/// What the world's receivers mean by what they say: see `receiver::in_own_words`.
fn rules() -> Rules {
    let rules = json!([
        {"status": 409, "header": {"name": "x-known", "equals": "yes"}, "then": "acknowledged"},
        {"status": "200-299", "header": {"name": "x-outcome", "contains": "later"}, "then": "retry"},
        {"status": 200, "body": {"at": "/ok", "equals": false}, "then": "retry"},
        {"body": {"at": "/ok", "equals": "never"}, "then": "rejected"},
    ]);
    let items = json!({"at": "/results", "status": "/status"});
    Rules {
        rules: serde_json::from_value(rules).expect("fixed rules"),
        items: Some(serde_json::from_value(items).expect("a fixed place")),
    }
}
