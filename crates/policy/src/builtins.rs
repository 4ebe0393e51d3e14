//! Refuses policies that call what the engine lacks, or what would make a verdict depend on more than the
//! input. The engine itself would let some of them through: `http.send` is there as a stub that is always
//! undefined, and a rule that rests on it silently falls back to its default.

use crate::{Kind, PolicyError};

const NO_NETWORK: &str = "a policy has no access to the network";
const NO_CLOCK: &str = "a policy has no clock, so that a verdict can be repeated";
const NO_CRYPTO: &str = "the embedded engine has no cryptography";
const NOT_BUILT: &str = "the embedded engine does not have it";
const NOT_REPEATABLE: &str = "its answer would not be repeatable";

/// Families by their first name, and single functions.
const REFUSED: &[(&str, &str)] = &[
    ("crypto", NO_CRYPTO),
    ("graph", NOT_BUILT),
    ("graphql", NOT_BUILT),
    ("http", NO_NETWORK),
    ("io.jwt", NO_CRYPTO),
    ("json.match_schema", NOT_BUILT),
    ("json.patch", NOT_BUILT),
    ("json.verify_schema", NOT_BUILT),
    ("net", NO_NETWORK),
    ("opa", NOT_REPEATABLE),
    ("providers", NO_NETWORK),
    ("rand", NOT_REPEATABLE),
    ("rego", NOT_BUILT),
    ("time", NO_CLOCK),
    ("urlquery", NOT_BUILT),
    ("uuid", NOT_REPEATABLE),
    ("yaml", NOT_BUILT),
];

/// Reads a file's tokens, comments and texts left out, and refuses the first such call.
pub(crate) fn check(file: &str, text: &str) -> Result<(), PolicyError> {
    for (line, name) in names(text) {
        let is_of = |family: &str| {
            name == family || name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'))
        };
        if let Some((_, why)) = REFUSED.iter().find(|(family, _)| name.contains('.') && is_of(family)) {
            return Err(PolicyError { kind: Kind::Builtin { file: file.to_owned(), line, name, why } });
        }
    }
    Ok(())
}

/// Dotted names in calls (`http.send(`), with their lines from 1.
fn names(text: &str) -> Vec<(usize, String)> {
    let (mut calls, mut name, mut line) = (Vec::new(), String::new(), 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    if c == '\\' {
                        chars.next();
                    }
                }
            }
            '`' => {
                while let Some(c) = chars.next().filter(|c| *c != '`') {
                    line += usize::from(c == '\n');
                }
            }
            c if c.is_alphanumeric() || c == '_' || c == '.' => {
                name.push(c);
                continue;
            }
            '(' if !name.is_empty() => calls.push((line, std::mem::take(&mut name))),
            '\n' => line += 1,
            _ => {}
        }
        name.clear();
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = check("p.rego", text).expect_err("the file is refused").to_string();
        assert!(
            error.starts_with("WRIT-1007 policy file p.rego, line ") && error.contains(expected),
            "{error}"
        );
    }

    #[test]
    fn calls_of_what_the_engine_lacks_are_refused_with_file_and_line() {
        refused("package a\n\nx := http.send({})", "line 3: http.send is not available");
        refused("x if io.jwt.verify_hs256(input.t, `k\n`)\n", "line 1: io.jwt.verify_hs256");
        refused("x := crypto.sha256(`a\nb`)", "line 1: crypto.sha256");
        refused("y := `a\nb`\nx := time.now_ns()", "line 3: time.now_ns");
        refused("x := f(rand.intn(\"a\", 3))", "rand.intn");
    }

    #[test]
    fn names_in_comments_texts_and_data_are_not_calls() {
        let text = "# http.send(x)\nx := \"http.send(\\\"\" # and crypto.md5(y)\nz := input.http.send\n\
                    w := input.time\nv := startswith(input.source, \"a\")\nu := json.unmarshal(\"1\")";
        assert_eq!(check("p.rego", text), Ok(()));
    }
}
