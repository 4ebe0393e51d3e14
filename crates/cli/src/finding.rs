//! What a check found: where, what, and what to do about it.

use std::collections::BTreeMap;

use serde::Serialize;
use writ_kernel::guarantee::Promises;
use writ_model::guarantee::{Guarantee, Promise};
use writ_model::taxonomy::ChangeType;

/// One finding of `writ check` or `writ doctor`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// `error`, `warning` or `ok`.
    pub(crate) level: &'static str,
    /// The error's code, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    /// File and line, or the dotted key.
    pub(crate) place: String,
    /// What was found.
    pub(crate) cause: String,
    /// What to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remedy: String,
    /// What a subscriber is promised, by change type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guarantees: Option<BTreeMap<ChangeType, Promise>>,
}

impl Finding {
    pub(crate) fn ok(place: &str, cause: impl Into<String>) -> Self {
        Self {
            level: "ok",
            code: None,
            place: place.into(),
            cause: cause.into(),
            remedy: String::new(),
            guarantees: None,
        }
    }

    pub(crate) fn warning(place: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self {
            level: "warning",
            code: None,
            place: place.into(),
            cause: cause.into(),
            remedy: remedy.into(),
            guarantees: None,
        }
    }

    pub(crate) fn error(code: &'static str, place: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self {
            level: "error",
            code: Some(code),
            place: place.into(),
            cause: cause.into(),
            remedy: remedy.into(),
            guarantees: None,
        }
    }
}

impl Finding {
    /// What a subscriber is promised.
    pub(crate) fn promises(place: &str, promises: &Promises) -> Self {
        Self { guarantees: Some(promises.all().collect()), ..Self::ok(place, in_words(promises)) }
    }
}

/// The change types under each promise: `exactly-once (transactional): consent, tier; at-least-once: all else`.
pub(crate) fn in_words(promises: &Promises) -> String {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (change_type, promise) in promises.all().filter(|(_, one)| *one != Promise::AT_LEAST_ONCE) {
        let additions = if promise.guarantee == Guarantee::AtMostOnce { " for additions" } else { "" };
        groups.entry(format!("{promise}{additions}")).or_default().push(change_type.as_str());
    }
    let mut words: Vec<String> =
        groups.into_iter().map(|(promise, types)| format!("{promise}: {}", types.join(", "))).collect();
    words.push(format!("{}: all else", Promise::AT_LEAST_ONCE));
    words.join("; ")
}

/// Prints findings as lines or as one JSON document; true when none is an error.
pub(crate) fn print(findings: &[Finding], is_json: bool) -> bool {
    let holds = findings.iter().all(|finding| finding.level != "error");
    if is_json {
        let document = serde_json::json!({ "holds": holds, "findings": findings });
        println!("{document:#}");
        return holds;
    }
    for finding in findings {
        let code = finding.code.map(|code| format!(" {code}")).unwrap_or_default();
        println!("{:<8}{code} {}: {}", finding.level, finding.place, finding.cause);
        if !finding.remedy.is_empty() {
            println!("         -> {}", finding.remedy);
        }
    }
    holds
}
