//! Nothing in the tree tells on the machine it was written on: no home or working folders, no temporary
//! paths in documents, no registry mirrors in cargo's settings.

use super::Finding;
use crate::tree::Tree;

/// This file has to name what it looks for.
const SELF: &str = "xtask/src/tidy/disclosure.rs";

const MACHINE_PATHS: &[&str] = &["/work/", "/root/", "/home/", "/Users/"];
const DOCUMENT_PATHS: &[&str] = &["/tmp/", "/var/folders/"];
const MIRROR_SETTINGS: &[&str] = &["replace-with", "[source.", "[registries", "registry ="];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let files = tree.iter().filter(|(path, _)| *path != SELF);
    files
        .flat_map(|(path, text)| {
            problems(path, text).into_iter().map(move |(line, what)| Finding::at(path, line, what))
        })
        .collect()
}

fn problems(path: &str, text: &str) -> Vec<(usize, String)> {
    let documents = if path.ends_with(".md") { DOCUMENT_PATHS } else { &[] };
    let mirrors = if path.starts_with(".cargo/") { MIRROR_SETTINGS } else { &[] };
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let machine = MACHINE_PATHS.iter().chain(documents).filter(|mark| begins_path(line, mark));
        let settings = mirrors.iter().filter(|mark| line.contains(**mark));
        found.extend(
            machine.chain(settings).map(|mark| (index + 1, format!("`{mark}` belongs to one machine"))),
        );
    }
    found
}

/// `/work/` at the start of a path, not inside a longer one or a URL.
fn begins_path(line: &str, mark: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || "._-}/:".contains(c);
    line.match_indices(mark).any(|(at, _)| !line[..at].chars().next_back().is_some_and(is_inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_and_urls_pass() {
        assert_eq!(problems("docs/a.md", "see docs/work/a.md and https://example.com/home/page\n"), []);
        assert_eq!(problems("crates/a.rs", "let a = \"/tmp/x\";\n"), []);
        assert_eq!(problems(".cargo/config.toml", "[alias]\n"), []);
    }

    #[test]
    fn machine_paths_and_mirrors_are_found() {
        assert_eq!(problems("crates/a.rs", "open(\"/root/a\")\n").len(), 1);
        assert_eq!(problems("docs/a.md", "cd /tmp/x\n").len(), 1);
        assert_eq!(problems(".cargo/config.toml", "[source.crates-io]\n").len(), 1);
    }
}
