//! What a subscriber is promised for a change type, and the mechanism that keeps it. Words only: what is
//! promised where is decided in `writ-kernel`'s `guarantee`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::taxonomy::{ChangeType, Operation, UnknownWord, words};

words! {
    /// How often an event takes effect at a subscriber.
    Guarantee {
        /// The cursor is durable before the one attempt: a failure or a crash may lose the event.
        AtMostOnce = "at-most-once",
        /// The cursor follows the acknowledgement; repeats carry the same delivery id.
        AtLeastOnce = "at-least-once",
        /// One effect, however often it is sent, by a named mechanism.
        ExactlyOnce = "exactly-once",
    }
}

words! {
    /// What makes a repeated delivery one effect. Each needs the receiver's part.
    Mechanism {
        /// An inbox row in the receiver's own transaction.
        Transactional = "transactional",
        /// A Kafka transaction, for readers of committed records.
        KafkaTransaction = "kafka-transaction",
        /// The receiver prepares, the journal decides, the receiver commits.
        TwoPhase = "two-phase",
        /// The receiver drops a repeated delivery id, as long as it documents.
        IdempotencyKey = "idempotency-key",
        /// After an attempt without an answer the receiver is read before any repeat.
        Probe = "probe",
        /// Doing it again changes nothing: "already gone" is success.
        IdempotentOperation = "idempotent-operation",
    }
}

/// One mechanism that a configured connector proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which.
    pub mechanism: Mechanism,
    /// How long the receiver tells a repeat from a first delivery; `None` when no time bounds it.
    pub remembers: Option<Duration>,
    /// For which change types; for all when empty.
    pub change_types: Vec<ChangeType>,
}

impl Proof {
    /// A proof for every change type.
    pub fn of_all(mechanism: Mechanism, remembers: Option<Duration>) -> Self {
        Self { mechanism, remembers, change_types: Vec::new() }
    }

    /// Whether it holds for this change type.
    pub fn covers(&self, change_type: ChangeType) -> bool {
        self.change_types.is_empty() || self.change_types.contains(&change_type)
    }
}

/// What one subscriber is promised for one change type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// How often it takes effect.
    pub guarantee: Guarantee,
    /// By what, under exactly-once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
}

impl Promise {
    /// Repeats under the same delivery id: possible everywhere.
    pub const AT_LEAST_ONCE: Self = Self { guarantee: Guarantee::AtLeastOnce, mechanism: None };

    /// Whether an event of this operation is sent at most once. Only what adds may be lost: an update or a
    /// removal that is lost leaves the receiver wrong for good.
    pub fn is_once(self, operation: Operation) -> bool {
        let is_addition = matches!(operation, Operation::Insert | Operation::Restore);
        self.guarantee == Guarantee::AtMostOnce && is_addition
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mechanism {
            Some(mechanism) => write!(f, "{} ({mechanism})", self.guarantee),
            None => write!(f, "{}", self.guarantee),
        }
    }
}
