//! Every test that the table of known defects names is there, in the file that it names.

use super::Finding;
use crate::tree::Tree;

const PAGE: &str = "docs/reference/known-defects.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rows = tree.text(PAGE).unwrap_or_default().lines().enumerate();
    let rows = rows.filter_map(|(number, line)| Some((number + 1, row(line)?)));
    let missing = rows.filter(|(_, (test, file))| !has(tree, file, test));
    let finding = |(number, (test, file))| Finding::at(PAGE, number, format!("no test {test} in {file}"));
    missing.map(finding).collect()
}

/// The test and the file of a row: its last two cells.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.rsplit('|');
    let file = quoted(cells.next()?)?;
    Some((quoted(cells.next()?)?, file))
}

fn quoted(cell: &str) -> Option<&str> {
    cell.trim().strip_prefix('`')?.strip_suffix('`')
}

fn has(tree: &Tree, file: &str, test: &str) -> bool {
    tree.text(file).is_some_and(|text| text.contains(&format!("fn {test}(")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(row: &str) -> usize {
        let page =
            format!("# Known defects\n\n| defect | where it was | test | file |\n|---|---|---|---|\n{row}\n");
        check(&Tree::of(&[(PAGE, page.as_str()), ("a.rs", "fn it_holds() {}\n")])).len()
    }

    #[test]
    fn a_test_that_is_there_passes() {
        assert_eq!(findings("| d | P #1 | `it_holds` | `a.rs` |"), 0);
    }

    #[test]
    fn a_test_or_a_file_that_is_missing_is_found() {
        assert_eq!(findings("| d | P #1 | `it_holds_no_more` | `a.rs` |"), 1);
        assert_eq!(findings("| d | P #1 | `it_holds` | `b.rs` |"), 1);
    }
}
