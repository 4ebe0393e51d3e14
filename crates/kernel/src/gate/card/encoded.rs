//! Cheap readings of encoded text, without a copy: percent-encoding and base64. One layer only.

/// The text with `%41` and `+` read as a URL's query has them; what does not decode stays as it is.
pub(super) fn percent_decoded(text: &str) -> impl Iterator<Item = char> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    chars(std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let hex =
            |place: usize| bytes.get(place).and_then(|b| u8::try_from(char::from(*b).to_digit(16)?).ok());
        let (decoded, used) = match byte {
            b'%' => match (hex(at + 1), hex(at + 2)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (byte, 1),
            },
            b'+' => (b' ', 1),
            _ => (byte, 1),
        };
        at += used;
        Some(decoded)
    }))
}

/// Bytes as UTF-8; one that does not belong to a character is read as Latin-1, which has digits and separators in
/// their places.
fn chars(mut bytes: impl Iterator<Item = u8>) -> impl Iterator<Item = char> {
    let mut ahead = None;
    std::iter::from_fn(move || {
        let first = ahead.take().or_else(|| bytes.next())?;
        let (more, begin) = match first {
            0xC2..=0xDF => (1, first & 0x1F),
            0xE0..=0xEF => (2, first & 0x0F),
            0xF0..=0xF4 => (3, first & 0x07),
            _ => return Some(char::from(first)),
        };
        let mut point = u32::from(begin);
        for _ in 0..more {
            match bytes.next() {
                Some(next) if next & 0xC0 == 0x80 => point = point << 6 | u32::from(next & 0x3F),
                other => {
                    ahead = other;
                    return Some(char::from(first));
                }
            }
        }
        Some(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
    })
}

/// Shortest base64 text that can hold the shortest card number.
const BASE64_BYTES_MIN: usize = 18;

/// All of the text is base64, in either alphabet, padded or not.
pub(super) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=').as_bytes();
    body.len() >= BASE64_BYTES_MIN && body.len() % 4 != 1 && body.iter().all(|b| sextet(*b).is_some())
}

/// What a base64 text holds.
pub(super) fn base64_decoded(text: &str) -> impl Iterator<Item = char> + '_ {
    let (mut bits, mut held) = (0_u32, 0_u32);
    chars(text.trim_end_matches('=').bytes().filter_map(move |byte| {
        bits = bits << 6 | u32::from(sextet(byte)?);
        held += 6;
        if held < 8 {
            return None;
        }
        held -= 8;
        let decoded = u8::try_from(bits >> held & 0xFF).ok();
        bits &= (1 << held) - 1;
        decoded
    }))
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
