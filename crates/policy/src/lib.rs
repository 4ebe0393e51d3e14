//! What does the operator's policy say? Loads a Rego bundle, runs it on an event's input document, and reads
//! the answer. What a verdict means is decided in `writ-kernel`'s gate; ADR 0011 says why it is so split.
//!
//! ```no_run
//! let files = [("policy.rego", std::fs::read_to_string("policies/default/policy.rego").expect("a file"))];
//! let bundle = writ_policy::Bundle::load("default", files).expect("a bundle");
//! let verdict = bundle.engine().verdict(&serde_json::json!({"change_type": "email"}));
//! ```

mod answer;
mod builtins;
mod bundle;
mod engine;
mod input;
mod trial;

pub use bundle::{Bundle, DATA_FILE, ENTRY, FILE_BYTES_MAX, FILES_MAX};
pub use engine::{Engine, INSTRUCTIONS_MAX, TIME_MAX};
pub use trial::{Trial, TrialResult};

use writ_model::code::{self, Code};

/// A bundle that cannot be used, or one evaluation that failed. Names files, lines and rules; never the
/// input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {kind}", self.code())]
pub struct PolicyError {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("policy file {file}: {cause}")]
    File { file: String, cause: String },
    #[error(
        "policy file {file}, line {line}: {name} is not available: {why}; decide from the input document, or \
         put the fact into data.json"
    )]
    Builtin { file: String, line: usize, name: String, why: &'static str },
    #[error("policy bundle: {0}")]
    Bundle(String),
    #[error("policy evaluation failed: {0}")]
    Evaluation(String),
    #[error("the policy's decision cannot be read: {0}")]
    Answer(String),
}

impl PolicyError {
    fn file(file: &str, cause: impl Into<String>) -> Self {
        Self { kind: Kind::File { file: file.to_owned(), cause: cause.into() } }
    }

    fn bundle(cause: impl Into<String>) -> Self {
        Self { kind: Kind::Bundle(cause.into()) }
    }

    fn evaluation(cause: impl Into<String>) -> Self {
        Self { kind: Kind::Evaluation(cause.into()) }
    }

    fn answer(cause: impl Into<String>) -> Self {
        Self { kind: Kind::Answer(cause.into()) }
    }

    /// `WRIT-1007`.
    pub fn code(&self) -> Code {
        code::POLICY_INVALID
    }
}

#[cfg(test)]
mod tests;
