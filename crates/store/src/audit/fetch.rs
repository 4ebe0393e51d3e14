//! An audit log's directory as the verifier reads it. Never writes, takes no lock.

use std::path::{Component, Path, PathBuf};

use writ_attest::verify::{Fetch, FetchError};

use super::files::present;

/// Objects of a directory in the C2SP layout.
#[derive(Debug, Clone)]
pub struct DirFetch {
    root: PathBuf,
}

impl DirFetch {
    /// Reads below this directory.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Fetch for DirFetch {
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let failed = |cause: String| FetchError { path: path.to_owned(), cause };
        let is_below = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below {
            return Err(failed("not a path below the audit log".to_owned()));
        }
        present(std::fs::read(self.root.join(path))).map_err(|error| failed(error.to_string()))
    }
}
