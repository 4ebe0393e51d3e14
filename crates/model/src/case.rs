//! Privacy requests as cases: what a person asked for, by when, and how far each recipient is with it. What follows is
//! decided in `writ-kernel`'s `case`. Holds internal ids only; texts are an operator's, without personal data.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{EventId, Generation, SubjectId};
use crate::taxonomy::{UnknownWord, words};
use crate::time::Timestamp;

words! {
    /// What a person asks for.
    Right {
        /// To be erased: every recipient is told, keys are destroyed.
        Erasure = "erasure",
        /// Not to be written or sold to: every recipient is told to suppress.
        OptOut = "opt_out",
        /// To have data put right: the correction, captured from the master record, is followed to every recipient.
        Rectification = "rectification",
        /// To see the data; nothing is sent out.
        Access = "access",
        /// To have processing restricted; what is done about it is the operator's.
        Restriction = "restriction",
    }
}

words! {
    /// How a case stands.
    CaseState {
        /// Opened; who asks is not verified.
        Received = "received",
        /// Who asks is known; nothing was sent.
        Verified = "verified",
        /// Recipients are being told.
        Dispatched = "dispatched",
        /// Each recipient is where policy demands, or excepted.
        Fulfilled = "fulfilled",
        /// All is done, and the person was told.
        Closed = "closed",
        /// Taken back by the person before anybody could have acted.
        Withdrawn = "withdrawn",
        /// Refused, with a reason.
        Denied = "denied",
    }
}

words! {
    /// How well it is shown that a recipient did it; each includes those before it.
    Grade {
        /// Nothing is shown.
        E0 = "E0",
        /// The recipient answered with success.
        E1 = "E1",
        /// It said so under a credential of its own.
        E2 = "E2",
        /// It signed that it received this very request.
        E3 = "E3",
        /// It signed what came of it.
        E4 = "E4",
        /// And somebody looked, and found it so.
        E5 = "E5",
    }
}

words! {
    /// How far a recipient is. Received is not done.
    RecipientState {
        /// Nothing was sent to it.
        Planned = "planned",
        /// On its way.
        Sent = "sent",
        /// It has the request.
        Received = "received",
        /// It said that it is at it.
        Accepted = "accepted",
        /// It said that it is done.
        OutcomeReported = "outcome_reported",
        /// It showed that it is done.
        OutcomeEvidenced = "outcome_evidenced",
        /// It does not do it, or not wholly.
        Refused = "refused",
        /// It cannot be told.
        Unreachable = "unreachable",
        /// It is not waited for.
        Excepted = "excepted",
    }
}

words! {
    /// What a recipient says came of a request.
    Outcome {
        /// It is at it.
        Accepted = "accepted",
        /// Done.
        Completed = "completed",
        /// There was nothing to do it to, or no longer.
        NotFound = "not_found",
        /// Done in part.
        Partially = "partially",
        /// A law or a contract keeps it from doing it.
        Exempt = "exempt",
        /// Not done.
        Rejected = "rejected",
    }
}

words! {
    /// Why somebody is a recipient.
    Basis {
        /// The ledger says that data of the subject went to it.
        Disclosed = "disclosed",
        /// The request's event goes to it.
        Routed = "routed",
        /// The operator declared it, behind a subscriber.
        Declared = "declared",
    }
}

words! {
    /// What a recipient's success means.
    Says {
        /// That it has the request.
        Receipt = "receipt",
        /// That it has done it.
        Outcome = "outcome",
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Names it.
    pub id: String,
    /// What is asked for.
    pub right: Right,
    /// Whose data.
    pub subject: SubjectId,
    /// Of which life.
    pub generation: Generation,
    /// Under which law, and which right in its words.
    pub law: String,
    /// The right, in the statute table's words.
    pub statute_right: String,
    /// Whose days are counted, where the law leaves that open or reaches several zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whose holidays are counted, in place of the law's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// How it came in, and under which id there.
    pub intake: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The id it has where it came from.
    pub reference: Option<String>,
    /// When the person asked; clocks start here.
    pub received_at: Timestamp,
    /// Who opened it, why and when.
    pub opened: Act,
    /// Who asks was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Act>,
    /// The person was told that the request was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Act>,
    /// The person was told what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Act>,
    /// By when what is due.
    pub clocks: Vec<Clock>,
    /// The person was told that it takes longer, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Act>,
    /// How long the keys stay when it is fulfilled, in seconds.
    pub observe_seconds: u64,
    /// Subscribers are told to suppress before they are told to erase.
    pub suppress_first: bool,
    /// What carries it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// The event that recipients have to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// Who has to be told.
    #[serde(default)]
    pub recipients: BTreeMap<String, Recipient>,
    /// How it stands.
    pub state: CaseState,
    /// What it waits for, or why it ended so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it was fulfilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulfilled_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// Something that a person did about a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who.
    pub actor: String,
    /// How, or why.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// One duty's three dates; none is a date that the statute table does not support.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The duty's id in the statute table.
    pub duty: String,
    /// `acknowledge`, `respond`, `propagate`, `complete`, ...
    pub kind: String,
    /// Where the law says it.
    pub citation: String,
    /// What the law says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal: Option<Due>,
    /// What to work to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<Due>,
    /// What the operator wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Due>,
}

/// A due date: the day where the law counts days, and the moment from which it is too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// In the law's zone.
    pub day: String,
    /// From then on it is too late.
    pub over: Timestamp,
}

/// One recipient's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Why it is one.
    pub basis: Basis,
    /// It is reached through this subscriber.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
    /// What its success means.
    pub says: Says,
    /// What policy demands of it.
    pub demand: Grade,
    /// How far it is.
    pub state: RecipientState,
    /// How well that is shown.
    pub grade: Grade,
    /// Since when.
    pub at: Timestamp,
    /// What is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What it said, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Report>,
    /// Why it is not waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Excuse>,
}

/// What a recipient said, or somebody saw there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What came of it.
    pub outcome: Outcome,
    /// How well that is shown.
    pub grade: Grade,
    /// Who brought it, how and when.
    pub act: Act,
}

/// An exception: counts once a second person approved it, until its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excuse {
    /// Who asked for it, and why.
    pub asked: Act,
    /// From then on it counts no more.
    pub until: Timestamp,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Act>,
}
