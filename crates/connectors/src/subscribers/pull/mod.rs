//! Subscriber `pull`: consumers come for their events over HTTP (long poll, server-sent events) and answer for
//! each (ADR 0033). Writ keeps the cursor; this connector only lends what its lane offers.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use writ_model::delivery::Answer;

use crate::descriptor::{Build, ConfigError, Context, Descriptor};
use crate::mailbox::{Mailbox, Terms};
use crate::settings::{self, invalid};
use crate::source::BoxFuture;
use crate::subscriber::{Parcel, Subscriber};

/// Most events in one lease.
const BATCH_MAX: usize = 1_000;

const LEASE_MS_DEFAULT: u64 = 60_000;
/// Below it a consumer's answer would hardly have the time to arrive.
const LEASE_MS_MIN: u64 = 1_000;
/// Whoever needs longer extends: a dead consumer's events wait for the end of its lease.
const LEASE_MS_MAX: u64 = 3_600_000;

const CONSUMERS_DEFAULT: usize = 16;
/// Each holds a connection of the API, which has 512.
const CONSUMERS_MAX: usize = 128;

/// What this connector says of itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "pull",
    summary: "consumers that come for their events: long poll or server-sent events",
    stability: "stable",
    secrets: &[],
    example: "\
# How long a consumer has for what it took, before it is given to another.
lease_ms: 60000
# Polls and streams at the same time.
consumers_max: 16
",
    mechanisms: &[],
    config_schema,
    build: Build::Subscriber(build),
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    lease_ms: Option<u64>,
    #[serde(default)]
    consumers_max: Option<usize>,
}

fn config_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "lease_ms": {"type": "integer", "minimum": LEASE_MS_MIN, "maximum": LEASE_MS_MAX,
                "default": LEASE_MS_DEFAULT,
                "description": "Milliseconds that a consumer has for what it took; it may extend them."},
            "consumers_max": {"type": "integer", "minimum": 1, "maximum": CONSUMERS_MAX,
                "default": CONSUMERS_DEFAULT, "description": "Polls and streams at the same time."},
        },
    })
}

fn build(_context: &Context<'_>, config: serde_json::Value) -> Result<Box<dyn Subscriber>, ConfigError> {
    let given: Settings = settings::read(config)?;
    let lease_ms = given.lease_ms.unwrap_or(LEASE_MS_DEFAULT);
    if !(LEASE_MS_MIN..=LEASE_MS_MAX).contains(&lease_ms) {
        let cause = format!("{lease_ms} is not within {LEASE_MS_MIN} to {LEASE_MS_MAX}");
        return Err(invalid("lease_ms", cause, "choose a value within; consumers may extend a lease"));
    }
    let consumers_max = given.consumers_max.unwrap_or(CONSUMERS_DEFAULT);
    if !(1..=CONSUMERS_MAX).contains(&consumers_max) {
        let cause = format!("{consumers_max} is not within 1 to {CONSUMERS_MAX}");
        return Err(invalid("consumers_max", cause, "choose a value within"));
    }
    let terms = Terms { lease: Duration::from_millis(lease_ms), consumers_max };
    Ok(Box::new(Pulled { mailbox: Arc::new(Mailbox::new(terms)) }))
}

/// A subscriber that is pulled from.
struct Pulled {
    mailbox: Arc<Mailbox>,
}

impl Subscriber for Pulled {
    fn deliver(&self, parcel: Parcel) -> BoxFuture<'_, Answer> {
        Box::pin(self.mailbox.offer(parcel.items))
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    /// There is nobody to reach: consumers come.
    fn check(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn mailbox(&self) -> Option<Arc<Mailbox>> {
        Some(Arc::clone(&self.mailbox))
    }
}
