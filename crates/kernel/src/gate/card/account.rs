//! Tells the digits of a printed IBAN (ISO 13616) from a card's, which are grouped alike: candidates are held until the
//! account's own check digits have spoken. Holds a fixed amount of memory.

use super::scanner::DIGITS_MAX;

/// Fewest digits of an account behind its check digits; the shortest IBAN has 15 characters.
const DIGITS_MIN: usize = 11;

/// Candidates that are held. An IBAN has at most nine groups, and a grouping of a card four.
const HELD_MAX: usize = 8;

/// A chain that begins with two capitals and two digits.
pub(super) struct Account {
    /// Country, as digits, and check digits.
    head: u64,
    /// What the digits behind them leave when they are divided by 97.
    remainder: u64,
    digits: usize,
    held: [([u8; DIGITS_MAX], usize); HELD_MAX],
    count: usize,
}

impl Account {
    /// After the check digits (values 0 to 9).
    pub(super) fn begin(country: [char; 2], check: &[u8]) -> Self {
        let letter = |c: char| u64::from(c.to_digit(36).unwrap_or(0));
        let country = letter(country[0]) * 100 + letter(country[1]);
        let check = check.iter().fold(0, |number, digit| number * 10 + u64::from(*digit));
        Self {
            head: country * 100 + check,
            remainder: 0,
            digits: 0,
            held: [([0; DIGITS_MAX], 0); HELD_MAX],
            count: 0,
        }
    }

    pub(super) fn push(&mut self, digit: u8) {
        self.remainder = (self.remainder * 10 + u64::from(digit)) % 97;
        self.digits += 1;
    }

    /// A group ended, and its candidates are held: if the account is complete here, they were parts of it.
    pub(super) fn close(&mut self) {
        let whole = (self.remainder * 1_000_000 + self.head) % 97;
        if self.digits >= DIGITS_MIN && whole == 1 {
            self.count = 0;
        }
    }

    /// A candidate waits for the end of the chain.
    pub(super) fn hold(&mut self, digits: &[u8]) {
        if let Some((place, length)) = self.held.get_mut(self.count) {
            place[..digits.len()].copy_from_slice(digits);
            *length = digits.len();
            self.count += 1;
        }
    }

    /// The candidates that were not parts of the account.
    pub(super) fn released(&self) -> impl Iterator<Item = &[u8]> {
        self.held[..self.count].iter().map(|(digits, length)| &digits[..*length])
    }
}
