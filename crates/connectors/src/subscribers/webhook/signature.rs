//! Standard Webhooks 1.0.0, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Length of a secret in bytes, as the specification recommends.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A signing key.
#[derive(Clone)]
pub(super) struct Key(hmac::Key);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// From `whsec_` and base64. The error says what is wrong with the form, not what was given.
    pub(super) fn parse(secret: &str) -> Result<Self, &'static str> {
        let encoded = secret.strip_prefix("whsec_").ok_or("the secret does not begin with whsec_")?;
        let bytes = STANDARD.decode(encoded).map_err(|_| "the secret is not base64 after whsec_")?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err("the secret is not 24 to 64 bytes long");
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(format!("{id}.{seconds}.").as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

/// The value of `webhook-signature`: one signature per key, so that a receiver may hold any of them.
pub(super) fn header(keys: &[Key], id: &str, seconds: i64, body: &[u8]) -> String {
    keys.iter().map(|key| key.sign(id, seconds, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The case that the specification's own libraries carry.
    #[test]
    fn the_published_vector_is_reproduced() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("key");
        let signature =
            header(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_rotated_secret_signs_beside_the_old_one() {
        let old = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("key");
        let new = Key::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").expect("key");
        let both = header(&[old.clone(), new.clone()], "id", 1, b"x");
        assert_eq!(both, format!("{} {}", header(&[old], "id", 1, b"x"), header(&[new], "id", 1, b"x")));
    }

    #[test]
    fn a_secret_of_another_form_is_refused_without_being_shown() {
        for secret in
            ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!", "whsk_AAAA"]
        {
            let error = Key::parse(secret).expect_err(secret);
            assert!(!error.contains(secret));
        }
    }
}
