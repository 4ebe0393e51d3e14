//! Pure crates mention no clock, file, socket, thread, environment, async or hash order. Clippy says the
//! same of types and methods; this also sees imports, macros and syntax. Tests are exempt.

use super::Finding;
use crate::source;
use crate::tree::Tree;

const FOLDERS: &[&str] = &[
    "crates/model/src/",
    "crates/schema/src/",
    "crates/kernel/src/",
    "crates/attest/src/",
    "crates/statutes/src/",
    "crates/report/src/",
];

/// A mention and the reason why it is not allowed.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files belong to the store"),
    ("std::net", "sockets belong to connectors"),
    ("std::env", "settings are arguments"),
    ("std::thread", "threads belong to the engine"),
    ("std::process", "processes belong to the command line"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("Timestamp::now", "time is an argument"),
    ("Zoned::now", "time is an argument"),
    ("TimeZone::get", "the machine's zones are a file"),
    ("TimeZone::system", "settings are arguments"),
    ("now_v7", "ids derive from their inputs"),
    ("HashMap", "use BTreeMap: order must not depend on a hash"),
    ("HashSet", "use BTreeSet: order must not depend on a hash"),
    ("tokio::", "a machine never waits"),
    ("async fn", "a machine never waits"),
    (".await", "a machine never waits"),
    ("rand::", "randomness is an argument"),
    ("getrandom", "randomness is an argument"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_pure = |path: &str| FOLDERS.iter().any(|folder| path.starts_with(folder));
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    let files = tree.rust().filter(|(path, _)| is_pure(path) && !is_test(path));
    files
        .flat_map(|(path, text)| {
            problems(text).into_iter().map(move |(line, what)| Finding::at(path, line, what))
        })
        .collect()
}

fn problems(text: &str) -> Vec<(usize, String)> {
    let code = source::without_tests(&source::layers(text).code);
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let hits = IMPURE.iter().filter(|(mention, _)| line.contains(mention));
        found.extend(
            hits.map(|(mention, reason)| (index + 1, format!("`{mention}` in a pure crate: {reason}"))),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_passes() {
        let text =
            "// Not SystemTime.\nuse std::collections::BTreeMap;\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(problems(text), []);
    }

    #[test]
    fn a_clock_or_a_file_is_found() {
        assert_eq!(problems("let a = 1;\nlet now = Instant::now();\n")[0].0, 2);
        assert_eq!(problems("use std::fs::File;\n").len(), 1);
        assert_eq!(problems("use std::collections::{HashMap, HashSet};\n").len(), 2);
    }

    #[test]
    fn other_crates_may_do_it() {
        let tree = Tree::of(&[
            ("crates/store/src/lib.rs", "use std::fs;"),
            ("crates/kernel/src/a.rs", "use std::fs;"),
        ]);
        assert_eq!(check(&tree).len(), 1);
    }
}
