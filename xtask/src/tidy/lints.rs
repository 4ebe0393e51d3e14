//! A `clippy.toml` inside a crate replaces the root's, so it must repeat the root's entries; and every pure
//! crate has one.

use super::Finding;
use crate::tree::Tree;

const ROOT: &str = "clippy.toml";
const PURE: &[&str] = &["model", "schema", "kernel", "attest", "statutes", "report"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let entries = entries(tree.text(ROOT).unwrap_or_default());
    let mut findings = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with("/clippy.toml")) {
        let missing = entries.iter().filter(|entry| !text.lines().any(|line| line == **entry));
        findings.extend(missing.map(|entry| Finding::in_file(path, format!("repeat the root's `{entry}`"))));
    }
    let paths = PURE.iter().map(|name| format!("crates/{name}/clippy.toml"));
    let mut bans = paths.clone().filter_map(|path| tree.text(&path)).map(bans);
    if let Some(first) = bans.next()
        && bans.any(|other| other != first)
    {
        findings.push(Finding::in_file(
            "crates/kernel/clippy.toml",
            "the pure crates' bans differ; copy one to all",
        ));
    }
    let absent = paths.filter(|path| tree.text(path).is_none());
    findings.extend(
        absent.map(|path| Finding::in_file(&path, "missing; a pure crate bans clocks, files and hash order")),
    );
    findings
}

fn entries(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).collect()
}

fn bans(text: &str) -> &str {
    text.find("disallowed").map_or("", |at| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "limit = 70\n\ndisallowed-types = [\"A\"]\n";

    fn tree(root: &str, kernel: &str) -> Tree {
        Tree::of(&[
            (ROOT, root),
            ("crates/kernel/clippy.toml", kernel),
            ("crates/model/clippy.toml", ONE),
            ("crates/schema/clippy.toml", ONE),
            ("crates/attest/clippy.toml", ONE),
            ("crates/statutes/clippy.toml", ONE),
            ("crates/report/clippy.toml", ONE),
        ])
    }

    #[test]
    fn copies_that_repeat_the_root_pass() {
        assert_eq!(check(&tree("limit = 70\n", ONE)), []);
    }

    #[test]
    fn a_copy_that_drifted_is_found() {
        assert_eq!(check(&tree("limit = 80\n", ONE)).len(), 6);
        assert_eq!(check(&tree("limit = 70\n", "limit = 70\n\ndisallowed-types = []\n")).len(), 1);
    }

    #[test]
    fn a_pure_crate_without_one_is_found() {
        assert_eq!(check(&Tree::of(&[(ROOT, "")])).len(), 6);
    }
}
