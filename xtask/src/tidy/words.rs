//! Names that hide a missing concept, and marks of unfinished work.

use super::Finding;
use crate::source;
use crate::tree::Tree;

const BANNED_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc", "types"];

/// In code.
const BANNED_CODE: &[&str] = &["dbg!(", "todo!(", "unimplemented!(", "#[ignore"];

/// In comments. An unfinished thing is finished or deleted; its plan does not live in the source.
const BANNED_COMMENTS: &[&str] = &["TODO", "FIXME", "HACK", "for now"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let names =
        tree.rust().filter_map(|(path, _)| name_problem(path).map(|what| Finding::in_file(path, what)));
    let marks = tree.rust().flat_map(|(path, text)| {
        mark_problems(text).into_iter().map(move |(line, what)| Finding::at(path, line, what))
    });
    names.chain(marks).collect()
}

fn name_problem(path: &str) -> Option<String> {
    let name =
        path.split('/').map(|part| part.trim_end_matches(".rs")).find(|part| BANNED_NAMES.contains(part))?;
    Some(format!("`{name}` is not a name for a module; find the word for what it owns"))
}

fn mark_problems(text: &str) -> Vec<(usize, String)> {
    let layers = source::layers(text);
    let mut found = marks(&layers.code, BANNED_CODE);
    found.extend(marks(&layers.comments, BANNED_COMMENTS));
    found
}

fn marks(layer: &str, banned: &[&str]) -> Vec<(usize, String)> {
    let numbered = layer.lines().enumerate();
    numbered
        .flat_map(|(index, line)| {
            let hits = banned.iter().filter(move |mark| contains_word(line, mark));
            hits.map(move |mark| (index + 1, format!("`{mark}` does not stay in the tree")))
        })
        .collect()
}

/// A mark inside a longer word is another word.
fn contains_word(line: &str, mark: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + mark.len()..].chars().next();
        let ends_in_word = mark.ends_with(is_word);
        !(before.is_some_and(is_word) || ends_in_word && after.is_some_and(is_word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_word_is_a_good_name() {
        assert_eq!(name_problem("crates/kernel/src/dispatch/retry.rs"), None);
        assert_eq!(name_problem("crates/kernel/src/commonality.rs"), None);
    }

    #[test]
    fn a_drawer_for_everything_is_found() {
        assert!(name_problem("crates/engine/src/util.rs").is_some());
        assert!(name_problem("crates/engine/src/helpers/mod.rs").is_some());
    }

    #[test]
    fn finished_code_passes() {
        assert_eq!(mark_problems("// Sorted, because proofs need it.\nlet a = \"TODO\"; my_todo!();\n"), []);
    }

    #[test]
    fn unfinished_marks_are_found_with_their_line() {
        let found = mark_problems("fn a() {\n    todo!()\n}\n// FIXME\n#[ignore]\n");
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 5, 4]);
    }
}
