//! The rules of the house that are neither the compiler's nor clippy's, each with a good and a bad sample.
//!
//! `cargo xtask tidy` and `cargo test -p xtask` run them all. A finding names the file, the line and the
//! remedy. There is no baseline: a rule that cannot hold everywhere is changed, not exempted.

mod adr;
mod changelog;
mod codes;
mod connectors;
mod defects;
mod disclosure;
mod documents;
mod edges;
mod lengths;
mod licences;
mod lints;
mod lock;
mod map;
mod module_docs;
mod purity;
mod words;

use std::fmt;

use cargo_metadata::{Metadata, MetadataCommand};

use crate::tree::{Tree, root};

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// A finding about a whole file.
    fn in_file(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }

    /// A finding about one line, from 1.
    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Checks that read files only.
const FILE_CHECKS: &[fn(&Tree) -> Vec<Finding>] = &[
    adr::check,
    changelog::check,
    codes::check,
    connectors::check,
    defects::check,
    disclosure::check,
    documents::check,
    lengths::check,
    lints::check,
    lock::check,
    map::check,
    module_docs::check,
    purity::check,
    words::check,
];

/// Checks that read what cargo knows of the dependencies.
const GRAPH_CHECKS: &[fn(&Tree, &Metadata) -> Vec<Finding>] = &[edges::check, licences::check];

/// Runs every check and prints what is wrong.
pub(crate) fn run() -> crate::Answer {
    let findings = findings()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    for age in crate::soak::ages() {
        println!("note: {age}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} checks, nothing found", FILE_CHECKS.len() + GRAPH_CHECKS.len());
            Ok(())
        }
        count => {
            Err(format!("tidy: {count} findings; STYLE.md and docs/adr/0017-the-house.md have the reasons"))
        }
    }
}

fn findings() -> Result<Vec<Finding>, String> {
    let tree = Tree::of_repository()?;
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .exec()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut findings: Vec<Finding> = FILE_CHECKS.iter().flat_map(|check| check(&tree)).collect();
    findings.extend(GRAPH_CHECKS.iter().flat_map(|check| check(&tree, &metadata)));
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let findings = findings().expect("the checks run");
        let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(list.is_empty(), "{} findings:\n{}", list.len(), list.join("\n"));
    }
}
