//! Cheap readings of encoded text, without a copy: percent-encoding and base64. One layer only.

/// The text with `%41` and `+` read as a URL's query has them; what does not decode stays as it is. Bytes
/// are read as Latin-1, which is right for digits and separators.
pub(super) fn percent_decoded(text: &str) -> impl Iterator<Item = char> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let hex = |place: usize| bytes.get(place).and_then(|b| char::from(*b).to_digit(16));
        let (decoded, used) = match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => (char::from_u32(high << 4 | low).unwrap_or('\0'), 3),
            (b'+', ..) => (' ', 1),
            (other, ..) => (char::from(other), 1),
        };
        at += used;
        Some(decoded)
    })
}

/// Shortest base64 text that can hold the shortest card number.
const BASE64_BYTES_MIN: usize = 18;

/// All of the text is base64, in either alphabet, padded or not.
pub(super) fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=').as_bytes();
    body.len() >= BASE64_BYTES_MIN && body.len() % 4 != 1 && body.iter().all(|b| sextet(*b).is_some())
}

/// What a base64 text holds, byte by byte.
pub(super) fn base64_decoded(text: &str) -> impl Iterator<Item = char> + '_ {
    let (mut bits, mut held) = (0_u32, 0_u32);
    text.trim_end_matches('=').bytes().filter_map(move |byte| {
        bits = bits << 6 | u32::from(sextet(byte)?);
        held += 6;
        if held < 8 {
            return None;
        }
        held -= 8;
        let decoded = bits >> held & 0xFF;
        bits &= (1 << held) - 1;
        char::from_u32(decoded)
    })
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
