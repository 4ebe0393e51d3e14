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

/// What an issuer's range and length say of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Issued {
    /// No network has such numbers.
    No,
    /// A network has, but so have others than networks: a name has to decide.
    UnderAName,
    /// A network has.
    Yes,
}

/// Whether the digits are in an issuer's range and have one of its lengths.
pub(super) fn issued(digits: &[u8], written: Written) -> Issued {
    let Some(first) = digits.get(..6) else { return Issued::No };
    let iin = first.iter().fold(0, |number, digit| number * 10 + u32::from(*digit));
    let is_of =
        |range: &&Range| (range.iin.0..=range.iin.1).contains(&iin) && range.lengths.contains(&digits.len());
    let is_doubtful = |range: &Range| written == Written::Bare && range.named_only.contains(&digits.len());
    let ranges = RANGES.iter().filter(is_of);
    ranges.fold(Issued::No, |known, range| {
        if known == Issued::Yes || !is_doubtful(range) { Issued::Yes } else { Issued::UnderAName }
    })
}

/// ISO/IEC 7812-1, annex B.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    /// Sums of the digits of twice each digit.
    const TWICE: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let pairs = digits.rchunks(2);
    let sum: u32 = pairs
        .map(|pair| match *pair {
            [twice, once] => TWICE[usize::from(twice)] + u32::from(once),
            [once] => u32::from(once),
            _ => 0,
        })
        .sum();
    sum.is_multiple_of(10)
}
