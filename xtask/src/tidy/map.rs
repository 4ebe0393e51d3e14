//! ARCHITECTURE.md is true: every path it names exists, every crate and top folder is named in it
//! (folders that begin with a dot hold the settings of tools, and need no place on the map).

use super::Finding;
use crate::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(MAP) else {
        return vec![Finding::in_file(MAP, "missing")];
    };
    let named: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .flat_map(|(index, line)| line.split('`').skip(1).step_by(2).map(move |word| (index + 1, word)))
        .collect();
    let top = tree.folders_in("");
    let dead = named.iter().filter(|(_, word)| looks_like_path(word, &top) && !tree.has(word));
    let dead = dead.map(|(line, word)| Finding::at(MAP, *line, format!("`{word}` does not exist")));

    let crates = tree.folders_in("crates/").into_iter().map(|name| format!("crates/{name}"));
    let folders = top.iter().filter(|folder| *folder != "crates" && !folder.starts_with('.')).cloned();
    let is_named = |wanted: &str| named.iter().any(|(_, word)| word.trim_end_matches('/') == wanted);
    let missing = crates.chain(folders).filter(|wanted| !is_named(wanted));
    let missing = missing.map(|wanted| Finding::in_file(MAP, format!("`{wanted}` is not on the map")));
    dead.chain(missing).collect()
}

fn looks_like_path(word: &str, top: &[String]) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let Some((first, _)) = word.split_once('/') else { return false };
    word.chars().all(is_plain)
        && (top.iter().any(|folder| folder == first) || word.ends_with(".md") || word.ends_with(".rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) = ("crates/kernel/src/lib.rs", "");

    fn findings(map: &str) -> usize {
        check(&Tree::of(&[(MAP, map), SOURCE, ("docs/guide/README.md", "")])).len()
    }

    #[test]
    fn a_map_that_names_what_exists_passes() {
        assert_eq!(findings("`crates/kernel`, `docs/`, `crates/kernel/src/lib.rs`, `(now, fact)`, `a/b`"), 0);
    }

    #[test]
    fn a_dead_path_or_an_unnamed_room_is_found() {
        assert_eq!(findings("`crates/kernel` `docs` `crates/kernel/src/gone.rs`"), 1);
        assert_eq!(findings("`docs`"), 1);
        assert_eq!(findings("`crates/kernel`"), 1);
    }
}
