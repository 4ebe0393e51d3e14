//! The files that the checks read: what git tracks or would track, as paths from the root and texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Text files by path from the root, with forward slashes. Binary files have an empty text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// The files of the repository, tracked and untracked, but not the ignored ones.
    pub(crate) fn of_repository() -> Result<Self, String> {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root())
            .output()
            .map_err(|error| format!("git ls-files: {error}; install git"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim()));
        }
        let mut files = BTreeMap::new();
        for path in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|path| !path.is_empty()) {
            // A file that was deleted, or that another process is replacing, is simply not there.
            if let Ok(bytes) = std::fs::read(root().join(path)) {
                files.insert(path.to_owned(), String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(Self { files })
    }

    /// A tree made of samples.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }

    /// Every path and text, in path order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// Paths and texts below a folder (which ends with a slash).
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(move |(path, _)| path.starts_with(folder))
    }

    /// One file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// There is such a file, or a folder that holds one.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path) || self.below(&folder).next().is_some()
    }

    /// The names of the folders right below a folder (which ends with a slash, or is empty for the root).
    pub(crate) fn folders_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .below(folder)
            .filter_map(|(path, _)| path[folder.len()..].split_once('/'))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }
}

/// The root of the repository: the parent of this crate.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask is a folder of the repository").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_exists_when_it_holds_a_file() {
        let tree = Tree::of(&[("docs/adr/README.md", "")]);
        assert!(tree.has("docs/adr/") && tree.has("docs") && tree.has("docs/adr/README.md"));
        assert!(!tree.has("docs/ad"));
        assert_eq!(tree.folders_in("docs/"), ["adr"]);
    }
}
