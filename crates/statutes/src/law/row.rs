//! What holds of a duty since a day, how sure that is, and what starts its clock.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Due, Extension, Pause};
use crate::overlay::Act;

/// What holds since a date.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Clocks that start on this day or later are under this row.
    pub from: Date,
    /// Whether it binds.
    pub status: Status,
    /// What starts the clock.
    pub clock: Clock,
    /// How long, or how soon.
    pub due: Due,
    /// By how much it can be extended.
    pub extension: Option<Extension>,
    /// When the clock stops.
    pub pause: Option<Pause>,
    /// Who else is told.
    pub recipients: Option<Recipients>,
    /// Where the text is.
    pub citation: String,
    /// How sure the row is.
    pub confidence: Confidence,
    /// What was read.
    pub verification: Verification,
    /// Where it was read; names of `sources.yaml`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What a reader has to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The operator's decision that made this row, if one did.
    #[serde(skip)]
    pub act: Option<Act>,
}

/// Whether a row binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    InForce,
    /// It is passed and has a date that lay ahead when the table was made.
    Future,
    /// It is proposed.
    Proposed,
    /// Its regulator has waived it until the row's date.
    WaivedUntil,
    /// A court has stopped parts of it.
    PartlyEnjoined,
}

/// What starts a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The request arrives.
    Receipt,
    /// The latest of request, proof of identity and fee arrives.
    ReceiptIdentityOrFee,
    /// The person sends the wish to unsubscribe.
    UnsubscribeSent,
    /// An appeal arrives.
    AppealReceived,
    /// A dispute arrives.
    DisputeNoticeReceived,
    /// A dispute arrives at the agency.
    DisputeNoticeAtAgency,
    /// A reinvestigation ends.
    ReinvestigationCompleted,
    /// A request is authenticated.
    RequestAuthenticated,
    /// The change is made.
    ChangeMade,
    /// Somebody becomes aware.
    Awareness,
    /// A message is sent.
    MessageSent,
    /// A notice is delivered.
    NoticeDelivered,
    /// The person opts out.
    OptOutDate,
    /// The last list was fetched.
    PreviousDownload,
    /// The copy of the registry was made.
    RegistryVersion,
    /// The number is registered.
    Registration,
    /// Data is collected.
    Collection,
    /// Data is processed.
    Processing,
    /// The person was last in touch.
    LastInteraction,
    /// The purpose ends.
    PurposeEnd,
    /// A log entry is made.
    LogGenerated,
    /// A system is placed on the market.
    PlacedOnMarket,
    /// The person is warned that an erasure will follow.
    BeforeErasure,
}

/// Who else is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipients {
    /// Classes of recipients.
    pub who: Vec<String>,
    /// How soon, where the law says so in words only.
    pub standard: Option<String>,
    /// When they need not be told.
    #[serde(rename = "except")]
    pub exception: Option<String>,
    /// What they have to do in turn.
    pub onward: Option<String>,
    /// Where the text is, when it is not the row's.
    pub citation: Option<String>,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Unconfirmed.
    Low,
    /// One second-hand source, or a text known and not opened again.
    Medium,
    /// The text itself, or two sources that agree.
    High,
}

/// What was read to establish a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// The text.
    PrimaryTextSeen,
    /// Somebody's report of it.
    SecondarySeen,
    /// Nothing; general knowledge.
    NotOpened,
}
