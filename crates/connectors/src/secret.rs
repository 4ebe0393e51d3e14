//! Secret references: `env:NAME` and `file:PATH`, resolved once at start, never printed.
//!
//! A literal secret in `writ.yaml` is refused: configuration is committed, copied and logged.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use writ_model::code;

use crate::descriptor::ConfigError;

/// Longest secret that is read from a file, in bytes; a larger file is not a secret.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Resolves references. `base` is the folder of `writ.yaml`; relative paths start there.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The folder that relative `file:` references start from.
    pub base: PathBuf,
}

/// A resolved secret.
pub type Secret = SecretString;

impl Secrets {
    /// Resolves `reference`, which stands under `key` in the connector's configuration. One trailing line
    /// break of a file is not part of the secret.
    ///
    /// # Errors
    /// `SECRET_UNRESOLVED` when it is not a reference, or names nothing, or what it names is empty. The
    /// message holds the variable's or the file's name, never a value.
    pub fn resolve(&self, key: &str, reference: &str) -> Result<Secret, ConfigError> {
        let found = if let Some(name) = reference.strip_prefix("env:") {
            from_environment(name)
        } else if let Some(path) = reference.strip_prefix("file:") {
            from_file(&self.base.join(path))
        } else {
            Err("this is not a secret reference".to_owned())
        };
        match found {
            Ok(text) if text.is_empty() => Err(unresolved(key, "the secret is empty".to_owned())),
            Ok(text) => Ok(Secret::from(text)),
            Err(cause) => Err(unresolved(key, cause)),
        }
    }
}

fn unresolved(key: &str, cause: String) -> ConfigError {
    ConfigError {
        code: code::SECRET_UNRESOLVED,
        key: key.to_owned(),
        cause,
        remedy: "write `env:NAME` or `file:PATH` here and put the value there".to_owned(),
    }
}

fn from_environment(name: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(is_plain) {
        // Not printed: a value may have been pasted where a name belongs.
        return Err("what follows `env:` is not a variable name".to_owned());
    }
    std::env::var(name).map_err(|_| format!("environment variable {name} is not set to text"))
}

fn from_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("file {shown}: {}", error.kind()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("file {shown} is larger than {FILE_BYTES_MAX} bytes"));
    }
    let mut text =
        std::fs::read_to_string(path).map_err(|error| format!("file {shown}: {}", error.kind()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn in_folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("write");
        }
        let secrets = Secrets { base: folder.path().to_owned() };
        (folder, secrets)
    }

    #[test]
    fn a_file_reference_is_relative_to_the_configuration_and_loses_one_line_break() {
        let (_folder, secrets) = in_folder(&[("key", "s3cret\n\n")]);
        let secret = secrets.resolve("secret", "file:key").expect("resolves");
        assert_eq!(secret.expose_secret(), "s3cret\n");
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn an_environment_reference_reads_the_variable() {
        let (_folder, secrets) = in_folder(&[]);
        let secret = secrets.resolve("secret", "env:PATH").expect("PATH is set wherever tests run");
        assert!(!secret.expose_secret().is_empty());
    }

    #[test]
    fn a_literal_is_refused_and_never_printed() {
        let (_folder, secrets) = in_folder(&[("empty", "\n")]);
        for reference in
            ["whsec_hunter2", "env:hunter2 hunter2", "env:WRIT_NOT_SET_HERE", "file:absent", "file:empty"]
        {
            let error = secrets.resolve("secret", reference).expect_err(reference);
            assert_eq!(error.code, code::SECRET_UNRESOLVED);
            assert_eq!(error.key, "secret");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
