//! The vault's use of AES-256-GCM: a random nonce in front of ciphertext and tag, the context as associated
//! data. Nonces are random: far fewer than 2^32 are drawn under any one key (NIST SP 800-38D, section 8.3).

use zeroize::Zeroizing;

use super::SubjectKey;
use crate::error::VaultError;
use crate::pairs::Fault;
use crate::seal::{open_bytes, seal_bytes};

/// Bytes of a nonce.
const NONCE: usize = 12;

/// Random bytes from the operating system, through the cryptographic library.
pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| failed("draw random bytes"))?;
    Ok(bytes)
}

/// Nonce, ciphertext and tag. `plain` is encrypted where it lies; room for a tag in its capacity keeps it
/// from being moved, and so from leaving a copy behind.
pub(super) fn seal(key: &[u8; 32], context: &[u8], plain: Vec<u8>) -> Result<Vec<u8>, VaultError> {
    let nonce = random::<NONCE>()?;
    let sealed = seal_bytes(&SubjectKey(*key), nonce, context, plain).map_err(|_| failed("seal"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// `None` when key or context are others, or the bytes were altered.
pub(super) fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
    open_bytes(&SubjectKey(*key), *nonce, context, ciphertext).ok()
}

/// Wraps one key.
pub(super) fn wrap(key: &[u8; 32], context: &[u8], secret: &[u8; 32]) -> Result<Vec<u8>, VaultError> {
    let mut plain = Vec::with_capacity(secret.len() + crate::seal::TAG_BYTES);
    plain.extend_from_slice(secret);
    seal(key, context, plain)
}

/// Unwraps one key.
pub(super) fn unwrap(key: &[u8; 32], context: &[u8], wrapped: &[u8]) -> Option<SubjectKey> {
    let plain = Zeroizing::new(open(key, context, wrapped)?);
    plain.as_slice().try_into().map(SubjectKey).ok()
}

fn failed(tried: &'static str) -> VaultError {
    let cause =
        Fault::Damaged { path: "vault".to_owned(), cause: "the cryptographic library failed".to_owned() };
    VaultError::Engine { tried, cause }
}
