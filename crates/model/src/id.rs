//! Names, ids and positions. Each is a type of its own, so that none can stand in for another.
//!
//! Names come from configuration and are safe to print. [`RecordKey`] is personal data and is not.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A name that is not of the allowed form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("name {given:?} is not of the form [a-z0-9][a-z0-9_-]{{0,62}}")]
pub struct NameError {
    given: String,
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.next().is_some_and(plain) && text.len() <= 63 && bytes.all(|b| plain(b) || b == b'_' || b == b'-')
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts `[a-z0-9][a-z0-9_-]{0,62}`.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(NameError { given: text.into() }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// An operator's tenant. Part of every key, so that tenants never share a dedup entry or a breaker.
    TenantId
);
name_type!(
    /// A configured source.
    SourceName
);
name_type!(
    /// A configured subscriber.
    SubscriberName
);
name_type!(
    /// A capture region: where changes enter Writ. Each has a store of its own.
    Region
);

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $len];
                f.write_str(encode_hex(&self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                decode_hex::<$len>(text).map(Self).ok_or(IdError { kind: stringify!($name) })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// An id that is not lower-case hex of the right length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: expected lower-case hexadecimal digits of its fixed length")]
pub struct IdError {
    kind: &'static str,
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    encode_hex(bytes, &mut vec![0; 2 * bytes.len()]).to_owned()
}

/// Lower-case hexadecimal digits, into a place for two per byte.
fn encode_hex<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(into.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(into).expect("hexadecimal digits are ASCII")
}

fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let nibble = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(out)
}

bytes_id!(
    /// A subject under its internal random id. Pseudonymous: it leaves Writ only as the partition key.
    SubjectId, 16
);
bytes_id!(
    /// Stable id of (subscriber, source, event, generation, step, reissue); the same on every retry.
    DeliveryId, 16
);
bytes_id!(
    /// A store as receivers know it: keyed by its delivery key, so a copy of a store has the same.
    StoreId, 8
);
bytes_id!(
    /// Keyed hash of (tenant, table, record key): finds a subject without storing its natural key.
    KeyHash, 32
);

bytes_id!(
    /// SHA-256 of the body that a subscriber answered with.
    AnswerDigest, 32
);

/// An event's id: UUIDv7 layout (RFC 9562), time from the source's commit, random bits from a keyed
/// PRF over its origin, so that a rewound source gives the same id again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub uuid::Uuid);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self).map_err(|_| IdError { kind: "EventId" })
    }
}

/// Counts a subject's lives, from 1. An erased and re-created subject has a new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl Generation {
    /// A subject's first life.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of [`Slot::COUNT`] fixed shares of the subjects: the unit of order, ownership and sequence.
/// Slots move between owners; a subject never moves between slots except by a fenced hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(u16);

impl Slot {
    /// Fixed for the life of a store: subjects are never rehashed.
    pub const COUNT: u16 = 4096;

    /// The slot with this number; larger numbers wrap, so that a PRF's output can be given as it is.
    pub fn new(number: u16) -> Self {
        Self(number % Self::COUNT)
    }

    /// The slot's number, below [`Slot::COUNT`].
    pub fn number(self) -> u16 {
        self.0
    }
}

/// An event's place in the log: ordered, opaque, possibly sparse. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Offset(pub u64);

impl Offset {
    /// Where an empty log begins.
    pub const ZERO: Self = Self(0);

    /// The smallest offset after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's number in its slot: contiguous from 1, over both priority classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The following number.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    /// Twenty digits, so that text order is number order (CloudEvents Sequence extension).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

/// Fences a former owner or writer: the resource refuses any epoch below the highest it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// One life of a source's position space (for PostgreSQL: system identifier, timeline, slot, and the
/// slot's creation point). Positions of different incarnations are not comparable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub String);

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change's place in its source, total within one [`Incarnation`]: the commit's place first, the
/// ordinal in the transaction second. For PostgreSQL `commit` is where the commit record begins: LSNs of
/// single changes are neither unique nor monotonic. What is resumed from is the record's end, ordinal 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// Place of the commit.
    pub commit: u64,
    /// Number of the row change in its transaction.
    pub ordinal: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.commit, self.ordinal)
    }
}

/// The natural key of a record: column values in key order. Personal data: it has no `Display`, and its
/// `Debug` prints only how many columns there are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey(pub Vec<String>);

impl RecordKey {
    /// The values joined by `/`, with `/` and `%` inside a value percent-encoded. For sealed parts only.
    pub fn reveal(&self) -> String {
        let plain = |part: &String| part.replace('%', "%25").replace('/', "%2F");
        self.0.iter().map(plain).collect::<Vec<_>>().join("/")
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey(<{} columns>)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_would_need_quoting_anywhere() {
        assert!(TenantId::new("shop-7_eu").is_ok());
        for bad in ["", "-a", "Shop", "a b", "a/b", "a.b", &"x".repeat(64)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_survive_a_round_trip_through_text() {
        let id = SubjectId([0xab; 16]);
        assert_eq!(id.to_string().parse::<SubjectId>(), Ok(id));
        assert!("AB".repeat(16).parse::<SubjectId>().is_err());
    }

    #[test]
    fn a_record_key_never_prints_its_values() {
        let key = RecordKey(vec!["ada@example.org".into()]);
        assert!(!format!("{key:?}").contains("ada"));
    }

    #[test]
    fn record_keys_that_differ_reveal_differently() {
        let a = RecordKey(vec!["a/b".into()]);
        let b = RecordKey(vec!["a".into(), "b".into()]);
        assert_ne!(a.reveal(), b.reveal());
    }

    #[test]
    fn sequences_sort_as_text() {
        assert!(Sequence(9).to_string() < Sequence(10).to_string());
    }
}
