//! One mistake in a configuration, and the nearest known word to an unknown one.

use std::fmt;

use serde_json::Value;
use writ_connectors::registry::{self, Side};
use writ_engine::config::Config;
use writ_model::code::{self, Code};

use super::Places;
use crate::exit::{BAD_INPUT, Failure};

/// Keys of a source that are not its connector's.
const SOURCE_KEYS: [&str; 2] = ["kind", "tables"];
/// Keys of a subscriber that are not its connector's.
const SUBSCRIBER_KEYS: [&str; 5] = ["kind", "filters", "guarantee", "ad_audience", "delivery"];

/// What is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: Code,
    /// `writ.yaml:12:5`, and the key where it is known.
    pub(crate) place: String,
    pub(crate) cause: String,
    pub(crate) remedy: String,
}

impl Mistake {
    pub(super) fn new(code: Code, place: &str, cause: impl Into<String>, remedy: &str) -> Self {
        Self { code, place: place.to_owned(), cause: cause.into(), remedy: remedy.to_owned() }
    }

    pub(super) fn unknown_key(place: &str, key: &str, known: &[&str]) -> Self {
        let remedy = match nearest(key, known) {
            Some(near) => format!("did you mean {near:?}? It takes {}", known.join(", ")),
            None => "remove it".to_owned(),
        };
        Self::new(code::CONFIG_UNKNOWN_KEY, place, format!("unknown key {key:?}"), &remedy)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.cause, self.remedy)
    }
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::coded(mistake.code, &mistake, BAD_INPUT)
    }
}

/// Keys under a source or subscriber that neither Writ nor its connector knows. A connector would refuse them
/// too, without knowing the line or the keys beside its own.
pub(super) fn connector_keys(config: &Config, places: &Places) -> Vec<Mistake> {
    let sources = config.sources.iter().flat_map(|(name, source)| {
        let place = format!("sources.{name}");
        unknown(&place, &source.kind, Side::Source, &SOURCE_KEYS, &source.connector, places)
    });
    let subscribers = config.subscribers.iter().flat_map(|(name, subscriber)| {
        let place = format!("subscribers.{name}");
        unknown(&place, &subscriber.kind, Side::Subscriber, &SUBSCRIBER_KEYS, &subscriber.connector, places)
    });
    sources.chain(subscribers).collect()
}

fn unknown(
    place: &str,
    kind: &str,
    side: Side,
    common: &[&str],
    given: &serde_json::Map<String, Value>,
    places: &Places,
) -> Vec<Mistake> {
    let Some(descriptor) = registry::find(kind, side) else { return Vec::new() };
    let schema = (descriptor.config_schema)();
    let own = schema["properties"].as_object().into_iter().flat_map(|keys| keys.keys().map(String::as_str));
    let known: Vec<&str> = own.chain(common.iter().copied()).collect();
    let strange = given.keys().filter(|key| !known.contains(&key.as_str()));
    strange.map(|key| Mistake::unknown_key(&places.of(&format!("{place}.{key}")), key, &known)).collect()
}

/// The known word with the fewest edits between.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().min_by_key(|candidate| distance(word, candidate))
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let cost = usize::from(left != *right);
            let best = (diagonal + cost).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}
