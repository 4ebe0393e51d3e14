//! Findings: what an operator has to deal with, how bad it is and by when. What opens and closes one is
//! decided in `writ-kernel`'s `finding`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::SubscriberName;
use crate::time::Timestamp;

/// How bad, and so how long there is to deal with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Order was violated: at once.
    P0,
    /// A subscriber does not take what it is sent: 72 hours.
    P1,
    /// An effect that was promised once happened twice: 7 days.
    P2,
    /// A subscriber holds its events up: 30 days.
    P3,
    /// For the record: no time is set.
    P4,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A lane was offered events out of their order, took none of them and stopped.
    OrderViolated,
    /// The subscriber refuses events.
    Rejecting,
    /// Events were tried until their attempts or their time were used up.
    Exhausted,
    /// The breaker is open.
    Down,
    /// The oldest event that is not settled is older than it should be.
    Late,
    /// The subscriber said that it is gone.
    Gone,
    /// The subscriber asked for a longer wait than the operator's bound, and was sent to before it was over.
    WaitCut,
    /// The log lost events that the subscriber has not settled.
    BehindRetention,
}

impl FindingKind {
    /// The word in listings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderViolated => "order_violated",
            Self::Rejecting => "rejecting",
            Self::Exhausted => "exhausted",
            Self::Down => "down",
            Self::Late => "late",
            Self::Gone => "gone",
            Self::WaitCut => "wait_cut",
            Self::BehindRetention => "behind_retention",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One finding, as it is since its last change. One of each kind is open per subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whom it is about.
    pub subscriber: SubscriberName,
    /// What was found.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// When it was first seen.
    pub opened_at: Timestamp,
    /// When it was last told of.
    pub updated_at: Timestamp,
    /// How often it was seen.
    pub seen: u64,
    /// By when it should be dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// That time passed while it was open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_overdue: bool,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}
