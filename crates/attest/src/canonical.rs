//! The one spelling of a record: a profile of RFC 8785 so narrow that nothing needs escaping.
//!
//! Keys are `[a-z0-9_]`, strings are printable ASCII without `"` and `\`, numbers are integers from 0 to
//! 2^53 - 1; there is no null, no boolean, no float, and no white space. Within it every JSON library that
//! sorts keys writes the same bytes. [`parse`] accepts those bytes and nothing else.

use std::borrow::Cow;

/// The largest canonical record that may become a leaf, in bytes.
pub const LEAF_BYTES_MAX: usize = 16 * 1024;

/// 2^53 - 1: the largest integer that every JSON reader holds exactly (RFC 8785, 3.2.2.3).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// A leaf nests three deep; more is damage or an attack on the parser's stack.
const DEPTH_MAX: usize = 8;

/// A value of the profile. Parsing borrows: there are no escapes to undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer, at most [`NUMBER_MAX`].
    Number(u64),
    /// Printable ASCII without `"` and `\`.
    Text(Cow<'a, str>),
    /// In the order given.
    List(Vec<Value<'a>>),
    /// In any order; written in ascending order of keys.
    Map(Vec<(&'a str, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// A string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// Whatever prints itself.
    pub fn display(value: impl std::fmt::Display) -> Self {
        Self::Text(Cow::Owned(value.to_string()))
    }
}

/// Why bytes are not canonical, or a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not canonical at byte {at}: {what}")]
pub struct CanonicalError {
    /// Where in the input or output.
    pub at: usize,
    /// What the profile does not allow.
    pub what: &'static str,
}

/// Writes the one spelling of `value`, at most `bytes_max` long.
pub fn encode(value: &Value<'_>, bytes_max: usize) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out, 0)?;
    if out.len() > bytes_max {
        return Err(CanonicalError { at: bytes_max, what: "longer than allowed" });
    }
    Ok(out)
}

fn write(value: &Value<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
    let refuse = |out: &Vec<u8>, what| Err(CanonicalError { at: out.len(), what });
    if depth > DEPTH_MAX {
        return refuse(out, "nested too deep");
    }
    match value {
        Value::Number(number) if *number > NUMBER_MAX => return refuse(out, "number above 2^53 - 1"),
        Value::Number(number) => write_number(*number, out),
        Value::Text(text) => write_text(text, out)?,
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => write_map(entries, out, depth)?,
    }
    Ok(())
}

pub(crate) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut first = DIGITS_MAX;
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).expect("a digit is below 10");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    if !text.bytes().all(is_text_byte) {
        return Err(CanonicalError { at: out.len(), what: "text outside the profile" });
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn write_map(entries: &[(&str, Value<'_>)], out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
    let mut sorted: Vec<&(&str, Value<'_>)> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    out.push(b'{');
    for (index, (key, value)) in sorted.iter().enumerate() {
        if key.is_empty() || !key.bytes().all(is_key_byte) {
            return Err(CanonicalError { at: out.len(), what: "key outside the profile" });
        }
        if index > 0 {
            if sorted[index - 1].0 == *key {
                return Err(CanonicalError { at: out.len(), what: "duplicate key" });
            }
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        write(value, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

/// Reads canonical bytes. Whatever it accepts, [`encode`] writes back byte for byte.
pub fn parse(bytes: &[u8], bytes_max: usize) -> Result<Value<'_>, CanonicalError> {
    if bytes.len() > bytes_max {
        return Err(CanonicalError { at: bytes_max, what: "longer than allowed" });
    }
    let mut parser = Parser { bytes, at: 0 };
    let value = parser.value(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => parser.refuse("bytes after the value"),
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn refuse<T>(&self, what: &'static str) -> Result<T, CanonicalError> {
        Err(CanonicalError { at: self.at, what })
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), CanonicalError> {
        if self.peek() != Some(byte) {
            return self.refuse(what);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, CanonicalError> {
        if depth > DEPTH_MAX {
            return self.refuse("nested too deep");
        }
        match self.peek() {
            Some(b'"') => Ok(Value::Text(Cow::Borrowed(self.text(is_text_byte)?))),
            Some(b'0'..=b'9') => self.number(),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.map(depth),
            _ => self.refuse("expected a string, a whole number, a list or a map"),
        }
    }

    fn text(&mut self, allowed: fn(u8) -> bool) -> Result<&'a str, CanonicalError> {
        self.expect(b'"', "expected a string")?;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !allowed(*byte)).unwrap_or(rest.len());
        self.at += length;
        self.expect(b'"', "byte not allowed in a string")?;
        Ok(std::str::from_utf8(&rest[..length]).expect("allowed bytes are ASCII"))
    }

    fn number(&mut self) -> Result<Value<'a>, CanonicalError> {
        let start = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at > start && self.bytes[start] == b'0' {
                return self.refuse("leading zero");
            }
            number = number * 10 + u64::from(digit - b'0');
            if number > NUMBER_MAX {
                return self.refuse("number above 2^53 - 1");
            }
            self.at += 1;
        }
        Ok(Value::Number(number))
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, CanonicalError> {
        self.expect(b'[', "expected a list")?;
        let mut items = Vec::new();
        while self.peek() != Some(b']') {
            if !items.is_empty() {
                self.expect(b',', "expected a comma")?;
            }
            items.push(self.value(depth + 1)?);
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Value<'a>, CanonicalError> {
        self.expect(b'{', "expected a map")?;
        let mut entries: Vec<(&'a str, Value<'a>)> = Vec::new();
        while self.peek() != Some(b'}') {
            if !entries.is_empty() {
                self.expect(b',', "expected a comma")?;
            }
            let key = self.text(is_key_byte)?;
            if key.is_empty() || entries.last().is_some_and(|(previous, _)| *previous >= key) {
                return self.refuse("keys are not in ascending order");
            }
            self.expect(b':', "expected a colon")?;
            entries.push((key, self.value(depth + 1)?));
        }
        self.at += 1;
        Ok(Value::Map(entries))
    }
}

fn is_text_byte(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Makes any text fit the profile: bytes outside it, and `%`, become `%XX`. For values inside commitments
/// that come from outside, such as a source's transaction id.
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    let fits = |byte: u8| is_text_byte(byte) && byte != b'%';
    if text.bytes().all(fits) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if fits(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_refused(text: &str) {
        assert!(parse(text.as_bytes(), LEAF_BYTES_MAX).is_err(), "{text}");
    }

    #[test]
    fn canonical_bytes_come_back_as_they_were() {
        for text in [r#"{"a":1,"b":["x y",0],"c_1":{"d":9007199254740991}}"#, "[]", "{}", "0", r#""""#] {
            let value = parse(text.as_bytes(), LEAF_BYTES_MAX).unwrap();
            assert_eq!(encode(&value, LEAF_BYTES_MAX).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "",
            " {}",
            "{} ",
            "{}\n",
            r#"{"a": 1}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            "[1,]",
            "[,1]",
            "[1 ,2]",
            "[1",
            "{",
            r#"{"a""#,
            r#"{"a":"#,
            r#""x"#,
            "00",
            "01",
            "-0",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "9007199254740992",
            "99999999999999999999999",
            "null",
            "true",
            "false",
            "NaN",
            r#"{"A":1}"#,
            r#"{"":1}"#,
            r#"{"é":1}"#,
            r#""é""#,
            "\"\u{1f600}\"",
            r#""\u0041""#,
            r#""\ud800""#,
            r#""a\"b""#,
            r#""a\\b""#,
            "\"a\tb\"",
            "\"\u{7f}\"",
            "'a'",
        ] {
            check_refused(text);
        }
    }

    #[test]
    fn keys_that_differ_only_beyond_ascii_are_refused() {
        check_refused("{\"\u{fffd}\":1,\"\u{1f600}\":2}");
    }

    #[test]
    fn invalid_utf_8_is_refused() {
        assert!(parse(b"\"\xff\"", LEAF_BYTES_MAX).is_err());
        assert!(parse(b"\"\xed\xa0\x80\"", LEAF_BYTES_MAX).is_err());
    }

    #[test]
    fn depth_and_length_are_bounded() {
        check_refused(&"[".repeat(100_000));
        check_refused(&format!("{}{}", "[".repeat(DEPTH_MAX + 2), "]".repeat(DEPTH_MAX + 2)));
        let long = format!("\"{}\"", "x".repeat(LEAF_BYTES_MAX - 2));
        assert!(parse(long.as_bytes(), LEAF_BYTES_MAX).is_ok());
        check_refused(&format!("\"{}\"", "x".repeat(LEAF_BYTES_MAX - 1)));
    }

    #[test]
    fn values_without_a_canonical_form_are_not_written() {
        let bad = [
            Value::Number(1 << 53),
            Value::text("a\"b"),
            Value::text("ü"),
            Value::Map(vec![("a", Value::Number(1)), ("a", Value::Number(2))]),
            Value::Map(vec![("A", Value::Number(1))]),
        ];
        for value in bad {
            assert!(encode(&value, LEAF_BYTES_MAX).is_err(), "{value:?}");
        }
    }

    #[test]
    fn foreign_text_is_made_to_fit_and_stays_distinct() {
        assert_eq!(percent_encode("a\"%é"), "a%22%25%C3%A9");
    }

    proptest! {
        #[test]
        fn what_parses_is_what_is_written(text in r#"[\[\]{}",:0-9a-c]{0,24}"#) {
            if let Ok(value) = parse(text.as_bytes(), LEAF_BYTES_MAX) {
                prop_assert_eq!(encode(&value, LEAF_BYTES_MAX).unwrap(), text.as_bytes());
                let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
            }
        }
    }
}
