//! Exit codes and the error that carries one.

use std::fmt;
use std::process::ExitCode;

use writ_model::code::Code;

/// Something is wrong with what the user gave: configuration, arguments.
pub(crate) const BAD_INPUT: u8 = 2;
/// Something that is needed is not there: the engine, a database, a port.
pub(crate) const UNAVAILABLE: u8 = 3;
/// A check or a story did not hold.
pub(crate) const DOES_NOT_HOLD: u8 = 1;

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Option<Code>,
    text: String,
    exit: u8,
}

impl Failure {
    /// With a code that has a page under `docs/errors`.
    pub(crate) fn coded(code: Code, text: impl fmt::Display, exit: u8) -> Self {
        Self { code: Some(code), text: text.to_string(), exit }
    }

    /// Text that carries its own code, or needs none.
    pub(crate) fn plain(text: impl fmt::Display, exit: u8) -> Self {
        Self { code: None, text: text.to_string(), exit }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code} {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl From<writ_engine::error::EngineError> for Failure {
    fn from(error: writ_engine::error::EngineError) -> Self {
        let exit = if error.code.id < "WRIT-2000" { BAD_INPUT } else { UNAVAILABLE };
        Self::plain(error, exit)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::plain(error, UNAVAILABLE)
    }
}
