//! Where a change stands among others: in its producer's own order, in the orders that Writ counts, and
//! across capture regions. What is made of it is decided in `writ-kernel`'s admission.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Offset, Region, StoreId};
use crate::taxonomy::ChangeType;
use crate::time::{Hlc, Timestamp};

/// Regions in one version vector. A vector is stored with every attribute group, so it has to stay small.
pub const REGIONS_MAX: usize = 16;

/// A logical clock (Lamport 1978): greater than that of every event admitted before, and of every event that
/// a producer says came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Lamport(pub u64);

impl Lamport {
    /// The largest value that is taken from a producer: leaves room to count on for longer than any store lives.
    pub const CLAIMED_MAX: Self = Self(1 << 62);
}

impl fmt::Display for Lamport {
    /// Twenty digits, so that text order is number order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

/// An event's number among the stored events of its subject: contiguous from 1, over all sources, change types
/// and generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SubjectSequence(pub u64);

impl SubjectSequence {
    /// The following number.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SubjectSequence {
    /// Twenty digits, so that text order is number order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

/// The numbers that an event gets beside its slot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ordinals {
    /// Among its subject's events.
    pub subject: SubjectSequence,
    /// Logical clock.
    pub lamport: Lamport,
}

/// How many changes of one attribute group each capture region has admitted (Parker et al. 1983). Two vectors
/// neither of which is at least the other belong to concurrent changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionVector(pub BTreeMap<Region, u64>);

impl VersionVector {
    /// Counts one change of this region.
    pub fn tick(&mut self, region: &Region) {
        let count = self.0.entry(region.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes in what another vector has counted.
    pub fn merge(&mut self, other: &Self) {
        for (region, count) in &other.0 {
            let own = self.0.entry(region.clone()).or_default();
            *own = (*own).max(*count);
        }
    }

    /// Nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn holds(&self, other: &Self) -> bool {
        other.0.iter().all(|(region, count)| self.0.get(region).copied().unwrap_or_default() >= *count)
    }
}

impl PartialOrd for VersionVector {
    /// `None`: concurrent.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.holds(other), other.holds(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for VersionVector {
    /// `eu=3,us=5`, regions in name order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (region, count)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{region}={count}")?;
        }
        Ok(())
    }
}

/// A text that is no value of the kind that it is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: expected {form}")]
pub struct LineageError {
    what: &'static str,
    form: &'static str,
}

const VECTOR: LineageError =
    LineageError { what: "version vector", form: "`region=count`, comma-separated, at most 16 regions" };
const TOKEN: LineageError =
    LineageError { what: "causality token", form: "the text that a write was answered with, unchanged" };

impl std::str::FromStr for VersionVector {
    type Err = LineageError;
    fn from_str(text: &str) -> Result<Self, LineageError> {
        let mut vector = Self::default();
        for part in text.split(',') {
            let (region, count) = part.split_once('=').ok_or(VECTOR)?;
            let region = Region::new(region).map_err(|_| VECTOR)?;
            let count = count.parse().map_err(|_| VECTOR)?;
            if vector.0.insert(region, count).is_some() || vector.0.len() > REGIONS_MAX {
                return Err(VECTOR);
            }
        }
        Ok(vector)
    }
}

/// How new a pushed change is, in its producer's own terms. Versions of different kinds, and sequences of
/// different producers, say nothing of each other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceVersion {
    /// When the record was changed, as the producer states it in what it signs or vouches for.
    Time(Timestamp),
    /// The CloudEvents `sequence` of one `source`, ordered as text.
    Sequence {
        /// The CloudEvents `source`.
        source: String,
        /// The value; integers padded, so that text order is number order.
        value: String,
    },
}

impl fmt::Debug for SourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => write!(f, "Time({at})"),
            Self::Sequence { value, .. } => write!(f, "Sequence({value})"),
        }
    }
}

impl SourceVersion {
    /// It is certainly older: of the same kind and producer, and less.
    pub fn is_older_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(own), Self::Time(other)) => own < other,
            (
                Self::Sequence { source, value },
                Self::Sequence { source: other_source, value: other_value },
            ) => source == other_source && value < other_value,
            (Self::Time(_), Self::Sequence { .. }) | (Self::Sequence { .. }, Self::Time(_)) => false,
        }
    }
}

/// What a producer says of a change's place among others. A change that Writ reads in a database's log says
/// nothing: its position is its place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// How new the record is.
    pub version: Option<SourceVersion>,
    /// The producer's hybrid clock.
    pub hlc: Option<Hlc>,
    /// The producer's logical clock.
    pub lamport: Option<Lamport>,
    /// What was counted where it comes from.
    pub vector: Option<VersionVector>,
    /// Groups events of one business transaction (CloudEvents `correlationid`). Linking, so it is sealed.
    pub correlation: Option<String>,
}

/// How a change stands to what was applied of its attribute group before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Older.
    Stale,
    /// Made in another region without knowledge of it.
    Concurrent,
}

impl Standing {
    /// The word in events, filters and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Concurrent => "concurrent",
        }
    }
}

/// What is stored, in the clear, of an event's lineage where there is something to say: none for a store of a
/// single region whose events are all newer than what they follow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Absent when it is newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// What this event has seen of each region, itself included.
    #[serde(default, skip_serializing_if = "VersionVector::is_empty")]
    pub vector: VersionVector,
}

/// What was applied last of one attribute group, or of a record as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// In the producer's terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<SourceVersion>,
    /// Over the regions.
    #[serde(default, skip_serializing_if = "VersionVector::is_empty")]
    pub vector: VersionVector,
}

impl Applied {
    fn is_silent(&self) -> bool {
        self.version.is_none() && self.vector.is_empty()
    }

    /// Takes a later one in. The newer version stays: an event that was forwarded although it is older must not
    /// let others pass for new.
    fn advance(&mut self, to: &Self) {
        self.vector.merge(&to.vector);
        let Some(version) = &to.version else { return };
        if !self.version.as_ref().is_some_and(|own| version.is_older_than(own)) {
            self.version = Some(version.clone());
        }
    }
}

/// What was applied last of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Versions {
    /// By changes of the record as a whole: deletions, restores, new keys.
    #[serde(default)]
    pub record: Applied,
    /// By change type; outlives the group itself, so that an old change does not bring it back.
    #[serde(default)]
    pub groups: BTreeMap<ChangeType, Applied>,
}

impl Versions {
    /// Nothing was ever claimed: what most sources leave.
    pub fn is_empty(&self) -> bool {
        self.record.is_silent() && self.groups.is_empty()
    }

    /// Takes in what an event applied. `is_whole`: it was about the record as a whole.
    pub fn apply(&mut self, change_type: ChangeType, is_whole: bool, applied: &Applied) {
        if applied.is_silent() {
            return;
        }
        self.groups.entry(change_type).or_default().advance(applied);
        if is_whole {
            self.record.advance(applied);
        }
    }
}

/// What a client gets for a write, and presents with a read that must not be answered from before it. Names a
/// place in one store's log; says nothing to who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CausalityToken {
    /// Which store.
    pub store: StoreId,
    /// Everything below is what the read must have seen.
    pub through: Offset,
}

impl fmt::Display for CausalityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w1-{}-{:x}", self.store, self.through.0)
    }
}

impl std::str::FromStr for CausalityToken {
    type Err = LineageError;
    fn from_str(text: &str) -> Result<Self, LineageError> {
        let mut parts = text.split('-');
        let (Some("w1"), Some(store), Some(through), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TOKEN);
        };
        let is_hex = through.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let through = u64::from_str_radix(through, 16).ok().filter(|_| is_hex).ok_or(TOKEN)?;
        Ok(Self { store: store.parse().map_err(|_| TOKEN)?, through: Offset(through) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(text: &str) -> VersionVector {
        text.parse().expect("a vector")
    }

    #[test]
    fn vectors_are_ordered_where_one_has_seen_the_other_and_not_else() {
        let compare = |a: &str, b: &str| vector(a).partial_cmp(&vector(b));
        assert_eq!(compare("eu=1", "eu=2"), Some(Ordering::Less));
        assert_eq!(compare("eu=2,us=1", "eu=2"), Some(Ordering::Greater));
        assert_eq!(compare("eu=2,us=0", "eu=2"), Some(Ordering::Equal));
        assert_eq!(compare("eu=2,us=1", "eu=1,us=2"), None);
    }

    #[test]
    fn a_merged_vector_has_seen_both() {
        let mut merged = vector("eu=2,us=1");
        merged.merge(&vector("eu=1,us=2,ap=1"));
        assert_eq!(merged.to_string(), "ap=1,eu=2,us=2");
        assert!(merged > vector("eu=2,us=1") && merged > vector("eu=1,us=2,ap=1"));
    }

    #[test]
    fn vectors_that_name_a_region_twice_or_too_many_are_refused() {
        let many: Vec<String> = (0..=REGIONS_MAX).map(|n| format!("r{n}=1")).collect();
        for bad in ["", "eu", "eu=x", "eu=-1", "Eu=1", "eu=1,", "eu=1,eu=2", &many.join(",")] {
            assert!(bad.parse::<VersionVector>().is_err(), "{bad}");
        }
        assert!(many[1..].join(",").parse::<VersionVector>().is_ok());
    }

    #[test]
    fn versions_of_different_kinds_and_producers_say_nothing_of_each_other() {
        let time = |at| SourceVersion::Time(Timestamp(at));
        let sequence = |source: &str, value: &str| SourceVersion::Sequence {
            source: source.to_owned(),
            value: value.to_owned(),
        };
        assert!(time(1).is_older_than(&time(2)) && !time(2).is_older_than(&time(2)));
        assert!(sequence("a", "01").is_older_than(&sequence("a", "02")));
        assert!(!sequence("a", "01").is_older_than(&sequence("b", "02")));
        assert!(!time(1).is_older_than(&sequence("a", "02")));
    }

    #[test]
    fn an_older_event_that_was_forwarded_leaves_the_newer_version_in_place() {
        let applied =
            |at| Applied { version: Some(SourceVersion::Time(Timestamp(at))), ..Applied::default() };
        let mut versions = Versions::default();
        versions.apply(ChangeType::Email, false, &applied(5));
        versions.apply(ChangeType::Email, false, &applied(3));
        assert_eq!(versions.groups[&ChangeType::Email], applied(5));
        assert_eq!(versions.record, Applied::default());
    }

    #[test]
    fn tokens_read_back_and_nothing_else_reads_as_one() {
        let token = CausalityToken { store: StoreId([0xab; 8]), through: Offset(0x1f) };
        assert_eq!(token.to_string(), "w1-abababababababab-1f");
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in [
            "",
            "w1",
            "w1-ab-1f",
            "w2-abababababababab-1f",
            "w1-abababababababab-+1",
            "w1-abababababababab-1F",
        ] {
            assert!(bad.parse::<CausalityToken>().is_err(), "{bad}");
        }
    }
}
