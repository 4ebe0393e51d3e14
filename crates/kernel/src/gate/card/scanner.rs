//! Finds digits that are written like a card number in a stream of characters. Holds a fixed amount of
//! memory, whatever the text's length.
//!
//! Digits form groups; groups joined by separators of one kind form a chain. Whenever a group ends, the group by
//! itself and every card-like grouping that ends with it are candidates.

use super::account::Account;
use super::ranges::Written;

/// Shortest and longest card number (ISO/IEC 7812-1 allows up to 19 digits).
const DIGITS_MIN: usize = 12;
pub(super) const DIGITS_MAX: usize = 19;

/// Room for digits, so that the last ones of a long chain are moved to the front once in a while only.
const DIGITS_HELD: usize = 4 * DIGITS_MAX;

/// Groups kept of a chain: as many as the longest grouping has.
const GROUPS_MAX: usize = 5;

/// Groupings in which cards are printed. Others are phone numbers, bank accounts and dates.
const GROUPINGS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[8, 8],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 3, 3, 3],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 3],
    &[6, 13],
];

/// Zeros of the decimal digit sets (Unicode general category Nd) that people type with.
const ZEROS: &[u32] = &[
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x17E0, 0x1810, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6,
];

/// The value of a decimal digit in any of the common scripts.
pub(super) fn digit_of(c: char) -> Option<u8> {
    let point = u32::from(c);
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&point))?;
    u8::try_from(point - zero).ok()
}

/// Characters that are not seen stand between digits without parting them: soft hyphen, zero-width characters, marks of
/// direction, byte order mark.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{3000}')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '_' | '/' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE63}' | '\u{FF0D}')
}

/// What one more character makes of a joint that began with `first`: spaces, and a dash among spaces. A full stop
/// joins by itself only, because what follows one and a space is the next sentence.
fn joint(first: char, next: char) -> Option<char> {
    match (is_space(first), is_space(next)) {
        (true, true) => Some(first),
        (true, false) => is_dash(next).then_some(next),
        (false, true) => is_dash(first).then_some(first),
        (false, false) => None,
    }
}

/// Characters that may stand between two groups: ` - ` is three, and columns of a table stand further apart.
const JOINT_MAX: usize = 3;

/// What the first track of a magnetic stripe begins with (ISO/IEC 7813): a letter before the number.
const TRACK: [char; 2] = ['%', 'B'];

#[derive(Clone, Copy, Default)]
struct Group {
    digits: usize,
    /// The separator before it, for every group of a chain but the first.
    joined_by: Option<char>,
}

/// The last characters of the text, as far as a decision needs them.
struct Scanner {
    /// The last digits of the chain, oldest first; no fewer than the longest number has.
    digits: [u8; DIGITS_HELD],
    kept: usize,
    /// The last groups of the chain, oldest first.
    groups: [Group; GROUPS_MAX],
    count: usize,
    /// The last two characters before the chain.
    lead: [char; 2],
    /// The chain begins like a grouped IBAN: `DE89 3704 ...`.
    account: Option<Account>,
    chain: Chain,
    /// The last two characters.
    last: [char; 2],
}

/// What is known of the present chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    None,
    /// Inside a group.
    Digits,
    /// After so many separators that may join the next group, by the one that counts.
    Joint(char, usize),
}

/// Calls `found` with the digits (as values 0 to 9) of every candidate.
pub(super) fn scan(text: impl Iterator<Item = char>, mut found: impl FnMut(&[u8], Written)) {
    let mut scanner = Scanner {
        digits: [0; DIGITS_HELD],
        kept: 0,
        groups: [Group::default(); GROUPS_MAX],
        count: 0,
        lead: Default::default(),
        account: None,
        chain: Chain::None,
        last: Default::default(),
    };
    for c in text {
        scanner.take(c, &mut found);
    }
    scanner.take('\0', &mut found);
}

impl Scanner {
    fn take(&mut self, c: char, found: &mut impl FnMut(&[u8], Written)) {
        if !c.is_ascii() && is_unseen(c) {
            return;
        }
        match (digit_of(c), self.chain) {
            (Some(digit), Chain::Digits) => self.push(digit),
            (Some(digit), Chain::Joint(separator, _)) => {
                self.open(Some(separator));
                self.push(digit);
            }
            (Some(digit), Chain::None) => {
                (self.kept, self.count, self.lead) = (0, 0, self.last);
                self.open(None);
                self.push(digit);
            }
            (None, Chain::Digits) => {
                self.close(c, found);
                let may_join = is_space(c) || is_dash(c) || c == '.';
                if may_join {
                    self.chain = Chain::Joint(c, 1);
                } else {
                    self.end(found);
                }
            }
            (None, Chain::Joint(first, length)) => match joint(first, c).filter(|_| length < JOINT_MAX) {
                Some(by) => self.chain = Chain::Joint(by, length + 1),
                None => self.end(found),
            },
            (None, Chain::None) => {}
        }
        self.last = [self.last[1], c];
    }

    fn open(&mut self, joined_by: Option<char>) {
        if self.count == 1 && self.groups[0].joined_by.is_none() {
            let is_country = self.lead.iter().all(char::is_ascii_uppercase);
            let is_printed = joined_by.is_some_and(|by| is_space(by) || by == '-');
            if is_country && is_printed && self.groups[0].digits == 2 {
                self.account = Some(Account::begin(self.lead, self.tail(2)));
            }
        }
        if self.count == GROUPS_MAX {
            self.groups.rotate_left(1);
            self.count -= 1;
        }
        self.groups[self.count] = Group { digits: 0, joined_by };
        self.count += 1;
        self.chain = Chain::Digits;
    }

    fn push(&mut self, digit: u8) {
        if self.kept == DIGITS_HELD {
            self.digits.copy_within(DIGITS_HELD - DIGITS_MAX.., 0);
            self.kept = DIGITS_MAX;
        }
        self.digits[self.kept] = digit;
        self.kept += 1;
        self.groups[self.count - 1].digits += 1;
        if let Some(account) = &mut self.account {
            account.push(digit);
        }
    }

    /// The chain ended: what was held as part of an account is known to be one, or is a candidate.
    fn end(&mut self, found: &mut impl FnMut(&[u8], Written)) {
        self.chain = Chain::None;
        if let Some(account) = self.account.take() {
            account.released().for_each(|digits| found(digits, Written::Grouped));
        }
    }

    /// A group ended before `next`.
    fn close(&mut self, next: char, found: &mut impl FnMut(&[u8], Written)) {
        self.candidates(next, found);
        if let Some(account) = &mut self.account {
            account.close();
        }
    }

    fn candidates(&mut self, next: char, found: &mut impl FnMut(&[u8], Written)) {
        if next.is_alphanumeric() {
            return;
        }
        let last = self.groups[self.count - 1];
        // Digits after a decimal point are a fraction.
        if (DIGITS_MIN..=DIGITS_MAX).contains(&last.digits)
            && last.joined_by != Some('.')
            && self.may_begin(1)
        {
            found(self.tail(last.digits), Written::Bare);
        }
        if self.count < 2 {
            return;
        }
        for grouping in GROUPINGS {
            if !self.is_grouped(grouping) || !self.may_begin(grouping.len()) {
                continue;
            }
            let digits = tail(&self.digits[..self.kept], grouping.iter().sum());
            // An account is printed in fours.
            match self.account.as_mut().filter(|_| grouping.iter().all(|length| *length <= 4)) {
                Some(account) => account.hold(digits),
                None => found(digits, Written::Grouped),
            }
        }
    }

    fn tail(&self, digits: usize) -> &[u8] {
        tail(&self.digits[..self.kept], digits)
    }

    /// The last groups have these lengths and are joined by one and the same separator.
    fn is_grouped(&self, grouping: &[usize]) -> bool {
        let Some(first) = self.count.checked_sub(grouping.len()) else { return false };
        let groups = &self.groups[first..self.count];
        let has_lengths = groups.iter().zip(grouping).all(|(group, length)| group.digits == *length);
        has_lengths && groups[1..].iter().all(|group| group.joined_by == groups[1].joined_by)
    }

    /// The last `groups` groups do not begin inside a word: neither a letter nor a longer run is before them.
    fn may_begin(&self, groups: usize) -> bool {
        let first = self.groups[self.count - groups];
        first.joined_by.is_some() || !self.lead[1].is_alphanumeric() || self.lead == TRACK
    }
}

fn tail(digits: &[u8], count: usize) -> &[u8] {
    &digits[digits.len().saturating_sub(count)..]
}
