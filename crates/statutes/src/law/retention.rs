//! How long records are kept: what the specification said beside what the law says, and which minimum may hold back
//! an erasure.

use serde::{Deserialize, Serialize};

use super::period::{Period, Unit, period};
use super::{Confidence, Verification};

/// One class of records under one law.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// The class.
    pub record: String,
    /// What the product's specification gives; absent where it gives nothing.
    pub spec: Option<String>,
    /// What the law says.
    pub law: String,
    /// At least.
    pub floor: Option<Bound>,
    /// At most.
    pub ceiling: Option<Bound>,
    /// What it rests on.
    pub basis: Basis,
    /// Where the text is.
    pub citation: String,
    /// What follows from comparing the two.
    pub finding: String,
    /// How sure.
    pub confidence: Confidence,
    /// What was read.
    pub verification: Verification,
    /// Where it was read.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// A minimum or maximum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenBound")]
pub struct Bound {
    /// The number, where there is one.
    pub period: Option<Period>,
    /// Of which of the records.
    pub scope: Option<String>,
    /// What holds in place of a number.
    pub standard: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBound {
    n: Option<u32>,
    unit: Option<Unit>,
    #[serde(rename = "for")]
    scope: Option<String>,
    standard: Option<String>,
}

impl TryFrom<WrittenBound> for Bound {
    type Error = String;

    fn try_from(written: WrittenBound) -> Result<Self, String> {
        let period = period(written.n, written.unit)?;
        if period.is_none() && written.standard.is_none() {
            return Err("a bound has `n` and `unit`, or a `standard` in words".to_owned());
        }
        Ok(Self { period, scope: written.scope, standard: written.standard })
    }
}

/// What a period of retention rests on, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// An act.
    Statute,
    /// A rule made under an act.
    Regulation,
    /// A rule of a self-regulatory organisation.
    SroRule,
    /// A standard, by contract.
    Standard,
    /// A limitation of claims: a habit, not an order to keep.
    Limitation,
    /// A principle without a number.
    Principle,
    /// The operator's own wish.
    Policy,
}

impl Retention {
    /// Its minimum stands against a request to erase these very records: only what binds by law does, only where the
    /// table is sure of the number. A policy's minimum never does.
    pub fn holds_back_erasure(&self) -> bool {
        let is_binding = match self.basis {
            Basis::Statute | Basis::Regulation | Basis::SroRule => true,
            Basis::Standard | Basis::Limitation | Basis::Principle | Basis::Policy => false,
        };
        let has_number = self.floor.as_ref().is_some_and(|floor| floor.period.is_some());
        is_binding && has_number && self.confidence > Confidence::Low
    }
}
