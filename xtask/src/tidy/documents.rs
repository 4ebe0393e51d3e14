//! Every Markdown document has exactly one title, and it comes first.

use super::Finding;
use crate::tree::Tree;

/// Changelog fragments are lines of a list, not documents.
const FRAGMENTS: &str = "changelog.d/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = tree.iter().filter(|(path, _)| path.ends_with(".md") && !path.starts_with(FRAGMENTS));
    documents.filter_map(|(path, text)| problem(text).map(|what| Finding::in_file(path, what))).collect()
}

fn problem(text: &str) -> Option<String> {
    let titles = prose(text).filter(|line| line.starts_with("# ")).count();
    let is_first =
        text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("# "));
    match (titles, is_first) {
        (1, true) => None,
        (1, false) => Some("the title is not the first line".to_owned()),
        (count, _) => Some(format!("{count} titles; one document, one `# ` line")),
    }
}

/// The lines outside code fences.
pub(super) fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_title_passes_and_shell_comments_are_not_titles() {
        assert_eq!(problem("# Title\n\n```sh\n# a comment\n```\n"), None);
    }

    #[test]
    fn none_or_two_or_a_late_title_is_found() {
        assert!(problem("Some text.\n").is_some());
        assert!(problem("# One\n# Two\n").is_some());
        assert!(problem("text\n# Title\n").is_some());
    }
}
