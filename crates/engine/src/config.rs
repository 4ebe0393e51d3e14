//! The configuration as the engine takes it. `writ.yaml` has this shape; the command line reads and checks
//! the file. Unknown keys are errors; a connector's own keys are checked by the connector.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use writ_kernel::admission::StaleRule;
use writ_kernel::dispatch::{answers, lane};
use writ_model::guarantee::Guarantee;
use writ_model::id::{Region, SourceName, SubscriberName, TenantId};
use writ_model::mapping::Tables;
use writ_model::taxonomy::{ChangeType, PriorityClass};

pub mod compliance;
pub mod rate;

/// The whole of `writ.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose records these are.
    pub tenant: TenantId,
    /// Where these changes enter, when the same records are captured in several places: each has a store of its
    /// own, and events say what they have seen of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Where everything durable is.
    pub store: Store,
    /// The HTTP API and intake.
    #[serde(default)]
    pub api: Api,
    /// Folder of JSON Schemas that replace the built-in ones of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<PathBuf>,
    /// Folder of the Rego policy bundle; without it everything is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<PathBuf>,
    /// The audit log.
    #[serde(default)]
    pub attest: Attest,
    /// How long the log is kept.
    #[serde(default)]
    pub retention: Retention,
    /// Privacy requests.
    #[serde(default)]
    pub compliance: compliance::Compliance,
    /// Where changes come from.
    #[serde(default)]
    pub sources: BTreeMap<SourceName, Source>,
    /// Who receives events.
    #[serde(default)]
    pub subscribers: BTreeMap<SubscriberName, Subscriber>,
    /// Bounds on memory.
    #[serde(default)]
    pub limits: Limits,
}

/// Where everything durable is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// A folder on a local disk; created when missing. One engine at a time.
    pub path: PathBuf,
    /// Size of a log segment in MiB.
    #[serde(default = "default_segment_mib")]
    pub segment_mib: u32,
    /// Intake stops when the log takes so many bytes on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_bytes_max: Option<u64>,
    /// Intake stops when less than so many MiB are free on the disk. The lesser of 256 and a fiftieth of the disk
    /// when absent; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve_mib: Option<u64>,
}

fn default_segment_mib() -> u32 {
    64
}

/// The HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address and port. Loopback unless said otherwise; beyond loopback a token is required.
    pub listen: String,
    /// Who may ask what.
    pub tokens: Vec<Token>,
    /// Largest request body in bytes.
    pub body_bytes_max: usize,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8780".into(), tokens: Vec::new(), body_bytes_max: 1 << 20 }
    }
}

/// One bearer token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names the holder in records of operators' acts.
    pub name: String,
    /// A secret reference: `env:NAME` or `file:PATH`.
    pub secret: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// With the scope `consume`: whose events, and nobody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<SubscriberName>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Send events to the intake.
    Ingest,
    /// Read status and metrics, trace events.
    Read,
    /// Pause, redrive, replay.
    Operate,
    /// Take and answer one subscriber's events, and say what came of privacy cases there. Opens nothing else, so it
    /// stands alone.
    Consume,
}

/// The audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attest {
    /// A checkpoint is signed at most this often.
    pub checkpoint_every: Period,
    /// An event's final leaf is written this long after the event at the latest.
    pub settle_within: Period,
}

impl Default for Attest {
    fn default() -> Self {
        Self {
            checkpoint_every: Period(Duration::from_secs(1)),
            settle_within: Period(Duration::from_secs(24 * 3600)),
        }
    }
}

/// How long the log is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Classes of events; with none, everything is kept.
    pub classes: Vec<RetentionClass>,
    /// How much longer than its classes the log waits for subscribers that have not settled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursors_wait: Option<Period>,
}

/// How long the events of one class are kept. An event in several is kept as long as the longest says; one in
/// none, for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionClass {
    /// Names the class in reports.
    pub name: String,
    /// From when the event was recorded.
    pub keep: Period,
    /// Of these change types; of all when none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_types: Vec<ChangeType>,
    /// Of this priority class; of both when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityClass>,
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// Which connector.
    pub kind: String,
    /// Columns to change types.
    #[serde(default)]
    pub tables: Tables,
    /// What becomes of pushed changes that are older than what was applied.
    #[serde(default)]
    pub stale: StaleRule,
    /// How long the id of a pushed change is remembered: sent again within it, the change is a duplicate.
    #[serde(default = "default_dedup_window")]
    pub dedup_window: Period,
    /// The connector's own keys.
    #[serde(flatten)]
    pub connector: serde_json::Map<String, serde_json::Value>,
}

/// Longer than any producer known to us repeats (Shopify: 48 hours).
fn default_dedup_window() -> Period {
    Period(Duration::from_secs(30 * 24 * 3600))
}

/// One subscriber.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subscriber {
    /// Which connector.
    pub kind: String,
    /// CloudEvents Subscriptions filters, all of which must match; none means everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<serde_json::Value>,
    /// How often an event takes effect; without it, and for change types that a map does not name, the
    /// defaults of `docs/reference/delivery.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<Wish>,
    /// It is an advertising audience: what joins a segment or a cohort is sent at most once by default.
    #[serde(default)]
    pub ad_audience: bool,
    /// How it is delivered to.
    #[serde(default)]
    pub delivery: Delivery,
    /// The connector's own keys.
    #[serde(flatten)]
    pub connector: serde_json::Map<String, serde_json::Value>,
}

/// What order a subscriber gets its events in; [`writ_kernel::dispatch::line::Order`] says what each promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Per subject.
    #[default]
    PerSubject,
    /// Per slot.
    PerPartition,
    /// None.
    Unordered,
}

/// The guarantee that an operator chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    /// One for all change types.
    All(Guarantee),
    /// One for each change type named.
    Each(BTreeMap<ChangeType, Guarantee>),
}

impl Wish {
    /// The choice for each change type that one was made for.
    pub fn chosen(&self) -> BTreeMap<ChangeType, Guarantee> {
        match self {
            Self::All(guarantee) => ChangeType::ALL.iter().map(|each| (*each, *guarantee)).collect(),
            Self::Each(chosen) => chosen.clone(),
        }
    }
}

/// How a subscriber is delivered to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// What waits for what.
    pub order: Order,
    /// How long after its admission an event should be delivered, by change type; orders express events.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub due: BTreeMap<ChangeType, Period>,
    /// How old an event may be that is not settled, before the subscriber is late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_within: Option<Period>,
    /// Attempts at the same time.
    pub in_flight_max: usize,
    /// Events in one request, where the connector takes batches.
    pub batch_max: usize,
    /// Several events of one subject (or slot) may share a batch, in order.
    pub subject_repeats: bool,
    /// How long a batch may wait for more events.
    pub linger: Period,
    /// First wait before a retry; doubles from there, with full jitter.
    pub retry_first: Period,
    /// Longest wait that Writ chooses itself.
    pub retry_longest: Period,
    /// Longest `Retry-After` that is obeyed.
    pub retry_after_longest: Period,
    /// Attempts before an event goes to the dead letters.
    pub attempts_max: u32,
    /// Age at which an event goes to the dead letters.
    pub age_max: Period,
    /// An event that is sent at most once is not sent when it is older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Period>,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open before a probe.
    pub breaker_open: Period,
    /// Probes at the same time while half-open.
    pub breaker_probes: usize,
    /// Events held ready or in retry.
    pub window_max: usize,
    /// What its HTTP answers mean, before the table in `docs/reference/delivery.md`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<answers::Rule>,
    /// Where an answer to a batch holds a result for each item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_items: Option<answers::Items>,
    /// How much it may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<rate::Rate>,
}

impl Default for Delivery {
    /// The kernel's own: one set of numbers, printed in `docs/reference/delivery.md`.
    fn default() -> Self {
        let lane = lane::Config::new(SubscriberName::new("any").expect("three letters are a name"));
        Self {
            order: Order::default(),
            due: BTreeMap::new(),
            settled_within: None,
            in_flight_max: lane.in_flight_max,
            batch_max: lane.batching.items_max,
            subject_repeats: lane.batching.subject_repeats,
            linger: Period(lane.batching.linger),
            retry_first: Period(lane.retry.base),
            retry_longest: Period(lane.retry.cap),
            retry_after_longest: Period(lane.retry.retry_after_max),
            attempts_max: lane.retry.attempts_max,
            age_max: Period(lane.retry.age_max),
            expires_after: None,
            breaker_failures: lane.breaker.failures_in_a_row,
            breaker_open: Period(lane.breaker.open_for),
            breaker_probes: lane.breaker.probes_max as usize,
            window_max: lane.window_items,
            answers: Vec::new(),
            answer_items: None,
            rate: None,
        }
    }
}

impl Delivery {
    /// The rules about its answers, as the kernel takes them.
    pub fn rules(&self) -> answers::Rules {
        answers::Rules { rules: self.answers.clone(), items: self.answer_items.clone() }
    }
}

/// Bounds on memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Decoded events kept for the lanes that are near the head, in MiB.
    pub recent_mib: usize,
    /// Changes on their way into the log.
    pub intake_changes: usize,
    /// Bytes that all lanes together may hold, in MiB.
    pub lanes_mib: usize,
    /// Events a second at most of a replay that is not told how fast to go.
    pub replay_rate: NonZeroU32,
}

/// A million events take 500 s then, and what they cost is some hundredths of a core.
const REPLAY_RATE: NonZeroU32 = NonZeroU32::new(2000).expect("not zero");

impl Default for Limits {
    fn default() -> Self {
        Self { recent_mib: 32, intake_changes: 8192, lanes_mib: 32, replay_rate: REPLAY_RATE }
    }
}

/// A length of time, written `250ms`, `30s`, `15m`, `24h`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let text = jiff::SignedDuration::try_from(self.0).map(|d| format!("{d:#}"));
        s.serialize_str(&text.map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bad = || serde::de::Error::custom("not a length of time: write 250ms, 30s, 15m, 24h or 1h 30m");
        let span: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
        Duration::try_from(span).map(Self).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_as_people_write_them() {
        let read = |text: &str| serde_json::from_value::<Period>(text.into()).map(|p| p.0);
        assert_eq!(read("250ms").ok(), Some(Duration::from_millis(250)));
        assert_eq!(read("1h 30m").ok(), Some(Duration::from_secs(5400)));
        assert!(read("-3s").is_err());
        assert!(read("5").is_err());
    }
}
