//! One JSON Schema (2020-12) per change type, and the check of an event's data against it.
//!
//! Schemas are operator-written text and are treated as such: no reference is ever fetched, patterns run in
//! linear time, sizes are bounded. `format` is asserted, and a format that is not known is an error when the
//! schema is loaded; `docs/reference/schemas.md` says so to operators.

use std::collections::BTreeMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use writ_model::code::{self, Code};
use writ_model::envelope::Envelope;
use writ_model::taxonomy::ChangeType;
use writ_model::verdict::{Checked, SchemaVerdict, Violation};

use crate::built_in;

/// Largest schema file.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// Violations that a verdict names.
pub const VIOLATIONS_MAX: usize = 16;

/// Errors that are read from the validator before they are put in order: a list of a thousand wrong items
/// must not cost a thousand reports.
const ERRORS_READ_MAX: usize = 64;

/// The only dialect of JSON Schema that is taken.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Memory that one compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The schemas in force.
#[derive(Debug)]
pub struct Registry {
    schemas: BTreeMap<ChangeType, Schema>,
}

/// One schema in force.
#[derive(Debug)]
pub struct Schema {
    major: u32,
    version: String,
    document: Value,
    validator: Validator,
}

impl Schema {
    /// Major version, from the file's name.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// `<change type>.v<major>+sha256:<hex of the file>`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The schema itself.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

/// A schema file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} schema file {file}: {cause}", self.code())]
pub struct SchemaError {
    file: String,
    cause: String,
}

impl SchemaError {
    /// `WRIT-1006`.
    pub fn code(&self) -> Code {
        code::SCHEMA_INVALID
    }
}

impl Registry {
    /// The built-in schemas.
    pub fn built_in() -> Self {
        Self::from_files(std::iter::empty::<(&str, &[u8])>()).expect("the built-in schemas are tested")
    }

    /// The built-in schemas, replaced where `files` (name and content) has one for the same change type.
    /// Names are `<change type>.v<major>.json`; of several majors the highest is in force.
    pub fn from_files<N, B>(files: impl IntoIterator<Item = (N, B)>) -> Result<Self, SchemaError>
    where
        N: AsRef<str>,
        B: AsRef<[u8]>,
    {
        let mut schemas: BTreeMap<ChangeType, Schema> = BTreeMap::new();
        for (name, bytes) in files {
            let (change_type, schema) = load(name.as_ref(), bytes.as_ref())?;
            match schemas.get(&change_type) {
                Some(present) if present.major > schema.major => {}
                Some(_) | None => drop(schemas.insert(change_type, schema)),
            }
        }
        for change_type in ChangeType::ALL {
            if !schemas.contains_key(change_type) {
                let (name, text) = built_in::file_of(*change_type);
                schemas.insert(*change_type, load(name, text.as_bytes())?.1);
            }
        }
        Ok(Self { schemas })
    }

    /// The schema of a change type.
    pub fn schema(&self, change_type: ChangeType) -> &Schema {
        self.schemas.get(&change_type).expect("every change type has a schema")
    }

    /// Every schema in force, in change-type order.
    pub fn schemas(&self) -> impl Iterator<Item = (ChangeType, &Schema)> {
        self.schemas.iter().map(|(change_type, schema)| (*change_type, schema))
    }

    /// Checks an event's data against its change type's schema.
    pub fn check(&self, envelope: Envelope) -> Checked {
        let schema = self.schema(envelope.header.change_type);
        let version = schema.version.clone();
        let data = serde_json::to_value(&envelope.private.data).expect("names are text, so data are JSON");
        let schema = if schema.validator.is_valid(&data) {
            SchemaVerdict::Valid { version }
        } else {
            SchemaVerdict::Invalid { version, violations: violations(&schema.validator, &data) }
        };
        Checked { envelope, schema }
    }
}

fn violations(validator: &Validator, data: &Value) -> Vec<Violation> {
    let errors = validator.iter_errors(data).take(ERRORS_READ_MAX);
    let mut violations: Vec<Violation> = errors
        .map(|error| Violation {
            path: plain_path(error.instance_path().as_str()),
            keyword: error.kind().keyword().to_owned(),
        })
        .collect();
    violations.sort_by(|a, b| (&a.path, &a.keyword).cmp(&(&b.path, &b.keyword)));
    violations.dedup();
    violations.truncate(VIOLATIONS_MAX);
    violations
}

/// A JSON pointer without the names that do not look like a field's: those come from the data.
fn plain_path(pointer: &str) -> String {
    const NAME_BYTES_MAX: usize = 64;
    const NAME_DIGITS_MAX: usize = 8;
    let is_plain = |step: &&str| {
        let is_field = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let digits = step.bytes().filter(u8::is_ascii_digit).count();
        step.len() <= NAME_BYTES_MAX && digits <= NAME_DIGITS_MAX && step.bytes().all(is_field)
    };
    let steps = pointer.split('/').map(|step| if is_plain(&step) { step } else { "(name)" });
    steps.collect::<Vec<_>>().join("/")
}

fn load(name: &str, bytes: &[u8]) -> Result<(ChangeType, Schema), SchemaError> {
    let error = |cause: String| SchemaError { file: name.to_owned(), cause };
    let (change_type, major) = parse_name(name).ok_or_else(|| {
        error("the name is not <change type>.v<major>.json, such as email.v1.json".to_owned())
    })?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(error(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let document: Value = serde_json::from_slice(bytes).map_err(|e| error(format!("not JSON: {e}")))?;
    match document.get("$schema").map(Value::as_str) {
        None | Some(Some(DIALECT)) => {}
        Some(_) => return Err(error(format!("$schema must be {DIALECT}"))),
    }
    let validator = compile(&document).map_err(error)?;
    let version = format!("{change_type}.v{major}+sha256:{}", hex(&Sha256::digest(bytes)));
    Ok((change_type, Schema { major, version, document, validator }))
}

fn compile(document: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .offline();
    options.build(document).map_err(|e| format!("not a usable JSON Schema at {}: {e}", e.instance_path()))
}

fn parse_name(name: &str) -> Option<(ChangeType, u32)> {
    let (change_type, major) = name.strip_suffix(".json")?.split_once(".v")?;
    let is_canonical = major.starts_with(|c: char| ('1'..='9').contains(&c));
    Some((change_type.parse().ok()?, major.parse().ok().filter(|_| is_canonical)?))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string cannot fail");
        out
    })
}

#[cfg(test)]
mod tests;
