//! Every error code has a page under its name, with its title and the three answers; and no page is orphaned.

use super::Finding;
use crate::tree::Tree;

const LIST: &str = "crates/model/src/code.rs";
const FOLDER: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";
const SECTIONS: &[&str] = &["## Cause", "## What to check", "## How to recover"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree.text(LIST).unwrap_or_default());
    let index = tree.text(INDEX).unwrap_or_default();
    let mut findings = Vec::new();
    for (id, title) in &codes {
        let page = format!("{FOLDER}{id}.md");
        match tree.text(&page) {
            Some(text) => {
                findings.extend(page_problems(text, id, title).map(|what| Finding::in_file(&page, what)))
            }
            None => findings.push(Finding::in_file(&page, "missing; every code has a page")),
        }
        if !index.contains(&format!("]({id}.md) | {title} |")) {
            findings.push(Finding::in_file(INDEX, format!("no row for {id} with the title \"{title}\"")));
        }
    }
    let is_known = |file: &str| codes.iter().any(|(id, _)| file == format!("{id}.md"));
    let pages = tree.below(FOLDER).map(|(path, _)| path).filter(|path| *path != INDEX);
    let orphans = pages.filter(|path| !is_known(&path[FOLDER.len()..]));
    findings.extend(orphans.map(|path| Finding::in_file(path, format!("no such code in {LIST}"))));
    findings
}

fn page_problems<'a>(text: &'a str, id: &str, title: &str) -> impl Iterator<Item = String> + 'a {
    let heading = format!("# {id}: {title}");
    let wanted = std::iter::once(heading).chain(SECTIONS.iter().map(|section| (*section).to_owned()));
    wanted.filter(|line| !text.lines().any(|found| found == line)).map(|line| format!("no line `{line}`"))
}

/// Ids and titles, in order of declaration.
fn codes(list: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let mut quoted = line.split('"').skip(1).step_by(2);
        let (id, title) = (quoted.next()?, quoted.next()?);
        (line.contains(" = \"WRIT-") && line.ends_with(';')).then(|| (id.to_owned(), title.to_owned()))
    };
    list.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: (&str, &str) = (LIST, "    DISK_FULL = \"WRIT-5001\", \"the disk is full\";\n");
    const PAGE: &str = "# WRIT-5001: the disk is full\n## Cause\n## What to check\n## How to recover\n";
    const ROW: &str = "# Errors\n| [WRIT-5001](WRIT-5001.md) | the disk is full |\n";

    #[test]
    fn a_code_with_its_page_and_row_passes() {
        assert_eq!(check(&Tree::of(&[ONE, ("docs/errors/WRIT-5001.md", PAGE), (INDEX, ROW)])), []);
    }

    #[test]
    fn a_missing_page_and_an_orphan_are_found() {
        let found = check(&Tree::of(&[ONE, ("docs/errors/WRIT-9999.md", PAGE), (INDEX, ROW)]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_page_that_drifted_is_found() {
        let page = PAGE.replace("full", "nearly full").replace("## Cause\n", "");
        assert_eq!(check(&Tree::of(&[ONE, ("docs/errors/WRIT-5001.md", &page), (INDEX, ROW)])).len(), 2);
    }
}
