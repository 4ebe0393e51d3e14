//! Decision records are numbered without gaps, have their sections, and are all in the index.

use super::Finding;
use crate::tree::Tree;

const FOLDER: &str = "docs/adr/";
const INDEX: &str = "docs/adr/README.md";
const SECTIONS: &[&str] = &["## Context", "## Decision", "## Consequences"];

/// One of these, so that a reader knows what a new argument has to be better than.
const OUTLOOK: &[&str] = &["## Reconsider when", "## Rejected"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let index = tree.text(INDEX).unwrap_or_default();
    let mut findings = Vec::new();
    let mut expected = 1;
    for (path, text) in tree.below(FOLDER).filter(|(path, _)| *path != INDEX) {
        let file = &path[FOLDER.len()..];
        match number(file) {
            Some(number) if number == expected => expected += 1,
            Some(number) => {
                findings
                    .push(Finding::in_file(path, format!("number {number:04}, but {expected:04} is next")));
                expected = number + 1;
            }
            None => findings.push(Finding::in_file(path, "name it NNNN-words-with-dashes.md")),
        }
        if !index.contains(&format!("]({file})")) {
            findings.push(Finding::in_file(INDEX, format!("no link to {file}")));
        }
        let has = |section: &&&str| text.lines().any(|line| line == **section);
        if !OUTLOOK.iter().any(|section| has(&section)) {
            findings.push(Finding::in_file(path, format!("has none of the sections {OUTLOOK:?}")));
        }
        let missing = SECTIONS.iter().filter(|section| !has(section));
        findings.extend(missing.map(|section| Finding::in_file(path, format!("no section `{section}`"))));
    }
    findings.extend(dead_links(tree, index));
    findings
}

fn dead_links(tree: &Tree, index: &str) -> Vec<Finding> {
    let links = index.split("](").skip(1).filter_map(|after| after.split_once(')')).map(|(link, _)| link);
    let dead = links.filter(|link| number(link).is_some() && tree.text(&format!("{FOLDER}{link}")).is_none());
    dead.map(|link| Finding::in_file(INDEX, format!("{link} does not exist"))).collect()
}

/// The number of `0004-chain-of-types.md`.
fn number(file: &str) -> Option<u32> {
    let (digits, words) = file.strip_suffix(".md")?.split_once('-')?;
    let is_plain = words.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (digits.len() == 4 && is_plain).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "# A\n## Context\n## Decision\n## Consequences\n## Reconsider when\n";

    #[test]
    fn numbered_and_indexed_records_pass() {
        let index = "# Index\n[0001](0001-first.md)\n[0002](0002-second.md)\n";
        let tree =
            Tree::of(&[(INDEX, index), ("docs/adr/0001-first.md", BODY), ("docs/adr/0002-second.md", BODY)]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn gaps_strays_and_dead_links_are_found() {
        let index = "# Index\n[0002](0002-second.md) [0003](0003-gone.md)\n";
        let tree =
            Tree::of(&[(INDEX, index), ("docs/adr/0002-second.md", BODY), ("docs/adr/notes.md", "# N\n")]);
        let found = check(&tree);
        let said = |words: &str| found.iter().any(|finding| finding.what.contains(words));
        assert!(
            said("0001 is next")
                && said("does not exist")
                && said("NNNN")
                && said("no link")
                && said("## Context")
        );
    }
}
