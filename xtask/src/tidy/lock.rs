//! The lock file stays small, and every package in it comes from crates.io.

use super::Finding;
use crate::tree::Tree;

const LOCK: &str = "Cargo.lock";

/// Raising this is a decision (ADR 0018): say in the commit what the new packages buy.
const PACKAGES_MAX: usize = 400;

const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.text(LOCK).map_or_else(Vec::new, |text| problems(text, PACKAGES_MAX))
}

fn problems(text: &str, packages_max: usize) -> Vec<Finding> {
    let packages = text.lines().filter(|line| *line == "[[package]]").count();
    let foreign =
        text.lines().enumerate().filter(|(_, line)| line.starts_with("source = ") && *line != CRATES_IO);
    let mut findings: Vec<Finding> =
        foreign.map(|(index, line)| Finding::at(LOCK, index + 1, format!("{line}: not crates.io"))).collect();
    if packages > packages_max {
        findings.push(Finding::in_file(LOCK, format!("{packages} packages, at most {packages_max}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_packages_from_crates_io_pass() {
        assert_eq!(problems(&format!("[[package]]\nname = \"a\"\n{CRATES_IO}\n"), 1), []);
    }

    #[test]
    fn one_too_many_or_a_git_source_is_found() {
        assert_eq!(problems("[[package]]\n[[package]]\n", 1).len(), 1);
        assert_eq!(problems("[[package]]\nsource = \"git+https://example.com/a\"\n", 1).len(), 1);
    }
}
