//! Every dependency's licence is on the list in `deny.toml`. `cargo deny` checks the same and more where it
//! is installed; this needs nothing but cargo's own metadata, so that it runs everywhere.

use cargo_metadata::Metadata;

use super::Finding;
use crate::tree::Tree;

const LIST: &str = "deny.toml";

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let allowed = allowed(tree.text(LIST).unwrap_or_default());
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    let problems = foreign.filter_map(|package| {
        let said = package.license.as_deref().unwrap_or("no licence field");
        (!is_allowed(said, &allowed)).then(|| format!("{} {}: {said}", package.name, package.version))
    });
    problems.map(|what| Finding::in_file(LIST, what)).collect()
}

/// The strings of the `allow = [ … ]` list.
fn allowed(text: &str) -> Vec<&str> {
    let list = text.split_once("allow = [").and_then(|(_, after)| after.split_once(']'));
    list.map_or_else(Vec::new, |(list, _)| list.split('"').skip(1).step_by(2).collect())
}

/// An SPDX expression holds when one of its alternatives names allowed licences only. Inside an
/// alternative every word counts, also the one after WITH; parentheses around alternatives are enough.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let conjuncts = top_level(&expression, " AND ");
    if conjuncts.len() > 1 {
        return conjuncts.iter().all(|part| is_allowed(part, allowed));
    }
    let alternatives = top_level(&expression, " OR ");
    if alternatives.len() > 1 {
        return alternatives.iter().any(|part| is_allowed(part, allowed));
    }
    let one = expression.trim();
    match one.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => is_allowed(inner, allowed),
        None => allowed.contains(&one),
    }
}

/// Splits at a separator that stands outside parentheses.
fn top_level<'a>(expression: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in expression.match_indices(separator) {
        let before = &expression[begin..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(before);
            begin = at + separator.len();
        }
    }
    parts.push(&expression[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"];

    #[test]
    fn the_list_is_read_from_the_file() {
        assert_eq!(allowed("[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n"), ["MIT", "ISC"]);
    }

    #[test]
    fn allowed_alternatives_pass() {
        for expression in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "ISC AND (GPL-2.0 OR Apache-2.0)",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(is_allowed(expression, ALLOWED), "{expression}");
        }
    }

    #[test]
    fn other_licences_are_found() {
        for expression in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND SSPL-1.0", "no licence field"] {
            assert!(!is_allowed(expression, ALLOWED), "{expression}");
        }
    }
}
