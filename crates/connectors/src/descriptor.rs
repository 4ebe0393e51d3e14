//! What a connector says of itself: all that configuration, command line, API, docs and contract suites read.

use writ_model::code::Code;
use writ_model::guarantee::Mechanism;
use writ_model::id::TenantId;
use writ_model::mapping::Tables;

use crate::secret::Secrets;
use crate::source::{PullSource, PushSource};
use crate::subscriber::Subscriber;

/// One connector.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// The word after `kind:` in `writ.yaml`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// How far it has been proven: `stable`, `verified: live`, `verified: docs`, `verified: memory`.
    pub stability: &'static str,
    /// Keys whose values are secret references (`env:NAME`, `file:PATH`), never values.
    pub secrets: &'static [&'static str],
    /// A commented example, valid YAML, of the connector's own keys.
    pub example: &'static str,
    /// Mechanisms of exactly-once that it can prove when it is configured so; none for sources.
    pub mechanisms: &'static [Provable],
    /// JSON Schema of the connector's own keys.
    pub config_schema: fn() -> serde_json::Value,
    /// How it is built.
    pub build: Build,
}

/// A mechanism that a connector can prove, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provable {
    /// Which.
    pub mechanism: Mechanism,
    /// What the operator has to configure or state for it; one line.
    pub needs: &'static str,
}

/// Makes a connector from its own keys.
pub type Constructor<T> = fn(&Context<'_>, serde_json::Value) -> Result<Box<T>, ConfigError>;

/// What kind of connector it is, and its constructor.
#[derive(Debug, Clone, Copy)]
pub enum Build {
    /// A source that Writ reads.
    Pull(Constructor<dyn PullSource>),
    /// A source that sends to Writ's HTTP intake.
    Push(Constructor<dyn PushSource>),
    /// A subscriber.
    Subscriber(Constructor<dyn Subscriber>),
}

/// What a constructor may use.
#[derive(Debug)]
pub struct Context<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The name in configuration.
    pub name: &'a str,
    /// The mapping of a source; empty for subscribers.
    pub tables: &'a Tables,
    /// Resolves secret references.
    pub secrets: &'a Secrets,
}

/// A connector's configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {cause}; {remedy}")]
pub struct ConfigError {
    /// Its code.
    pub code: Code,
    /// Dotted path below the connector.
    pub key: String,
    /// What is wrong. Never a secret.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}
