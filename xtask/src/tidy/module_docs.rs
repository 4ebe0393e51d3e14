//! Every Rust file opens with `//!` that says what it owns.

use super::Finding;
use crate::tree::Tree;

/// What a file says while nobody has written it yet.
const EMPTY_PHRASES: &[&str] = &["to be written", "stub"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter_map(|(path, text)| problem(text).map(|what| Finding::at(path, 1, what))).collect()
}

fn problem(text: &str) -> Option<String> {
    let doc: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let said = doc.join(" ").to_lowercase();
    if said.trim().is_empty() {
        return Some("open the file with `//!`: what it owns, what it does not".to_owned());
    }
    let phrase = EMPTY_PHRASES.iter().find(|phrase| said.trim_end_matches('.') == **phrase)?;
    Some(format!("the module says only \"{phrase}\"; write it or delete it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_says_what_it_owns_passes() {
        assert_eq!(problem("//! Owns the lanes.\n\nfn a() {}\n"), None);
    }

    #[test]
    fn a_file_without_a_module_doc_is_found() {
        assert!(problem("use std::fmt;\n//! Late.\n").is_some());
        assert!(problem("//!\n").is_some());
        assert!(problem("//! To be written.\n").is_some());
    }
}
