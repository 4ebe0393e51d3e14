//! The accounting leaf: what became of every decision over a range of source positions, so that nothing can
//! be dropped between the source and the log without a gap or a wrong sum.

use std::collections::BTreeMap;

use super::{Map, RangeCommitment, read_name, require_place};
use crate::canonical::Value;
use crate::fields::{FieldError, Fields, checked, is_name, require};
use crate::time::Time;

/// Shards that one range may have gone to: two at a month's turn, more after a long stop.
const SHARDS_MAX: usize = 64;

/// What became of the changes in one contiguous range of a source's positions.
///
/// `covered` counts decisions: one for each event that a change gave, and one for each change that gave
/// none. The other counts sum up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounting {
    /// The configured source.
    pub source: String,
    /// The source's partition; `0` where it has none.
    pub partition: String,
    /// Number of this leaf for (source, partition) in this log: 1, 2, 3, without a gap.
    pub seq: u64,
    /// How many decisions.
    pub covered: u64,
    /// Events in the stream, by the shard that their intents went to.
    pub accepted: BTreeMap<String, u64>,
    /// Changes that were in the log already.
    pub duplicate: u64,
    /// Changes older than what is known of the record.
    pub stale: u64,
    /// Changes in which no mapped attribute changed.
    pub unchanged: u64,
    /// Events that wait for an act or a time.
    pub held: u64,
    /// Events that must be repaired first.
    pub quarantined: u64,
    /// Events that policy refused.
    pub refused: u64,
    /// The first and last position: open to whoever has the tenant's accounting key.
    pub range: RangeCommitment,
    /// The shard that this leaf is in.
    pub shard: String,
    /// When it was made.
    pub timestamp: Time,
}

impl Accounting {
    /// Events accepted over all shards.
    pub fn accepted_total(&self) -> u64 {
        self.accepted.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("duplicate", self.duplicate),
            ("held", self.held),
            ("quarantined", self.quarantined),
            ("refused", self.refused),
            ("stale", self.stale),
            ("unchanged", self.unchanged),
        ]
    }

    fn require(&self) -> Result<(), FieldError> {
        require_place(&self.source, &self.shard)?;
        require(is_name(&self.partition), "partition")?;
        require(self.seq > 0, "seq")?;
        let fits = self.accepted.iter().all(|(shard, count)| is_name(shard) && *count > 0);
        require(fits && self.accepted.len() <= SHARDS_MAX, "accepted")?;
        let others = self.counts().iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        require(others.saturating_add(self.accepted_total()) == self.covered, "covered")
    }

    pub(super) fn to_map(&self) -> Result<Map<'_>, FieldError> {
        self.require()?;
        let accepted = self.accepted.iter().map(|(shard, count)| {
            Value::Map(vec![("count", Value::Number(*count)), ("shard", Value::text(shard))])
        });
        let mut map = vec![
            ("accepted", Value::List(accepted.collect())),
            ("covered", Value::Number(self.covered)),
            ("partition", Value::text(&self.partition)),
            ("range", Value::display(self.range)),
            ("seq", Value::Number(self.seq)),
            ("shard", Value::text(&self.shard)),
            ("source", Value::text(&self.source)),
            ("timestamp", Value::display(self.timestamp)),
        ];
        map.extend(self.counts().map(|(name, count)| (name, Value::Number(count))));
        Ok(map)
    }

    pub(super) fn from_fields(fields: &mut Fields<'_>) -> Result<Self, FieldError> {
        let accounting = Self {
            source: read_name(fields, "source")?,
            partition: read_name(fields, "partition")?,
            seq: fields.number("seq")?,
            covered: fields.number("covered")?,
            accepted: read_accepted(fields)?,
            duplicate: fields.number("duplicate")?,
            stale: fields.number("stale")?,
            unchanged: fields.number("unchanged")?,
            held: fields.number("held")?,
            quarantined: fields.number("quarantined")?,
            refused: fields.number("refused")?,
            range: fields.read("range", RangeCommitment::parse)?,
            shard: read_name(fields, "shard")?,
            timestamp: fields.time("timestamp")?,
        };
        accounting.require()?;
        Ok(accounting)
    }
}

/// Shards in strictly ascending order: the one spelling of the set.
fn read_accepted(fields: &mut Fields<'_>) -> Result<BTreeMap<String, u64>, FieldError> {
    let mut accepted = BTreeMap::new();
    for item in fields.list("accepted")? {
        let mut item = Fields::of(item, "accepted")?;
        let shard = item.read("shard", checked(is_name))?;
        let count = item.number("count")?;
        item.finish()?;
        let ascends = accepted.last_key_value().is_none_or(|(last, _)| *last < shard);
        require(ascends, "accepted")?;
        accepted.insert(shard, count);
    }
    Ok(accepted)
}
