//! Installs a pre-commit hook that runs what takes seconds: formatting and tidy.

use std::os::unix::fs::PermissionsExt;

use crate::tree::root;

const HOOK: &str = "\
#!/bin/sh
# Installed by `cargo xtask hooks`. Delete this file to be rid of it.
set -e
cargo fmt --all --check
cargo xtask tidy
";

/// Writes the hook. A hook that somebody else wrote is left as it is.
pub(crate) fn run() -> crate::Answer {
    let path = root().join(".git/hooks/pre-commit");
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if !found.is_empty() && !found.contains("cargo xtask hooks") {
        return Err(format!("{} was not written by this command; move it away first", path.display()));
    }
    let failed = |error: std::io::Error| format!("write {}: {error}", path.display());
    std::fs::write(&path, HOOK).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    println!("hooks: wrote {}", path.display());
    Ok(())
}
