//! Standard Webhooks 1.0.0, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`, compared in constant time, within a
//! tolerance of time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signatures in one header that are looked at; a sender signs with the secrets of one rotation.
const SIGNATURES_MAX: usize = 8;

/// A secret that cannot be used. Says what is wrong with its form, never what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes; this one {0}")]
pub struct BadSecret(&'static str);

/// A request that must not be processed. Answer 401, and do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `webhook-timestamp` is not whole seconds since 1970.
    #[error("webhook-timestamp is not a time")]
    NoTime,
    /// It was signed too long ago, or in the future: a repeat of a request that somebody recorded.
    #[error("webhook-timestamp is not within the tolerance of this machine's clock")]
    NotNow,
    /// `webhook-id` holds a dot, which would let a signed content be divided otherwise.
    #[error("webhook-id holds a dot")]
    Id,
    /// No signature is one of the body's by a secret that is held here.
    #[error("no signature in webhook-signature matches")]
    NoMatch,
}

/// The three headers.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`: the delivery id.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Verifies requests. Does not print its secrets.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
    tolerance: Duration,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} secrets)", self.keys.len())
    }
}

impl Verifier {
    /// Holds these secrets (`whsec_…`): one, or two while one is rotated. The specification's libraries tolerate
    /// five minutes.
    ///
    /// # Errors
    /// When a secret is not of that form. Without any secret nothing ever verifies.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
        tolerance: Duration,
    ) -> Result<Self, BadSecret> {
        let keys = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, tolerance })
    }

    /// Whether this very body was signed under this id, now. It says nothing about whether it came before:
    /// that is the delivery id's.
    ///
    /// # Errors
    /// When it must not be processed.
    pub fn verify(&self, signed: &Signed<'_>, body: &[u8], now: SystemTime) -> Result<(), Refused> {
        let digits = signed.timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: u64 = signed.timestamp.parse().ok().filter(|_| digits).ok_or(Refused::NoTime)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(seconds) > self.tolerance.as_secs() {
            return Err(Refused::NotNow);
        }
        if signed.id.contains('.') {
            return Err(Refused::Id);
        }
        let given = signed.signature.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let given: Vec<Vec<u8>> =
            given.take(SIGNATURES_MAX).filter_map(|text| STANDARD.decode(text).ok()).collect();
        let mut is_one = false;
        for key in &self.keys {
            let mut mac = key.clone();
            for part in [signed.id.as_bytes(), b".", signed.timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            for signature in &given {
                is_one |= mac.clone().verify_slice(signature).is_ok();
            }
        }
        if is_one { Ok(()) } else { Err(Refused::NoMatch) }
    }
}

fn key(secret: &str) -> Result<Hmac<Sha256>, BadSecret> {
    let encoded = secret.strip_prefix("whsec_").ok_or(BadSecret("does not begin so"))?;
    let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret("is not base64"))?;
    if !(24..=64).contains(&bytes.len()) {
        return Err(BadSecret("has another length"));
    }
    Hmac::new_from_slice(&bytes).map_err(|_| BadSecret("cannot be a key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The case that the specification's own libraries carry.
    const PUBLISHED: Signed<'_> = Signed {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn check(signed: Signed<'_>, body: &[u8], now: u64, expected: Result<(), Refused>) {
        let verifier = Verifier::new([OTHER, SECRET], Duration::from_secs(300)).expect("secrets");
        assert_eq!(verifier.verify(&signed, body, at(now)), expected, "{signed:?}");
    }

    #[test]
    fn the_published_vector_verifies_by_any_secret_that_is_held() {
        check(PUBLISHED, BODY, 1_614_265_330, Ok(()));
    }

    #[test]
    fn among_several_signatures_one_of_this_scheme_is_enough() {
        let two = format!("v1a,AAAA v1,AAAA v2,{0} {1}", "x", PUBLISHED.signature);
        check(Signed { signature: &two, ..PUBLISHED }, BODY, 1_614_265_330, Ok(()));
    }

    #[test]
    fn the_time_is_tolerated_on_both_sides_and_no_further() {
        for (now, expected) in [
            (1_614_265_630, Ok(())),
            (1_614_265_631, Err(Refused::NotNow)),
            (1_614_265_030, Ok(())),
            (1_614_265_029, Err(Refused::NotNow)),
        ] {
            check(PUBLISHED, BODY, now, expected);
        }
        for timestamp in ["", "soon", "+1614265330", "-1", "1614265330.0", "99999999999999999999"] {
            check(Signed { timestamp, ..PUBLISHED }, BODY, 1_614_265_330, Err(Refused::NoTime));
        }
    }

    #[test]
    fn another_body_id_or_signature_does_not_match() {
        let no = Err(Refused::NoMatch);
        check(PUBLISHED, br#"{"test": 2432232315}"#, 1_614_265_330, no);
        check(Signed { id: "msg_other", ..PUBLISHED }, BODY, 1_614_265_330, no);
        check(Signed { timestamp: "1614265331", ..PUBLISHED }, BODY, 1_614_265_330, no);
        for signature in ["", "v1,", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,g0hM9SsE"] {
            check(Signed { signature, ..PUBLISHED }, BODY, 1_614_265_330, no);
        }
        check(Signed { id: "msg.1", ..PUBLISHED }, BODY, 1_614_265_330, Err(Refused::Id));
        let none = Verifier::new([], Duration::from_secs(300)).expect("no secrets");
        assert_eq!(none.verify(&PUBLISHED, BODY, at(1_614_265_330)), no);
    }

    #[test]
    fn a_secret_of_another_form_is_refused_without_being_shown() {
        for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"] {
            let error = Verifier::new([secret], Duration::ZERO).expect_err(secret);
            assert!(!error.to_string().contains(&secret[6..]) || secret.len() == 6, "{error}");
        }
        let verifier = Verifier::new([SECRET], Duration::ZERO).expect("a secret");
        assert_eq!(format!("{verifier:?}"), "Verifier(1 secrets)");
    }
}
