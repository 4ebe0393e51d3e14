//! Reads `writ.yaml`. Every mistake is one finding with its line and, for a key that nobody knows, the nearest
//! one that is known.

use std::path::{Path, PathBuf};

use writ_engine::config::Config;
use writ_model::code;

use crate::exit::{BAD_INPUT, Failure};

/// A configuration and the folder that its relative paths start from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) base: PathBuf,
}

/// Reads and parses the file. Relative paths in it are made to start at its folder.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let text = format!("read {}: {error}; `writ init` writes a configuration to start from", path.display());
        Failure::coded(code::CONFIG_UNREADABLE, text, BAD_INPUT)
    })?;
    let mut config: Config = parse(&text, &path.display().to_string())?;
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    config.store.path = base.join(&config.store.path);
    config.schemas = config.schemas.map(|folder| base.join(folder));
    config.policies = config.policies.map(|folder| base.join(folder));
    Ok(Loaded { config, base })
}

fn parse(text: &str, name: &str) -> Result<Config, Failure> {
    serde_saphyr::from_str(text).map_err(|error| {
        let message = error.to_string();
        let line = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
        let first = message.lines().next().unwrap_or_default();
        match unknown_key(&message) {
            Some((key, nearest)) => {
                let text = format!("{name}{line}: unknown key {key:?}; did you mean {nearest:?}?");
                Failure::coded(code::CONFIG_UNKNOWN_KEY, text, BAD_INPUT)
            }
            None if message.contains("invalid") || message.contains("missing field") || message.contains("not a") => {
                Failure::coded(code::CONFIG_INVALID, format!("{name}{line}: {first}"), BAD_INPUT)
            }
            None => Failure::coded(code::CONFIG_MALFORMED, format!("{name}{line}: {first}"), BAD_INPUT),
        }
    })
}

/// Finds serde's "unknown field `x`, expected one of `a`, `b`" in a message: the key and the nearest known.
pub(crate) fn unknown_key(message: &str) -> Option<(String, String)> {
    let rest = &message[message.find("unknown field `")? + "unknown field `".len()..];
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2);
    let nearest = known.min_by_key(|candidate| distance(key, candidate))?;
    Some((key.to_owned(), nearest.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, "writ.yaml").map(|_| ()).map_err(|failure| failure.to_string()).expect_err("must fail")
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_key() {
        let text = "tenant: acme\nstore: { path: data }\nsubscriber: {}\n";
        let message = error(text);
        assert!(message.contains("WRIT-1003") && message.contains("\"subscribers\""), "{message}");
        assert!(message.contains("writ.yaml:3"), "{message}");
    }

    #[test]
    fn text_that_is_not_yaml_names_its_line() {
        let message = error("tenant: acme\n  store: [\n");
        assert!(message.contains("writ.yaml:") && message.contains("WRIT-1002"), "{message}");
    }

    #[test]
    fn a_bad_value_names_its_line_and_what_was_expected() {
        let message = error("tenant: Not A Name\nstore: { path: data }\n");
        assert!(message.contains("WRIT-1004") && message.contains(":1"), "{message}");
    }
}
