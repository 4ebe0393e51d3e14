//! Why the state store refused.

use writ_model::code::Code;

use crate::pairs::Fault;

/// The state store failed. `cause` names the directory and says how to recover.
#[derive(Debug, thiserror::Error)]
#[error("state: {tried}: {cause}")]
pub struct StateError {
    /// What was tried.
    pub tried: &'static str,
    /// What came back.
    pub cause: Fault,
}

impl StateError {
    /// The code of the page that says what to do.
    pub fn code(&self) -> Code {
        self.cause.code()
    }

    /// For `map_err`: the fault of what was `tried`.
    pub(crate) fn when(tried: &'static str) -> impl Fn(Fault) -> Self {
        move |cause| Self { tried, cause }
    }
}
