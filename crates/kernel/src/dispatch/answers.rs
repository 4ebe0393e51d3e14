//! A subscriber's own words: an ordered, closed list of rules that say what its HTTP answers mean, before the
//! table of [`super::classify`], which stays the end of the list.
//!
//! A rule looks at the status, at one header, at one place of a JSON body and at the event's change type; all that it names must fit, and
//! the first rule that fits decides. A body that is no JSON, or longer than the connector reads, fits no rule
//! that looks into it. Where a receiver answers a batch item by item, each item is judged by the same list.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use writ_model::delivery::{HttpAnswer, Wants};
use writ_model::taxonomy::ChangeType;

mod check;

#[cfg(test)]
mod tests;

pub use check::Unusable;

/// At most so many rules: each is looked at for every answer.
pub const RULES_MAX: usize = 64;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The subscriber has the event.
    Acknowledged,
    /// Not this time.
    Retry,
    /// Never: dead letters.
    Rejected,
    /// Too much at once: the lane waits as long as `Retry-After` says.
    Throttled,
    /// The subscriber is gone for good: the lane stops.
    Gone,
}

/// A status, or a range of them: `409`, `200-299`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(pub RangeInclusive<u16>);

/// One header, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderTest {
    /// Its name, in lower case.
    pub name: String,
    /// Its whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// A part of its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// One place of a JSON body, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyTest {
    /// A JSON pointer (RFC 6901).
    pub at: String,
    /// The value there.
    pub equals: Value,
}

/// One rule. What it does not name may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Statuses>,
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderTest>,
    /// A place of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTest>,
    /// Only answers to events of these change types; of all when none is named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub change_types: BTreeSet<ChangeType>,
    /// What it means.
    pub then: Meaning,
}

/// Where a 2xx answer to a batch holds one result for each item, in the order of the items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// JSON pointer to the array.
    pub at: String,
    /// JSON pointer, within one result, to a status that stands for the answer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// All rules of one subscriber; none leaves the table alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// In order.
    pub rules: Vec<Rule>,
    /// Results per item.
    pub items: Option<Items>,
}

/// One answer, or one item's result, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The answer's status, or the result's own.
    pub status: u16,
    /// The answer.
    pub http: &'a HttpAnswer,
    /// Its body, or the item's result; absent when it is no JSON or nobody asked for it.
    pub body: Option<&'a Value>,
    /// What the item is about.
    pub change_type: ChangeType,
}

impl Rules {
    /// What a connector must hand over of each answer.
    pub fn wants(&self) -> Wants {
        let headers = self.rules.iter().filter_map(|rule| rule.header.as_ref());
        let mut headers: Vec<String> = headers.map(|header| header.name.clone()).collect();
        headers.sort();
        headers.dedup();
        Wants { headers, body: self.items.is_some() || self.rules.iter().any(|rule| rule.body.is_some()) }
    }

    /// The first rule that fits: its number from 1, and its meaning.
    pub fn judge(&self, seen: Seen<'_>) -> Option<(usize, Meaning)> {
        let fits = (1..).zip(&self.rules).find(|(_, rule)| rule.fits(seen));
        fits.map(|(number, rule)| (number, rule.then))
    }

    /// The body as JSON, where it was asked for and is some.
    pub fn body(&self, http: &HttpAnswer) -> Option<Value> {
        serde_json::from_slice(http.body.as_ref()?.bytes()).ok()
    }

    /// The results per item, where the answer holds them: each with the status that stands for it.
    pub fn results<'a>(&self, http: &HttpAnswer, body: Option<&'a Value>) -> Option<Vec<(u16, &'a Value)>> {
        let items = self.items.as_ref().filter(|_| (200..300).contains(&http.status))?;
        let results = body?.pointer(&items.at)?.as_array()?;
        let status = |result: &'a Value| {
            let own = items.status.as_ref().and_then(|at| result.pointer(at)).and_then(status_of);
            (own.unwrap_or(http.status), result)
        };
        Some(results.iter().map(status).collect())
    }
}

/// A status as a number, or as text that begins with one (`"429 Too Many Requests"`).
fn status_of(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.split(' ').next()?.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Rule {
    fn fits(&self, seen: Seen<'_>) -> bool {
        self.status.as_ref().is_none_or(|statuses| statuses.0.contains(&seen.status))
            && self.header.as_ref().is_none_or(|test| test.fits(seen.http))
            && self.body.as_ref().is_none_or(|test| test.fits(seen.body))
            && (self.change_types.is_empty() || self.change_types.contains(&seen.change_type))
    }
}

impl HeaderTest {
    fn fits(&self, http: &HttpAnswer) -> bool {
        let mut values = http.headers.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        values.any(|value| {
            self.equals.as_ref().is_none_or(|text| value == text)
                && self.contains.as_ref().is_none_or(|text| value.contains(text.as_str()))
        })
    }
}

impl BodyTest {
    fn fits(&self, body: Option<&Value>) -> bool {
        body.and_then(|body| body.pointer(&self.at)) == Some(&self.equals)
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(u16),
            Text(String),
        }
        let bad = || serde::de::Error::custom("not a status: write 409, or a range as 200-299");
        let text = match Written::deserialize(d).map_err(|_| bad())? {
            Written::One(status) => return Ok(Self(status..=status)),
            Written::Text(text) => text,
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| bad());
        Ok(Self(number(first)?..=number(last)?))
    }
}
