//! Files, functions and the vocabulary crate stay small enough to be read in one sitting.

use super::Finding;
use crate::source;
use crate::tree::Tree;

/// Tests included. A longer file holds a second concept.
const FILE_LINES_MAX: usize = 500;

/// From `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// A crate of words that grows without bound becomes a drawer for everything.
const MODEL_LINES_MAX: usize = 3_750;
const MODEL_SOURCES: &str = "crates/model/src/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = tree.rust().flat_map(|(path, text)| file_findings(path, text)).collect();
    let model_lines: usize = tree.below(MODEL_SOURCES).map(|(_, text)| text.lines().count()).sum();
    if model_lines > MODEL_LINES_MAX {
        let what =
            format!("{model_lines} lines, at most {MODEL_LINES_MAX}; a decision belongs to another room");
        findings.push(Finding::in_file(MODEL_SOURCES, what));
    }
    findings
}

fn file_findings(path: &str, text: &str) -> Vec<Finding> {
    let code = source::layers(text).code;
    let long = |lines_max: usize| format!("lines, at most {lines_max}; split by concept");
    let lines = text.lines().count();
    let mut findings: Vec<Finding> = source::functions(&code)
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
        .map(|function| {
            let what = format!("fn {} has {} {}", function.name, function.lines, long(FUNCTION_LINES_MAX));
            Finding::at(path, function.line, what)
        })
        .collect();
    if lines > FILE_LINES_MAX {
        findings.push(Finding::in_file(path, format!("{lines} {}", long(FILE_LINES_MAX))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_function_at_the_limit_pass() {
        let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(FUNCTION_LINES_MAX - 2));
        assert_eq!(file_findings("a.rs", &function), []);
        assert_eq!(file_findings("a.rs", &"const A: u8 = 1;\n".repeat(FILE_LINES_MAX)), []);
    }

    #[test]
    fn one_line_more_is_found() {
        let function = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(FUNCTION_LINES_MAX - 1));
        assert_eq!(file_findings("a.rs", &function).len(), 1);
        assert_eq!(file_findings("a.rs", &"const A: u8 = 1;\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn the_vocabulary_crate_has_a_ceiling_of_its_own() {
        let part = "const A: u8 = 1;\n".repeat(FILE_LINES_MAX);
        let paths = ["a", "b", "c", "d", "e", "f", "g"].map(|name| format!("{MODEL_SOURCES}{name}.rs"));
        let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), part.as_str())).collect();
        assert_eq!(check(&Tree::of(&files)), []);
        let last = "const A: u8 = 1;\n".repeat(MODEL_LINES_MAX - 7 * FILE_LINES_MAX);
        files.push(("crates/model/src/h.rs", &last));
        assert_eq!(check(&Tree::of(&files)), []);
        files.push(("crates/model/src/i.rs", "//! One more.\n"));
        assert_eq!(check(&Tree::of(&files)).len(), 1);
    }
}
