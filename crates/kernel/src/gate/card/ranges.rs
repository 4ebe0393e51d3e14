//! Issuer number ranges, as data: which first digits and lengths belong to a card network.
//!
//! Maestro is left out: its ranges (50, 56 to 69, 12 to 19 digits) cover too many numbers that are no cards.
//! Its numbers are found where the field's name says what they are.

/// Goes up with every change of the table.
pub const TABLE_VERSION: u32 = 1;

/// One range of issuer numbers.
pub(super) struct Range {
    /// First and last value of the first six digits.
    iin: (u32, u32),
    /// Lengths of its numbers.
    lengths: &'static [usize],
    /// Lengths at which digits without groups count only under a telling name, because article numbers and
    /// shop ids look the same (a 13-digit EAN from Germany begins with 4).
    named_only: &'static [usize],
}

const fn range(from: u32, to: u32, lengths: &'static [usize]) -> Range {
    Range { iin: (from, to), lengths, named_only: &[] }
}

const RANGES: &[Range] = &[
    // Visa
    Range { iin: (400_000, 499_999), lengths: &[13, 16, 19], named_only: &[13] },
    // Mastercard
    range(510_000, 559_999, &[16]),
    range(222_100, 272_099, &[16]),
    // American Express
    range(340_000, 349_999, &[15]),
    range(370_000, 379_999, &[15]),
    // Discover
    range(601_100, 601_199, &[16, 17, 18, 19]),
    range(622_126, 622_925, &[16, 17, 18, 19]),
    range(644_000, 659_999, &[16, 17, 18, 19]),
    // JCB
    range(352_800, 358_999, &[16, 17, 18, 19]),
    // Diners Club
    range(300_000, 305_999, &[14, 15, 16, 17, 18, 19]),
    range(309_500, 309_599, &[14, 15, 16, 17, 18, 19]),
    range(360_000, 369_999, &[14, 15, 16, 17, 18, 19]),
    range(380_000, 399_999, &[14, 15, 16, 17, 18, 19]),
    // UnionPay
    range(620_000, 629_999, &[16, 17, 18, 19]),
];

/// How the digits are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// In one run.
    Bare,
    /// In the groups of a card.
    Grouped,
}

/// The digits are in an issuer's range and have one of its lengths.
pub(super) fn is_issued(digits: &[u8], written: Written, is_named: bool) -> bool {
    let Some(first) = digits.get(..6) else { return false };
    let iin = first.iter().fold(0, |number, digit| number * 10 + u32::from(*digit));
    RANGES.iter().any(|range| {
        let is_at_length = range.lengths.contains(&digits.len());
        let is_doubtful = written == Written::Bare && !is_named && range.named_only.contains(&digits.len());
        (range.iin.0..=range.iin.1).contains(&iin) && is_at_length && !is_doubtful
    })
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit < 5 => 2 * digit,
            (_, digit) => 2 * digit - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}
