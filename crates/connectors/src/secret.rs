//! Secret references: `env:NAME` and `file:PATH`, resolved once at start, never printed.

use secrecy::SecretString;

/// Resolves references. `base` is the folder of `writ.yaml`; relative paths start there.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The folder that relative `file:` references start from.
    pub base: std::path::PathBuf,
}

/// A resolved secret.
pub type Secret = SecretString;
