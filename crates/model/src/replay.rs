//! Replays as the journal keeps them: which events, who ordered it, what was done to it, how far it came.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Offset, Sequence, Slot, SubjectId, SubscriberName};
use crate::taxonomy::ChangeType;
use crate::time::Timestamp;
use crate::verdict::PolicyVersion;

/// Which events of the log. Everything that is set must hold; what is empty or `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Of these subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SubjectId>,
    /// Of these change types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub change_types: Vec<ChangeType>,
    /// Recorded at or after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_time: Option<Timestamp>,
    /// Recorded before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_time: Option<Timestamp>,
    /// Of this slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// This number in the slot, or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_sequence: Option<Sequence>,
    /// Before this number in the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_sequence: Option<Sequence>,
    /// CloudEvents Subscriptions filters, all of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<serde_json::Value>,
}

/// Under which delivery ids a replay delivers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryIds {
    /// Those of the first delivery: a receiver that remembers them does nothing twice.
    #[default]
    SameId,
    /// New ones, the replay's number being the reissue: nothing takes the repetition for a repeat.
    NewId,
}

/// What becomes of an event whose content key was destroyed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shredded {
    /// It is delivered without data, and says so.
    #[default]
    Tombstone,
    /// It is withheld.
    Skip,
}

/// How fast a replay is asked to go: in JSON a number of events a second, `"max"` or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speed {
    /// As the engine is configured (`limits.replay_rate`).
    #[default]
    Usual,
    /// At most so many events a second.
    PerSecond(NonZeroU32),
    /// As fast as the subscriber takes them.
    Max,
}

impl Speed {
    /// Events a second at most; `None`: without a limit.
    pub fn per_second(self, usual: NonZeroU32) -> Option<u32> {
        match self {
            Self::Usual => Some(usual.get()),
            Self::PerSecond(rate) => Some(rate.get()),
            Self::Max => None,
        }
    }
}

/// What is no [`Speed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither \"max\" nor events a second, at least 1 and less than 2^32")]
pub struct NoSpeed;

impl FromStr for Speed {
    type Err = NoSpeed;

    fn from_str(text: &str) -> Result<Self, NoSpeed> {
        match text {
            "max" => Ok(Self::Max),
            _ => text.parse().map(Self::PerSecond).map_err(|_| NoSpeed),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::PerSecond(rate) => rate.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Usual => serializer.serialize_none(),
            Self::PerSecond(rate) => serializer.serialize_u32(rate.get()),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom(NoSpeed);
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Ok(Self::Usual),
            serde_json::Value::String(word) if word == "max" => Ok(Self::Max),
            serde_json::Value::Number(rate) => {
                let rate = rate.as_u64().and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new);
                rate.map(Self::PerSecond).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

/// A replay as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOrder {
    /// Names the replay.
    pub id: String,
    /// Counts the store's replays, from 1; the reissue of new delivery ids.
    pub number: u32,
    /// To whom.
    pub subscriber: SubscriberName,
    /// First offset of the range.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
    /// Which events of the range.
    pub selection: Selection,
    /// Under which delivery ids.
    pub ids: DeliveryIds,
    /// What becomes of shredded events.
    pub shredded: Shredded,
    /// At most so many events a second.
    pub rate_per_second: Option<u32>,
    /// Why new ids are forced on a pair whose guarantee is exactly-once.
    pub forced: Option<String>,
    /// SHA-256 of caller and idempotency key, hex; empty when none was given.
    pub request: String,
    /// SHA-256 of what was asked, hex: a key that comes again with anything else is refused.
    pub asked: String,
    /// Who ordered it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// What somebody did to a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayAct {
    /// Which.
    pub id: String,
    /// `paused`, `resumed`, `rate` or `cancelled`.
    pub act: String,
    /// The rate from now on, for `rate`.
    pub rate_per_second: Option<u32>,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// Events that a replay selected and today's gate kept back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWithheld {
    /// Which replay.
    pub id: String,
    /// The policy in force.
    pub policy: PolicyVersion,
    /// Where each is, and why in a word.
    pub items: Vec<(Offset, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_reads_as_people_and_programs_write_it() {
        let rate = |n| Speed::PerSecond(NonZeroU32::new(n).expect("not zero"));
        for (text, json, speed) in [("max", "\"max\"", Speed::Max), ("50", "50", rate(50))] {
            assert_eq!(text.parse(), Ok(speed));
            assert_eq!(serde_json::from_str::<Speed>(json).expect("a speed"), speed);
            assert_eq!(serde_json::to_string(&speed).expect("a form"), json);
        }
        assert_eq!(serde_json::from_str::<Speed>("null").expect("the usual one"), Speed::Usual);
    }

    #[test]
    fn what_is_no_speed_is_refused() {
        for json in ["0", "-1", "1.5", "4294967296", "\"fast\"", "\"50\"", "[]"] {
            assert!(serde_json::from_str::<Speed>(json).is_err(), "{json}");
        }
        assert_eq!(("0".parse::<Speed>(), "fast".parse::<Speed>()), (Err(NoSpeed), Err(NoSpeed)));
    }
}
