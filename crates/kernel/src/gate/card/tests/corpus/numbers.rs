//! Card numbers of every network that the scanner knows, at every length. Computed; none was ever issued.

use super::Dice;
use crate::gate::card::ranges;

/// A number and how its digits are grouped in print.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) network: &'static str,
    pub(super) digits: String,
    /// Lengths of groups, for each way of printing.
    pub(super) groupings: &'static [&'static [usize]],
    /// Without groups the digits count only under a telling name.
    pub(super) is_named_only: bool,
}

/// Network, first and last prefix, lengths. A second hand has written this table down, so that a slip in the scanner's
/// own is seen.
const NETWORKS: &[(&str, u64, u64, &[usize])] = &[
    ("Visa", 4, 4, &[13, 16, 19]),
    ("Mastercard", 51, 55, &[16]),
    ("Mastercard 2-series", 2221, 2720, &[16]),
    ("American Express", 34, 34, &[15]),
    ("American Express", 37, 37, &[15]),
    ("Discover", 6011, 6011, &[16, 17, 18, 19]),
    ("Discover and UnionPay", 622_126, 622_925, &[16, 17, 18, 19]),
    ("Discover", 644, 649, &[16, 17, 18, 19]),
    ("Discover", 65, 65, &[16, 17, 18, 19]),
    ("JCB", 3528, 3589, &[16, 17, 18, 19]),
    ("Diners Club", 300, 305, &[14, 15, 16, 17, 18, 19]),
    ("Diners Club", 3095, 3095, &[14, 15, 16, 17, 18, 19]),
    ("Diners Club", 36, 36, &[14, 15, 16, 17, 18, 19]),
    ("Diners Club", 38, 39, &[14, 15, 16, 17, 18, 19]),
    ("UnionPay", 62, 62, &[16, 17, 18, 19]),
];

/// Numbers of each network at each length: with the first prefix, the last, and some between.
pub(super) fn all(dice: &mut Dice) -> Vec<Number> {
    const BETWEEN: usize = 4;
    let mut numbers = Vec::new();
    for (network, first, last, lengths) in NETWORKS {
        for length in *lengths {
            let between: Vec<u64> = (0..BETWEEN).map(|_| dice.between(*first, last + 1)).collect();
            for prefix in [*first, *last].into_iter().chain(between) {
                let prefix = prefix.to_string();
                let body = format!("{prefix}{}", dice.digits(length - prefix.len() - 1));
                numbers.push(Number {
                    network,
                    digits: with_check_digit(&body),
                    groupings: groupings(*length),
                    is_named_only: *length == 13,
                });
            }
        }
    }
    numbers
}

fn groupings(length: usize) -> &'static [&'static [usize]] {
    match length {
        13 => &[&[4, 3, 3, 3]],
        14 => &[&[4, 6, 4]],
        15 => &[&[4, 6, 5]],
        16 => &[&[4, 4, 4, 4], &[8, 8]],
        17 => &[&[4, 4, 4, 4, 1]],
        18 => &[&[4, 4, 4, 4, 2]],
        19 => &[&[4, 4, 4, 4, 3], &[6, 13]],
        _ => &[],
    }
}

fn with_check_digit(body: &str) -> String {
    let passes = |last: &u32| {
        let digits: Vec<u8> = format!("{body}{last}").bytes().map(|b| b - b'0').collect();
        ranges::passes_luhn(&digits)
    };
    format!("{body}{}", (0..10).find(passes).expect("one of ten digits passes"))
}
