//! A policy bundle: its files, its version, and the compiled program.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use regorus::PolicyLengthConfig;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use sha2::{Digest, Sha256};
use writ_model::verdict::PolicyVersion;

use crate::{Engine, PolicyError, builtins};

/// The rule that a bundle answers with: `package writ`, rule `decision`.
pub const ENTRY: &str = "data.writ.decision";

/// The one JSON file of a bundle, at its root; its members are under `data`.
pub const DATA_FILE: &str = "data.json";

/// Most files of one bundle.
pub const FILES_MAX: usize = 256;

/// Largest file of a bundle.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Longest policy, in lines and columns.
const LINES_MAX: usize = 20_000;
const COLUMNS_MAX: u32 = 1024;

/// A bundle that compiles, or none. Cheap to share; each thread that decides takes an [`Engine`] of its own.
#[derive(Debug, Clone)]
pub struct Bundle {
    version: PolicyVersion,
    program: Option<Arc<Program>>,
    data: regorus::Value,
    files: Vec<(String, String)>,
}

impl Bundle {
    /// No policy: everything is cleared. What the gate itself does (schemas, card numbers) stays.
    pub fn none() -> Self {
        let version = PolicyVersion(format!("none@sha256:{}", hex(&digest(&[]))).into());
        Self { version, program: None, data: regorus::Value::new_object(), files: Vec::new() }
    }

    /// Compiles a bundle from its files (path inside the bundle and content): `*.rego`, and [`DATA_FILE`] at
    /// the root. Other files are left alone. Files that end in `_test.rego` are for [`Bundle::test`]: they
    /// neither decide nor count in the version.
    pub fn load<P, T>(name: &str, files: impl IntoIterator<Item = (P, T)>) -> Result<Self, PolicyError>
    where
        P: Into<String>,
        T: Into<String>,
    {
        let mut files: Vec<(String, String)> = files.into_iter().map(|(p, t)| (p.into(), t.into())).collect();
        files.retain(|(path, _)| is_rego(path) || path == DATA_FILE);
        files.sort();
        check_sizes(&files)?;
        let (policies, data) = read(&files)?;
        if policies.is_empty() {
            return Err(PolicyError::bundle("there is no .rego file beside tests"));
        }
        let mut engine = rego_engine(&policies, &data)?;
        let compiled = engine.compile_with_entrypoint(&ENTRY.into()).map_err(|e| {
            PolicyError::bundle(format!("does not compile with the rule {ENTRY}: {}", first_line(&e)))
        })?;
        let program = Compiler::compile_from_policy(&compiled, &[ENTRY])
            .map_err(|e| PolicyError::bundle(format!("does not compile: {}", first_line(&e))))?;
        // The engine takes data only where no rule has the same path; found out here, not at the first event.
        let mut machine = RegoVM::new();
        machine.load_program(program.clone());
        machine.set_data(data.clone()).map_err(|e| PolicyError::file(DATA_FILE, first_line(&e)))?;
        let deciding: Vec<_> = files.iter().filter(|(path, _)| !is_test(path)).collect();
        let version = PolicyVersion(format!("{name}@sha256:{}", hex(&digest(&deciding))).into());
        Ok(Self { version, program: Some(program), data, files })
    }

    /// `<name>@sha256:<hex>`: over every file that can change a decision, paths included.
    pub fn version(&self) -> &PolicyVersion {
        &self.version
    }

    /// An engine for one thread.
    pub fn engine(&self) -> Engine {
        Engine::new(self.version.clone(), self.program.clone(), self.data.clone())
    }

    pub(crate) fn data(&self) -> &regorus::Value {
        &self.data
    }

    pub(crate) fn files(&self) -> &[(String, String)] {
        &self.files
    }
}

fn is_rego(path: &str) -> bool {
    path.ends_with(".rego")
}

pub(crate) fn is_test(path: &str) -> bool {
    path.ends_with("_test.rego")
}

fn check_sizes(files: &[(String, String)]) -> Result<(), PolicyError> {
    if files.len() > FILES_MAX {
        return Err(PolicyError::bundle(format!("more than {FILES_MAX} files")));
    }
    if let Some((path, _)) = files.iter().find(|(_, text)| text.len() > FILE_BYTES_MAX) {
        return Err(PolicyError::file(path, format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    if let Some(pair) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(PolicyError::file(&pair[0].0, "given twice"));
    }
    Ok(())
}

/// The deciding policies, and the data.
type Read<'a> = (Vec<&'a (String, String)>, regorus::Value);

fn read(files: &[(String, String)]) -> Result<Read<'_>, PolicyError> {
    let mut data = regorus::Value::new_object();
    for (path, text) in files {
        if is_rego(path) {
            builtins::check(path, text)?;
        } else {
            data = regorus::Value::from_json_str(text).map_err(|_| PolicyError::file(path, "not JSON"))?;
            data.as_object().map_err(|_| PolicyError::file(path, "not a JSON object"))?;
        }
    }
    Ok((files.iter().filter(|(path, _)| is_rego(path) && !is_test(path)).collect(), data))
}

/// The library's engine with these policies, and our limits.
pub(crate) fn rego_engine(
    policies: &[&(String, String)],
    data: &regorus::Value,
) -> Result<regorus::Engine, PolicyError> {
    let mut engine = regorus::Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::new(COLUMNS_MAX).expect("not zero"),
        max_file_bytes: NonZeroUsize::new(FILE_BYTES_MAX).expect("not zero"),
        max_lines: NonZeroUsize::new(LINES_MAX).expect("not zero"),
    });
    for (path, text) in policies {
        let added = engine.add_policy(path.clone(), text.clone());
        added.map_err(|e| PolicyError::file(path, first_line(&e)))?;
    }
    let added = engine.add_data(data.clone());
    added.map_err(|e| PolicyError::file(DATA_FILE, first_line(&e)))?;
    Ok(engine)
}

/// The line of a library's error that says what is wrong; the rest is the policy's text around it.
pub(crate) fn first_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let telling = |line: &&str| line.contains("error:");
    let line = text.lines().find(telling).or_else(|| text.lines().find(|line| !line.trim().is_empty()));
    let place = text.lines().find_map(|line| line.trim().strip_prefix("--> "));
    let line = line.unwrap_or("no reason given").trim();
    place.map_or_else(|| line.to_owned(), |place| format!("{place}: {line}"))
}

/// Over the number of files, and each path and content with its length.
fn digest(files: &[&(String, String)]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((files.len() as u64).to_be_bytes());
    for part in files.iter().flat_map(|(path, text)| [path, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string cannot fail");
        out
    })
}
