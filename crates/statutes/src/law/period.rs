//! Lengths of time as laws state them, and what may lengthen them.

use serde::{Deserialize, Serialize};

/// A number and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// How many.
    pub n: u32,
    /// Of what.
    pub unit: Unit,
}

/// What a period is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 60 seconds.
    Minute,
    /// 60 minutes, elapsed: a change of the clocks does not move it.
    Hour,
    /// Every day counts.
    CalendarDay,
    /// Days on which the calendar is open count.
    BusinessDay,
    /// To the same number in a later month.
    Month,
    /// Twelve months.
    Year,
}

impl Unit {
    /// Counted on the clock, not on the calendar.
    pub fn is_elapsed(self) -> bool {
        matches!(self, Self::Minute | Self::Hour)
    }

    /// More than this many is not a period of a law.
    pub fn most(self) -> u32 {
        match self {
            Self::Minute => 60 * 24 * 31,
            Self::Hour => 24 * 366,
            Self::CalendarDay | Self::BusinessDay => 3_660,
            Self::Month => 1_200,
            Self::Year => 100,
        }
    }
}

/// How long a duty has, or how soon it is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenDue")]
pub struct Due {
    /// The number, where the law has one.
    pub period: Option<Period>,
    /// What holds beside the number: `without undue delay`.
    pub also: Option<String>,
    /// What the number means, or what holds in place of one.
    pub standard: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDue {
    n: Option<u32>,
    unit: Option<Unit>,
    also: Option<String>,
    standard: Option<String>,
}

impl TryFrom<WrittenDue> for Due {
    type Error = String;

    fn try_from(written: WrittenDue) -> Result<Self, String> {
        let period = period(written.n, written.unit)?;
        if period.is_none() && written.standard.is_none() {
            return Err("a due has `n` and `unit`, or a `standard` in words, or both".to_owned());
        }
        Ok(Self { period, also: written.also, standard: written.standard })
    }
}

/// Both or neither.
pub(super) fn period(n: Option<u32>, unit: Option<Unit>) -> Result<Option<Period>, String> {
    match (n, unit) {
        (Some(n), Some(unit)) => Ok(Some(Period { n, unit })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("`n` needs a `unit`".to_owned()),
        (None, Some(_)) => Err("`unit` needs an `n`".to_owned()),
    }
}

/// By how much a period can be extended, once. It runs on from the first period, so that both are counted from the
/// start of the clock.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// How many.
    pub n: u32,
    /// Of what: the unit of the period.
    pub unit: Unit,
    /// On what condition.
    #[serde(rename = "if")]
    pub condition: Option<String>,
}

/// When the clock stops.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// For which rights.
    pub rights: Vec<String>,
    /// Why, and from when to when.
    pub when: String,
}
