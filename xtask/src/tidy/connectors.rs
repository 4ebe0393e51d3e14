//! No connector is named outside its own folder and the generated registry: a layer that knows a name
//! has a `match` on it, and the next connector needs an edit there.

use super::Finding;
use crate::source;
use crate::tree::Tree;

const KINDS: &[&str] = &["crates/connectors/src/sources/", "crates/connectors/src/subscribers/"];

/// Written by `cargo xtask codegen`.
const REGISTRY: &str = "crates/connectors/src/registry.rs";

/// A file that may hold a connector's name as a word, and why. An entry that matches nothing fails.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("crates/cli/src/bench/capture.rs", "postgres", "the benchmark captures from this source"),
    ("crates/cli/src/bench/engine.rs", "cloudevents", "the benchmark feeds the engine through this intake"),
    ("crates/cli/src/bench/engine.rs", "webhook", "the benchmark measures deliveries over HTTP"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, ALLOWED)
}

fn check_with(tree: &Tree, allowed: &[(&str, &str, &str)]) -> Vec<Finding> {
    let connectors: Vec<(String, String)> = KINDS
        .iter()
        .flat_map(|kind| tree.folders_in(kind).into_iter().map(move |name| (format!("{kind}{name}/"), name)))
        .collect();
    let mut findings = Vec::new();
    let mut used = vec![false; allowed.len()];
    for (path, text) in tree.rust().filter(|(path, _)| is_layer(path)) {
        for (line, word) in quoted_words(text) {
            let Some((_, name)) = connectors.iter().find(|(_, name)| *name == word) else { continue };
            let is_own = |(own, known): &(String, String)| *known == word && path.starts_with(own.as_str());
            if connectors.iter().any(is_own) {
                continue;
            }
            match allowed.iter().position(|(file, known, _)| *file == path && known == name) {
                Some(entry) => used[entry] = true,
                None => findings.push(Finding::at(
                    path,
                    line,
                    format!("names the connector \"{name}\"; read its descriptor"),
                )),
            }
        }
    }
    let stale = allowed.iter().zip(used).filter(|(_, used)| !used);
    findings.extend(stale.map(|((file, name, _), _)| {
        Finding::in_file(
            file,
            format!("no longer names \"{name}\": delete the entry in xtask's connectors check"),
        )
    }));
    findings
}

/// Crates that exist for tests.
const TEST_CRATES: &[&str] = &["crates/sim/", "crates/testkit/"];

/// Sources of the rooms; tests, benches and this crate may name a connector.
fn is_layer(path: &str) -> bool {
    let is_test_file = path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/contract/");
    let is_test = is_test_file || TEST_CRATES.iter().any(|folder| path.starts_with(folder));
    path.starts_with("crates/") && path.contains("/src/") && path != REGISTRY && !is_test
}

/// String literals that are one word, with their lines; test modules excluded.
fn quoted_words(text: &str) -> Vec<(usize, String)> {
    let tests_begin = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let literals = source::layers(&text[..tests_begin]).literals;
    let mut words = Vec::new();
    for (index, line) in literals.lines().enumerate() {
        let quoted = line.split_whitespace().filter_map(|token| token.strip_prefix('"')?.strip_suffix('"'));
        words.extend(quoted.map(|word| (index + 1, word.to_owned())));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: (&str, &str) =
        ("crates/connectors/src/sources/orders/mod.rs", "const NAME: &str = \"orders\";\n");
    const LEAK: (&str, &str) = ("crates/engine/src/start.rs", "if kind == \"orders\" {}\n");

    #[test]
    fn a_connector_may_name_itself() {
        let other = ("crates/engine/src/start.rs", "// orders\nlet a = \"the orders table\";\n");
        assert_eq!(check_with(&Tree::of(&[OWN, other]), &[]), []);
    }

    #[test]
    fn a_name_in_another_layer_is_found() {
        assert_eq!(check_with(&Tree::of(&[OWN, LEAK]), &[]).len(), 1);
    }

    #[test]
    fn an_exception_holds_only_while_it_is_needed() {
        let allowed = [(LEAK.0, "orders", "because")];
        assert_eq!(check_with(&Tree::of(&[OWN, LEAK]), &allowed), []);
        assert_eq!(check_with(&Tree::of(&[OWN]), &allowed).len(), 1);
    }
}
