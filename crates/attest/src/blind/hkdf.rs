//! HKDF-SHA256 (RFC 5869) for outputs of one block, over the `hmac` crate.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 over the parts, one after the other.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// RFC 5869, 2.2.
pub(super) fn extract(salt: &[u8], secret: &[u8]) -> [u8; 32] {
    mac(salt, &[secret])
}

/// RFC 5869, 2.3, the first 32 bytes.
pub(super) fn expand(pseudorandom: &[u8; 32], info: &[u8]) -> [u8; 32] {
    mac(pseudorandom, &[info, &[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::Hex;

    fn check(secret: &[u8], salt: &[u8], info: &[u8], pseudorandom: &str, first_block: &str) {
        let key = extract(salt, secret);
        assert_eq!(Hex(&key).to_string(), pseudorandom);
        assert_eq!(Hex(&expand(&key, info)).to_string(), first_block);
    }

    #[test]
    fn the_vectors_of_rfc_5869_appendix_a_hold() {
        let bytes = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
        check(
            &[0x0b; 22],
            &bytes(0x00, 0x0c),
            &bytes(0xf0, 0xf9),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        );
        check(
            &bytes(0x00, 0x4f),
            &bytes(0x60, 0xaf),
            &bytes(0xb0, 0xff),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        );
        check(
            &[0x0b; 22],
            b"",
            b"",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
        );
    }
}
