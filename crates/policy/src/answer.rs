//! Reads the decision document: `docs/reference/policy-input.md` has its members. Strict, because a misread
//! restriction is a leak: an unknown member or a wrong type is an error, and an error holds the event.

use serde_json::{Map, Value};
use writ_model::taxonomy::PriorityClass;
use writ_model::verdict::{PolicyAnswer, PolicyVerdict, PolicyVersion};

use crate::PolicyError;
use crate::engine::verdict;

/// Longest reason that is kept.
const REASON_CHARS_MAX: usize = 256;

/// Most names in a list.
const NAMES_MAX: usize = 1024;

const MEMBERS: [&str; 6] = ["allow", "answer", "reason", "class", "deny_subscribers", "withhold"];

pub(crate) fn read(document: &Value, version: &PolicyVersion) -> Result<PolicyVerdict, PolicyError> {
    let members = document.as_object().ok_or_else(|| PolicyError::answer("it is not an object"))?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(PolicyError::answer(format!(
            "unknown member {unknown:?}; known are {}",
            MEMBERS.join(", ")
        )));
    }
    Ok(PolicyVerdict {
        class: class(members)?,
        deny_subscribers: names(members, "deny_subscribers")?,
        withhold: names(members, "withhold")?,
        ..verdict(answer(members)?, version)
    })
}

fn answer(members: &Map<String, Value>) -> Result<PolicyAnswer, PolicyError> {
    let reason = match members.get("reason") {
        None => "no reason given".to_owned(),
        Some(Value::String(text)) => text.chars().take(REASON_CHARS_MAX).collect(),
        Some(_) => return Err(PolicyError::answer("reason is not a string")),
    };
    match (members.get("allow"), members.get("answer").map(Value::as_str)) {
        (Some(Value::Bool(true)), None) | (None, Some(Some("clear"))) => Ok(PolicyAnswer::Clear),
        (Some(Value::Bool(false)), None) | (None, Some(Some("refuse"))) => Ok(PolicyAnswer::Refuse(reason)),
        (None, Some(Some("hold"))) => Ok(PolicyAnswer::Hold(reason)),
        (None, None) => Err(PolicyError::answer("it has neither allow nor answer")),
        (Some(_), Some(_)) => Err(PolicyError::answer("it has both allow and answer")),
        (Some(_), None) => Err(PolicyError::answer("allow is neither true nor false")),
        (None, Some(_)) => Err(PolicyError::answer("answer is none of clear, hold, refuse")),
    }
}

fn class(members: &Map<String, Value>) -> Result<Option<PriorityClass>, PolicyError> {
    let Some(class) = members.get("class") else { return Ok(None) };
    let parsed = class.as_str().and_then(|word| word.parse().ok());
    parsed.map(Some).ok_or_else(|| PolicyError::answer("class is neither express nor standard"))
}

/// An array or a set of strings, in order, without repeats.
fn names(members: &Map<String, Value>, member: &str) -> Result<Vec<String>, PolicyError> {
    let Some(value) = members.get(member) else { return Ok(Vec::new()) };
    let wrong =
        || PolicyError::answer(format!("{member} is not a list or set of at most {NAMES_MAX} strings"));
    let items = value.as_array().filter(|items| items.len() <= NAMES_MAX).ok_or_else(wrong)?;
    let names: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    let mut names = names.ok_or_else(wrong)?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
