//! Changelog fragments are named `<slug>.<kind>.md` and are not empty.

use super::Finding;
use crate::tree::Tree;

const FOLDER: &str = "changelog.d/";
const KINDS: &[&str] = &["added", "changed", "fixed", "security", "removed"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let fragments = tree.below(FOLDER).filter(|(path, _)| *path != "changelog.d/README.md");
    fragments
        .filter_map(|(path, text)| {
            problem(&path[FOLDER.len()..], text).map(|what| Finding::in_file(path, what))
        })
        .collect()
}

fn problem(file: &str, text: &str) -> Option<String> {
    let parts: Vec<&str> = file.split('.').collect();
    let is_slug = |slug: &str| {
        !slug.is_empty() && slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    match parts.as_slice() {
        [slug, kind, "md"] if is_slug(slug) && KINDS.contains(kind) => {
            text.trim().is_empty().then(|| "the fragment is empty".to_owned())
        }
        _ => Some(format!("name it <words-with-dashes>.<kind>.md with a kind of {KINDS:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_fragment_passes() {
        assert_eq!(problem("card-numbers.added.md", "Card numbers are quarantined.\n"), None);
    }

    #[test]
    fn an_unknown_kind_an_odd_name_or_an_empty_text_is_found() {
        assert!(problem("card-numbers.improved.md", "x").is_some());
        assert!(problem("Card.added.md", "x").is_some());
        assert!(problem("card.added.md", " \n").is_some());
    }
}
