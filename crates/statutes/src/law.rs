//! What a law's file says: duties, and for each the rows that held or hold, by the date since which they do.
//!
//! Facts only. Whether a row is good enough for a legal date is decided in `deadline.rs`, whether a file makes sense
//! in `lint.rs`.

mod period;
mod retention;
mod row;
mod words;

pub use period::{Due, Extension, Pause, Period, Unit};
pub use retention::{Basis, Bound, Retention};
pub use row::{Clock, Confidence, Recipients, Row, Status, Verification};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One law, standard or contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Law {
    /// Its id, which is the name of its file.
    #[serde(rename = "law")]
    pub id: String,
    /// Other words for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its name.
    pub name: String,
    /// Where its text is.
    pub citation: String,
    /// `EU`, `US-CA`.
    pub jurisdiction: String,
    /// Which of the gate's five anchors it belongs to.
    pub anchor: u8,
    /// Since when it is in force. A standard that is carried for its notes only has no such date.
    pub effective: Option<Date>,
    /// Whose days are counted unless a question names another zone.
    pub zone: String,
    /// Other zones of those whom it reaches, the westernmost and the easternmost. A moment that falls on different days
    /// in them has no legal date until a zone is named.
    #[serde(default)]
    pub span: Vec<String>,
    /// Whose holidays are counted unless a question names another calendar.
    pub calendar: String,
    /// How its periods are counted.
    pub counting: Counting,
    /// Who enforces it.
    pub enforced_by: String,
    /// Whether a person can sue under it.
    pub private_action: String,
    /// The rights it grants, with a duty in this file or without.
    #[serde(default)]
    pub grants: Vec<String>,
    /// Whether an opt-out signal of a browser must be honoured.
    pub signal: Option<Signal>,
    /// Whether a violation can be cured.
    pub cure: Option<String>,
    /// What must be told about third parties.
    pub third_parties: Option<String>,
    /// How sure the file is of a law that has no duties in it.
    pub reference: Option<Reference>,
    /// Dates on which parts of it begin.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
    /// What a reader has to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What it asks for.
    pub duties: Vec<Duty>,
    /// How long it wants records kept, beside what the specification said.
    #[serde(default)]
    pub retention: Vec<Retention>,
}

/// The rule by which days and months are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counting {
    /// Regulation (EEC, Euratom) 1182/71, Article 3.
    #[serde(rename = "eu-1182-71")]
    Eu118271,
    /// The corresponding date, as the UK regulator counts months.
    UkCorrespondingDate,
    /// The day of the event is day 0 and nothing is moved.
    Plain,
}

/// A duty on opt-out signals.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// They must be honoured.
    pub required: bool,
    /// Since when.
    pub since: Option<Date>,
    /// What else is to be known.
    pub note: Option<String>,
}

/// How sure a file without duties is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// How sure.
    pub confidence: Confidence,
    /// What was read.
    pub verification: Verification,
    /// Where it was read.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// A date on which a part of a law begins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Milestone {
    /// The part.
    pub what: String,
    /// The date.
    pub date: Date,
}

/// One thing that a law asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// Its id within the law.
    #[serde(rename = "duty")]
    pub id: String,
    /// What kind of act it asks for.
    pub kind: Kind,
    /// The rights that it serves.
    pub rights: Vec<String>,
    /// What held since when, oldest first. A row is never overwritten: a change of the law adds one.
    pub rows: Vec<Row>,
    /// The operator's own period for it, laid over the table.
    #[serde(skip)]
    pub policy: Option<Period>,
}

/// What kind of act a duty asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Confirm that it came.
    Acknowledge,
    /// Answer it.
    Respond,
    /// Tell recipients.
    Propagate,
    /// Be done, or say that it is done.
    Complete,
    /// Say that it is refused.
    Refuse,
    /// Not before: a minimum.
    Floor,
    /// Not after: a maximum for keeping.
    Ceiling,
}

impl Duty {
    /// The row for a clock that starts on `day`: the last that holds by then. An operator's row that has lapsed does
    /// not count.
    pub fn row_on(&self, day: Date) -> Option<&Row> {
        let is_live =
            |row: &&Row| row.act.as_ref().and_then(|act| act.until).is_none_or(|until| day <= until);
        self.rows.iter().filter(is_live).rfind(|row| row.from <= day)
    }

    /// The first row that begins after `day`.
    pub fn row_after(&self, day: Date) -> Option<&Row> {
        self.rows.iter().find(|row| row.from > day)
    }

    /// A minimum: its date says "not before", every other kind's says "not after".
    pub fn is_floor(&self) -> bool {
        self.kind == Kind::Floor
    }
}
