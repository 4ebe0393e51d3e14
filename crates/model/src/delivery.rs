//! Attempts, answers and outcomes. A connector reports an [`Answer`] as it came; what it means is decided
//! in `writ-kernel`'s dispatch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AnswerDigest, Epoch};
use crate::time::Timestamp;

/// Numbers an attempt within one run of the engine. Answers carry it back, however late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId(pub u64);

/// One prepared transaction at a receiver. With the store and the subscriber it is unique for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Branch {
    /// The owner that asked for it.
    pub epoch: Epoch,
    /// Its attempt.
    pub attempt: AttemptId,
}

/// How a branch is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It takes effect.
    Commit,
    /// It does not.
    RollBack,
}

/// What a receiver shows of an event that may have reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    There,
    /// It is not.
    Absent,
    /// Nobody knows.
    Unknown(Fault),
}

/// What came of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The branch has ended so.
    Done,
    /// The receiver has no such branch: it ended before.
    Unknown,
    /// It is not known to have ended.
    Failed(Fault),
}

/// What came back from one attempt, uninterpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP response.
    Http(HttpAnswer),
    /// The sink made it durable itself (a file was written and synced).
    Durable,
    /// No answer: the attempt failed on this side of the wire.
    Failed(Fault),
    /// A consumer that took the event answered it by a word of its own.
    Consumer(Word),
    /// A batch that the subscriber answers item by item, in the order of the items.
    PerItem(Vec<Answer>),
}

/// What a consumer says of an event that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Its effect is durable on the consumer's side.
    Acknowledged,
    /// The consumer will never take it.
    Rejected(Objection),
    /// Not now; the wait, if it names one, is for the whole subscriber.
    Retry(Option<Duration>),
}

/// Why a consumer will never take an event: a closed list, because the word gets into records and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// It cannot be read, or is not what was agreed on.
    Invalid,
    /// It is of a kind that the consumer has no use for.
    Unsupported,
    /// It contradicts what the consumer holds.
    Conflict,
    /// The consumer failed on it and expects to fail again.
    Failed,
}

impl Objection {
    /// The cause in metrics, listings and dead letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "rejected_invalid",
            Self::Unsupported => "rejected_unsupported",
            Self::Conflict => "rejected_conflict",
            Self::Failed => "rejected_failed",
        }
    }
}

/// The parts of an HTTP response that classification may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `Retry-After`, as it came: seconds or an HTTP date.
    pub retry_after: Option<String>,
    /// `Date`, as it came; a date form of `Retry-After` is read against it.
    pub date: Option<String>,
    /// SHA-256 of the body, for the acknowledgement record.
    pub body_sha256: Option<AnswerDigest>,
    /// The headers that were asked for by [`Wants`], in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, where it was asked for and is no longer than the connector reads.
    pub body: Option<AnswerBody>,
}

/// The body of an answer: judged and dropped, never stored, never printed. It may hold personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerBody(Vec<u8>);

impl AnswerBody {
    /// As it came.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnswerBody(<{} bytes>)", self.0.len())
    }
}

/// What the rules of a subscriber look at beside the status: what a connector hands over of each answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    /// Names of headers, in lower case.
    pub headers: Vec<String>,
    /// The body.
    pub body: bool,
}

/// Why an attempt had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The name did not resolve.
    Resolve,
    /// Every resolved address is one the operator did not allow (SSRF guard).
    AddressRefused,
    /// No connection.
    Connect,
    /// TLS failed.
    Tls,
    /// The connection broke before the request was wholly written: not processed.
    SendBroken,
    /// The connection broke after the request was written: may have been processed.
    AnswerBroken,
    /// No answer in time: may have been processed.
    Timeout,
    /// A local sink failed (disk full, permission).
    LocalSink,
    /// The connector could not build the request (an oversized or unencodable event).
    Unsendable,
    /// The other side refuses this item for good: a value that its column does not take.
    Refused,
    /// The other side gave the transaction up because of another one (deadlock, lock, serialization).
    Conflict,
    /// The other side knows a newer owner of this lane.
    Fenced,
    /// The other side cannot take anything as it is: a missing table or right, a full disk, a standby.
    Unready,
    /// No consumer asked for it in time: it never left.
    NotTaken,
    /// A consumer took it and did not answer before its lease ended: may have been processed.
    LeaseExpired,
}

impl Fault {
    /// The word in metrics, listings and acknowledgement records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::AddressRefused => "address_refused",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::SendBroken => "send_broken",
            Self::AnswerBroken => "answer_broken",
            Self::Timeout => "timeout",
            Self::LocalSink => "local_sink",
            Self::Unsendable => "unsendable",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Unready => "unready",
            Self::NotTaken => "not_taken",
            Self::LeaseExpired => "lease_expired",
        }
    }
}

/// What an answer means for one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledged.
    Acknowledged,
    /// Not this time.
    Retry {
        /// What went wrong, for listings: `http_503`, `connect`.
        cause: String,
    },
    /// Too much at once, which says nothing about whether the subscriber works.
    Throttled {
        /// What it answered.
        cause: String,
        /// The wait that it asked for.
        wait: Option<Duration>,
    },
    /// Never: the subscriber refuses this item.
    Rejected {
        /// What it answered.
        cause: String,
    },
    /// Nobody was there to take it: as if the attempt had not been made.
    NotTaken,
    /// The subscriber is gone for good (410): the lane stops.
    SubscriberGone,
}

/// How one event ended at one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledAs {
    /// Acknowledged.
    Acknowledged,
    /// In the dead letters.
    DeadLettered,
    /// A permit was refused: policy withholds it from this subscriber.
    Withheld,
    /// Not settled when the time to settle passed.
    Pending,
    /// Sent at most once, and no acknowledgement is known: it may or may not have arrived.
    Attempted,
}

impl SettledAs {
    /// The word in acknowledgement records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::DeadLettered => "dead_lettered",
            Self::Withheld => "withheld",
            Self::Pending => "pending",
            Self::Attempted => "attempted",
        }
    }
}

/// One subscriber's part in an event's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// How it ended.
    pub settled: SettledAs,
    /// When.
    pub at: Timestamp,
    /// How many attempts were made.
    pub attempts: u32,
    /// SHA-256 of the response body, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_sha256: Option<AnswerDigest>,
}
