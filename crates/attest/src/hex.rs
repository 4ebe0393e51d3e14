//! Lower-case hexadecimal, the only spelling that leaves accept.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Prints bytes as lower-case hex.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        for bytes in self.0.chunks(text.len() / 2) {
            for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 15)];
            }
            f.write_str(std::str::from_utf8(&text[..2 * bytes.len()]).expect("hex digits are ASCII"))?;
        }
        Ok(())
    }
}

/// Appends bytes as lower-case hex.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    out.extend(bytes.iter().flat_map(pair));
}

/// Exactly `N` bytes from `2 * N` lower-case digits.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_of_the_right_length_decodes() {
        assert_eq!(decode::<2>("00ff"), Some([0, 255]));
        assert_eq!(Hex(&[0, 255]).to_string(), "00ff");
        for bad in ["00FF", "00f", "00ff0", "0g0f"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }
}
