//! `compliance:` what policy demands of the recipients of a privacy request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use writ_model::case::{Grade, Says};
use writ_model::id::SubscriberName;

use super::Period;

/// What policy demands, and who is a recipient beside the subscribers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compliance {
    /// A file of the operator's own decisions, laid over the statute table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statutes: Option<PathBuf>,
    /// The grade of evidence that each recipient has to reach.
    pub demand: Grade,
    /// How long the keys of an erased person stay when the case is fulfilled: time to notice a mistake.
    pub observe: Period,
    /// Subscribers are told to suppress before they are told to erase.
    pub suppress_first: bool,
    /// How many persons an exception takes.
    pub approvals: Approvals,
    /// What is said of single recipients. One that is no subscriber names the one that it stands behind.
    pub recipients: BTreeMap<String, RecipientTerms>,
}

impl Default for Compliance {
    fn default() -> Self {
        Self {
            statutes: None,
            demand: Grade::E1,
            observe: Period(Duration::from_secs(24 * 3600)),
            suppress_first: true,
            approvals: Approvals::Two,
            recipients: BTreeMap::new(),
        }
    }
}

/// How many persons an exception takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvals {
    /// Who asks for it may approve it.
    One,
    /// Another person approves it.
    Two,
}

/// What is said of one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecipientTerms {
    /// What its success means: that it has the request, or that it has done it.
    pub says: Says,
    /// The grade that it has to reach, in place of `demand` above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demand: Option<Grade>,
    /// It is no subscriber: this one passes the data on to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<SubscriberName>,
    /// The Ed25519 public key under which it signs its reports: 32 bytes, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Default for RecipientTerms {
    fn default() -> Self {
        Self { says: Says::Receipt, demand: None, behind: None, key: None }
    }
}

/// An Ed25519 public key: 32 bytes in base64; `None` when it is not.
pub fn public_key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
