//! A gap: something that the configuration leaves open, and how to close it.

use serde::Serialize;
use writ_model::finding::Severity;

/// What is wrong. In the order of the gap pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A change type that is captured and goes to nobody, or is needed and is not captured.
    UnhandledChange,
    /// A subscriber has data and does not hear what bears on it.
    InconsistentFanOut,
    /// A guarantee that does not fit what is sent under it.
    UnfitGuarantee,
    /// A date that nothing makes anybody keep.
    UnenforcedWindow,
    /// A case could not be shown to be done.
    MissingEvidence,
}

impl Kind {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::UnhandledChange,
        Self::InconsistentFanOut,
        Self::UnfitGuarantee,
        Self::UnenforcedWindow,
        Self::MissingEvidence,
    ];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnhandledChange => "unhandled change",
            Self::InconsistentFanOut => "inconsistent fan-out",
            Self::UnfitGuarantee => "unfit guarantee",
            Self::UnenforcedWindow => "unenforced window",
            Self::MissingEvidence => "missing evidence",
        }
    }
}

/// One gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How bad.
    pub severity: Severity,
    /// What is wrong.
    pub kind: Kind,
    /// The place in the configuration.
    pub about: String,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
    /// Where a law asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}
