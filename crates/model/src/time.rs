//! Time as data: a monotonic [`Moment`], a wall-clock [`Timestamp`] and a hybrid logical clock value.
//!
//! Nothing here reads a clock; the engine passes the readings in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A monotonic reading, in microseconds since an arbitrary start. For deadlines, never for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment and `wait` more; saturates at the end of time.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long from `earlier` to this moment; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A wall-clock time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time and `wait` more.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Whole milliseconds since the epoch, as UUIDv7 wants them.
    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC at fixed width: `2026-11-21T05:30:00.000000Z`. Times outside the years 0 to 9999
    /// are clamped to them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOWEST: i64 = -62_167_219_200_000_000;
        const HIGHEST: i64 = 253_402_207_199_999_999;
        let time = jiff::Timestamp::from_microsecond(self.0.clamp(LOWEST, HIGHEST)).unwrap_or_default();
        write!(f, "{time:.6}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time")]
pub struct TimeError;

impl std::str::FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        Ok(Self(time.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A hybrid logical clock value (Kulkarni et al. 2014): physical milliseconds, then a counter, then the
/// node that drew it, because two nodes may draw the same pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Hlc {
    /// Milliseconds since the Unix epoch; never goes back at one node, restarts included.
    pub millis: u64,
    /// Breaks ties within one millisecond.
    pub counter: u32,
    /// Breaks ties between nodes.
    pub node: u16,
}

impl fmt::Display for Hlc {
    /// Fixed width, so that text order is clock order: `0001764000000-00000000-0000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}-{:08x}-{:04x}", self.millis, self.counter, self.node)
    }
}

/// A text that is not a hybrid clock value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hybrid clock value: expected `millis-counter-node`")]
pub struct HlcError;

impl std::str::FromStr for Hlc {
    type Err = HlcError;
    fn from_str(text: &str) -> Result<Self, HlcError> {
        let mut parts = text.split('-');
        let (Some(millis), Some(counter), Some(node), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HlcError);
        };
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if ![millis, counter, node].into_iter().all(is_plain) {
            return Err(HlcError);
        }
        Ok(Self {
            millis: millis.parse().map_err(|_| HlcError)?,
            counter: u32::from_str_radix(counter, 16).map_err(|_| HlcError)?,
            node: u16::from_str_radix(node, 16).map_err(|_| HlcError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_at_fixed_width_and_parse_back() {
        for micros in [0, 1, -1, 1_764_000_000_123_456, 253_402_207_199_999_999] {
            let text = Timestamp(micros).to_string();
            assert_eq!(text.len(), "2026-11-21T05:30:00.000000Z".len(), "{text}");
            assert_eq!(text.parse(), Ok(Timestamp(micros)));
        }
    }

    #[test]
    fn hybrid_clock_values_sort_as_text() {
        let early = Hlc { millis: 9, counter: 255, node: 9 };
        let late = Hlc { millis: 10, counter: 0, node: 0 };
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!((early.to_string().parse(), late.to_string().parse()), (Ok(early), Ok(late)));
        assert!(["", "1-2", "1-2-3-4", "+1-2-3", "x-2-3"].iter().all(|bad| bad.parse::<Hlc>().is_err()));
    }
}
