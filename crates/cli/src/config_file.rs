//! Reads `writ.yaml`. Every mistake is one finding with its file, line and column and, for a word that nobody
//! knows, the nearest one that is known. A value is never quoted: it may be a secret in the wrong place.
//!
//! What a connector makes of its keys is the connector's word; `writ check` asks it.

mod mistake;
mod place;
mod range;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_saphyr::{Error, Options};
use writ_engine::config::Config;
use writ_model::code;

use crate::exit::Failure;
pub(crate) use mistake::Mistake;
use mistake::nearest;
pub(crate) use place::Places;

/// Largest configuration; a larger file is not one.
const BYTES_MAX: u64 = 1 << 20;

/// A configuration and the folder that its relative paths start from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) base: PathBuf,
    /// Where each key stands.
    pub(crate) places: Places,
}

/// Reads the file and refuses it at its first mistake.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    let loaded = read(path)?;
    match mistakes(&loaded).into_iter().next() {
        Some(mistake) => Err(mistake.into()),
        None => Ok(loaded),
    }
}

/// Reads and parses the file. Relative paths in it are made to start at its folder.
pub(crate) fn read(path: &Path) -> Result<Loaded, Mistake> {
    let text = text(path)?;
    let (mut config, places) = parse(&text, &path.display().to_string())?;
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    config.store.path = base.join(&config.store.path);
    config.schemas = config.schemas.map(|folder| base.join(folder));
    config.policies = config.policies.map(|folder| base.join(folder));
    config.compliance.statutes = config.compliance.statutes.map(|file| base.join(file));
    Ok(Loaded { config, base, places })
}

/// Mistakes in a file that parses: unknown connector keys, values out of range, tokens that open nothing.
pub(crate) fn mistakes(loaded: &Loaded) -> Vec<Mistake> {
    let mut found = mistake::connector_keys(&loaded.config, &loaded.places);
    found.extend(range::check(&loaded.config, &loaded.places));
    found
}

fn text(path: &Path) -> Result<String, Mistake> {
    let name = path.display().to_string();
    let unreadable =
        |cause: String, remedy: &str| Mistake::new(code::CONFIG_UNREADABLE, &name, cause, remedy);
    let init = "`writ init` writes a configuration to start from";
    let meta = std::fs::metadata(path).map_err(|error| unreadable(error.to_string(), init))?;
    if meta.is_dir() {
        return Err(unreadable("this is a folder".to_owned(), "name the file in it with --config"));
    }
    if meta.len() > BYTES_MAX {
        return Err(unreadable(format!("the file is larger than {BYTES_MAX} bytes"), "name a configuration"));
    }
    let bytes =
        std::fs::read(path).map_err(|error| unreadable(error.to_string(), "check its permissions"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = format!("{name}:{line}");
        Mistake::new(code::CONFIG_MALFORMED, &place, "the text is not UTF-8", "save the file as UTF-8")
    })?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(Mistake::new(code::CONFIG_MALFORMED, &name, "the file is empty", init));
    }
    Ok(text)
}

fn parse(text: &str, name: &str) -> Result<(Config, Places), Mistake> {
    let config = serde_saphyr::from_str_with_options(text, options());
    let config = config.map_err(|error| explain(&error, name))?;
    let places = serde_saphyr::from_str_with_options(text, options());
    let places = places.map_err(|error| explain(&error, name))?;
    Ok((config, Places::new(name, places)))
}

/// Without snippets: they would show values.
fn options() -> Options {
    let mut options = Options::default();
    options.with_snippet = false;
    options
}

/// What a parser's error says to the person who wrote the file.
fn explain(error: &Error, name: &str) -> Mistake {
    let at = error.location().filter(|at| at.line() > 0);
    let place = at.map_or_else(|| name.to_owned(), |at| format!("{name}:{}:{}", at.line(), at.column()));
    let invalid = |cause: String| {
        let remedy = "correct the value; docs/reference/configuration.md lists every key";
        Mistake::new(code::CONFIG_INVALID, &place, cause, remedy)
    };
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => Mistake::unknown_key(&place, field, expected),
        Error::SerdeMissingField { field, .. } => invalid(format!("the key {field:?} is missing")),
        Error::SerdeUnknownVariant { expected, variant, .. } => {
            let near = nearest(variant, expected).map(|word| format!("; did you mean {word:?}?"));
            let known = expected.join(", ");
            invalid(format!("this word is not known, it is one of {known}{}", near.unwrap_or_default()))
        }
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            invalid(format!("the value is not of the kind that this key takes: expected {expected}"))
        }
        Error::InvalidScalar { ty, .. } => {
            invalid(format!("the value is not of the kind that this key takes: expected {ty}"))
        }
        Error::Unexpected { expected, .. } => {
            invalid(format!("the value is not of the kind that this key takes: expected {expected}"))
        }
        Error::NullIntoString { .. } => invalid("the key has no value".to_owned()),
        // Messages of our own types: names, lengths of time.
        Error::Message { msg, .. } => invalid(msg.clone()),
        Error::DuplicateMappingKey { key, .. } => {
            let cause = format!("the key {:?} stands twice", key.as_deref().unwrap_or_default());
            Mistake::new(code::CONFIG_MALFORMED, &place, cause, "remove one of the two")
        }
        Error::MultipleDocuments { .. } => {
            Mistake::new(code::CONFIG_MALFORMED, &place, "a second document begins here", "remove the `---`")
        }
        _ => {
            let cause = "the text is not valid YAML";
            Mistake::new(
                code::CONFIG_MALFORMED,
                &place,
                cause,
                "check indentation, quotes and brackets above it",
            )
        }
    }
}
