//! Reads Rust text just well enough for the checks: tells code, comments and string literals apart, and
//! finds functions. Not a parser: macros that build items are seen as the tokens they are.

/// One text in three layers of equal shape; what belongs to another layer is blank.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// Everything that is neither comment nor literal.
    pub(crate) code: String,
    /// Comments, with their slashes.
    pub(crate) comments: String,
    /// String and character literals, with their quotes.
    pub(crate) literals: String,
}

/// A function that has a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The line of its `fn`, from 1.
    pub(crate) line: usize,
    /// From its `fn` to its closing brace.
    pub(crate) lines: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Code,
    Comment,
    Literal,
}

/// Takes the layers apart.
pub(crate) fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (layer, bytes) = next_region(rest);
        let (region, after) = rest.split_at(bytes);
        let put = |into: &mut String, of: Layer| {
            let blank = |c: char| if c == '\n' { c } else { ' ' };
            if of == layer { into.push_str(region) } else { into.extend(region.chars().map(blank)) }
        };
        put(&mut layers.code, Layer::Code);
        put(&mut layers.comments, Layer::Comment);
        put(&mut layers.literals, Layer::Literal);
        rest = after;
    }
    layers
}

fn next_region(rest: &str) -> (Layer, usize) {
    if rest.starts_with("//") {
        return (Layer::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Layer::Comment, block_comment(rest));
    }
    if let Some(bytes) = string_literal(rest).or_else(|| char_literal(rest)) {
        return (Layer::Literal, bytes);
    }
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(1, char::len_utf8);
    (Layer::Code, word.max(first))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_literal(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c: char| !c.is_ascii_alphabetic())?;
    let is_raw = matches!(&rest[..prefix], "r" | "br" | "cr");
    if !is_raw && !matches!(&rest[..prefix], "" | "b" | "c") {
        return None;
    }
    let hashes = rest[prefix..].bytes().take_while(|b| *b == b'#' && is_raw).count();
    let open = prefix + hashes;
    let body = rest[open..].strip_prefix('"')?;
    let end = if is_raw { raw_end(body, hashes) } else { plain_end(body) };
    Some(open + 1 + end)
}

fn raw_end(body: &str, hashes: usize) -> usize {
    let close = format!("\"{}", "#".repeat(hashes));
    body.find(&close).map_or(body.len(), |at| at + close.len())
}

fn plain_end(body: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    body.len()
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn char_literal(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let named = escape.chars().next()?.len_utf8();
        return escape[named..].find('\'').map(|at| named + at + 3);
    }
    let one = body.chars().next()?.len_utf8();
    body[one..].starts_with('\'').then_some(one + 2)
}

/// Blanks the bodies of `#[cfg(test)] mod name { … }`, given a code layer.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let after = at + MARK.len();
        kept.push_str(&rest[..after]);
        rest = &rest[after..];
        let is_module = rest.trim_start().starts_with("mod ");
        if let (true, Some(open)) =
            (is_module, rest.find(['{', ';']).filter(|at| rest.as_bytes()[*at] == b'{'))
        {
            let (blanked, tail) = rest.split_at(closing(rest, open));
            kept.extend(blanked.chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = tail;
        }
    }
    kept.push_str(rest);
    kept
}

/// The byte after the brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_u32;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The functions of a code layer that have a body.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    code.match_indices("fn ").filter_map(|(at, _)| function_at(code, at)).collect()
}

fn function_at(code: &str, at: usize) -> Option<Function<'_>> {
    if code[..at].chars().next_back().is_some_and(is_word) {
        return None;
    }
    let from_name = code[at + 3..].trim_start();
    let name = &from_name[..from_name.find(|c: char| !is_word(c))?];
    let open = at + body_open(&code[at..])?;
    let text = &code[at..closing(code, open)];
    let line = code[..at].matches('\n').count() + 1;
    (!name.is_empty()).then(|| Function { name, line, lines: text.matches('\n').count() + 1 })
}

/// Where a function's body begins; none for a declaration.
fn body_open(signature: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in signature.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_leave_the_code() {
        let layers =
            layers("let a = \"// no\"; // yes 'x'\nlet b = r#\"{\"#; /* { /* */ */ let c: &'a str = '{';");
        assert_eq!(layers.code.replace(' ', ""), "leta=;\nletb=;letc:&'astr=;");
        assert!(layers.comments.contains("// yes 'x'") && !layers.comments.contains("// no"));
        assert!(layers.literals.contains("\"// no\"") && layers.literals.contains("'{'"));
    }

    #[test]
    fn escaped_quotes_do_not_end_a_literal() {
        let layers = layers(r#"f("a\"b", '\'', b"c"); g"#);
        assert_eq!(layers.code.replace(' ', ""), "f(,,);g");
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let code = "trait T { fn declared(&self, a: [u8; 2]); }\nfn two() {\n}\nfn one() {}\n";
        let found = functions(code);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Function { name: "two", line: 2, lines: 2 });
        assert_eq!(found[1], Function { name: "one", line: 4, lines: 1 });
    }

    #[test]
    fn inline_test_modules_are_blanked() {
        let kept = without_tests("a\n#[cfg(test)]\nmod tests {\n b {} \n}\nc");
        assert!(kept.contains('a') && kept.contains('c') && !kept.contains('b'));
        assert_eq!(kept.matches('\n').count(), 5);
    }
}
