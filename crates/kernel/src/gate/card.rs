//! Finds card numbers (PCI DSS 3.3 and 3.4) in every text and number of an event, names of fields included.
//!
//! Two of three must speak for it: an issuer's range and length, the Luhn check, a field name that says so;
//! without the name, the first two. What is found is reported by place, first six and last four digits and
//! keyed hash; the number itself goes nowhere.

mod account;
mod encoded;
mod ranges;
mod scanner;

pub use ranges::TABLE_VERSION;

use std::fmt;

use writ_model::envelope::Envelope;
use writ_model::value::{Attributes, Value};
use writ_model::verdict::CardFinding;

use crate::identity::{Key, card_hash};
use ranges::{Issued, Written};

/// Findings that are reported of one event; the rest would tell an operator nothing more.
pub const FINDINGS_MAX: usize = 16;

/// Digits that a text needs before it is looked at twice.
const DIGITS_MIN: usize = 12;

/// Card numbers in an event, in document order, at most [`FINDINGS_MAX`]. Allocates only for findings.
pub fn scan(key: &Key, envelope: &Envelope) -> Vec<CardFinding> {
    let mut scan = Scan { key, findings: Vec::new() };
    let root = |step| Path { parent: None, step };
    let (header, private) = (&envelope.header, &envelope.private);
    let single = [
        ("location", &header.location),
        ("locale", &header.locale),
        ("producer_id", &private.producer_id),
        ("transaction", &private.transaction),
        ("correlationid", &private.correlation_id),
    ];
    for (name, text) in single {
        text.iter().for_each(|text| scan.text(text, &root(Step::Name(name))));
    }
    let old_key = private.old_key.as_ref().map_or(&[][..], |key| &key.0);
    for (name, parts) in [("key", &private.data.key[..]), ("subject", &private.key.0), ("old_key", old_key)] {
        let path = root(Step::Name(name));
        parts.iter().enumerate().for_each(|(at, part)| scan.text(part, &path.then(Step::Item(at))));
    }
    for (name, side) in [("before", &private.data.before), ("after", &private.data.after)] {
        side.iter().for_each(|side| scan.map(side, &root(Step::Name(name))));
    }
    scan.findings
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

/// Where a value is, as a list on the stack.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

impl<'a> Path<'a> {
    fn then(&'a self, step: Step<'a>) -> Self {
        Self { parent: Some(self), step }
    }

    /// The name that a value goes by; the items of a list go by the list's.
    fn name(&self) -> Option<&str> {
        match (self.step, self.parent) {
            (Step::Name(name), _) => Some(name),
            (Step::Item(_), Some(parent)) => parent.name(),
            (Step::Item(_), None) => None,
        }
    }

    fn names_a_card(&self) -> bool {
        self.name().is_some_and(names_a_card)
    }
}

impl fmt::Display for Path<'_> {
    /// A JSON pointer (RFC 6901). Names come from the data, so one that is not like the name of a field is
    /// not printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAME_BYTES_MAX: usize = 64;
        const NAME_DIGITS_MAX: usize = 8;
        self.parent.map_or(Ok(()), |parent| parent.fmt(f))?;
        match self.step {
            Step::Item(at) => write!(f, "/{at}"),
            Step::Name(name) => {
                let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
                let digits = name.bytes().filter(u8::is_ascii_digit).count();
                let fits =
                    name.len() <= NAME_BYTES_MAX && digits <= NAME_DIGITS_MAX && name.bytes().all(is_plain);
                write!(f, "/{}", if fits { name } else { "(name)" })
            }
        }
    }
}

struct Scan<'a> {
    key: &'a Key,
    findings: Vec<CardFinding>,
}

impl Scan<'_> {
    fn map(&mut self, map: &Attributes, path: &Path<'_>) {
        for (name, value) in map {
            let path = path.then(Step::Name(name));
            self.text(name, &path);
            self.value(value, &path);
        }
    }

    fn value(&mut self, value: &Value, path: &Path<'_>) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Int(number) => self.number(*number, path),
            Value::Text(text) => self.text(text, path),
            Value::List(items) => {
                items.iter().enumerate().for_each(|(at, item)| self.value(item, &path.then(Step::Item(at))));
            }
            Value::Map(map) => self.map(map, path),
        }
    }

    /// A number is one run of digits: the scanner has nothing to find in it.
    fn number(&mut self, number: i64, path: &Path<'_>) {
        const DIGITS_MAX: usize = 19;
        let (mut digits, mut rest, mut first) = ([0_u8; DIGITS_MAX], number.unsigned_abs(), DIGITS_MAX);
        while rest > 0 && first > 0 {
            first -= 1;
            digits[first] = u8::try_from(rest % 10).expect("a remainder of ten is a digit");
            rest /= 10;
        }
        let digits = &digits[first..];
        if digits.len() >= DIGITS_MIN && is_card(digits, Written::Bare, || path.names_a_card()) {
            self.report(digits, path);
        }
    }

    fn text(&mut self, text: &str, path: &Path<'_>) {
        if encoded::is_base64(text) {
            self.chars(encoded::base64_decoded(text), path);
        }
        if !has_enough_digits(text) {
            return;
        }
        if text.is_ascii() {
            self.chars(text.bytes().map(char::from), path);
        } else {
            self.chars(text.chars(), path);
        }
        if text.contains(['%', '+']) {
            self.chars(encoded::percent_decoded(text), path);
        }
    }

    fn chars(&mut self, chars: impl Iterator<Item = char>, path: &Path<'_>) {
        scanner::scan(chars, |digits, written| {
            if is_card(digits, written, || path.names_a_card()) {
                self.report(digits, path);
            }
        });
    }

    fn report(&mut self, digits: &[u8], path: &Path<'_>) {
        let text: Vec<u8> = digits.iter().map(|digit| digit + b'0').collect();
        let part = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect();
        let finding = CardFinding {
            path: path.to_string(),
            first6: part(&text[..6]),
            last4: part(&text[text.len() - 4..]),
            keyed_hash: card_hash(self.key, &text),
        };
        if self.findings.len() < FINDINGS_MAX && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

fn has_enough_digits(text: &str) -> bool {
    let digits = if text.is_ascii() {
        text.bytes().filter(u8::is_ascii_digit).count()
    } else {
        text.chars().filter(|c| scanner::digit_of(*c).is_some()).count()
    };
    digits >= DIGITS_MIN
}

/// `is_named` is asked last: reading a name costs more than all the rest.
fn is_card(digits: &[u8], written: Written, is_named: impl FnOnce() -> bool) -> bool {
    let issued = ranges::issued(digits, written);
    let passes_luhn = ranges::passes_luhn(digits);
    // The same digit throughout is a placeholder; zeros pass the Luhn check.
    if (issued == Issued::No && !passes_luhn) || digits.iter().all(|digit| *digit == digits[0]) {
        return false;
    }
    (issued == Issued::Yes && passes_luhn) || is_named()
}

/// A field name that says that the field holds card numbers: letters and digits compared, case ignored.
fn names_a_card(name: &str) -> bool {
    const WHOLE: &[&str] = &["pan", "card", "cc", "ccn"];
    const PART: &[&str] = &[
        "cardnumber",
        "cardnum",
        "cardno",
        "ccnumber",
        "ccnum",
        "creditcard",
        "debitcard",
        "primaryaccountnumber",
        "kartennummer",
        "numerodetarjeta",
        "numerocarte",
    ];
    const OTHER_CARDS: &[&str] =
        &["loyalty", "gift", "member", "bonus", "library", "health", "idcard", "simcard"];
    const NAME_BYTES_MAX: usize = 48;
    let mut plain = [0_u8; NAME_BYTES_MAX];
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase());
    let used = plain.iter_mut().zip(letters).map(|(place, letter)| *place = letter).count();
    let Ok(plain) = std::str::from_utf8(&plain[..used]) else { return false };
    let holds = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    (WHOLE.contains(&plain) || holds(PART)) && !holds(OTHER_CARDS)
}

#[cfg(test)]
mod tests;
