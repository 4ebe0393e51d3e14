//! A record's move to another key, sealed for the journal: key hashes link a person's records, so they are
//! never in the clear there.
//!
//! Sealed under the evidence key, which outlives the content key: an erased subject keeps being recognised
//! under its new key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use writ_model::control::Rekeyed;
use writ_model::id::{Generation, KeyHash, SubjectId};

use super::{open_bytes, seal_bytes};
use crate::error::SealError;
use crate::vault::SubjectKey;

const HASH_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// From which key hash to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Where the subject was found.
    pub old: KeyHash,
    /// Where it is found now.
    pub new: KeyHash,
}

impl Move {
    /// The journal's fact of this move. `nonce` is fresh random bytes.
    pub fn seal(
        self,
        subject_id: SubjectId,
        generation: Generation,
        evidence: &SubjectKey,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Rekeyed, SealError> {
        let plain = [self.old.0, self.new.0].concat();
        let sealed = seal_bytes(evidence, nonce, &context(subject_id, generation), plain)?;
        let sealed = STANDARD.encode([nonce.as_slice(), &sealed].concat());
        Ok(Rekeyed { subject_id, generation, sealed })
    }

    /// The move that a fact tells of.
    pub fn open(fact: &Rekeyed, evidence: &SubjectKey) -> Result<Self, SealError> {
        let bytes = STANDARD.decode(&fact.sealed).map_err(|_| SealError::Unreadable)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Unreadable)?;
        let plain = open_bytes(evidence, *nonce, &context(fact.subject_id, fact.generation), sealed)?;
        let (old, new) = plain.split_first_chunk::<HASH_BYTES>().ok_or(SealError::Unreadable)?;
        let new = <[u8; HASH_BYTES]>::try_from(new).map_err(|_| SealError::Unreadable)?;
        Ok(Self { old: KeyHash(*old), new: KeyHash(new) })
    }
}

fn context(subject_id: SubjectId, generation: Generation) -> Vec<u8> {
    format!("writ/seal/rekey/v1/{subject_id}/{}", generation.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_opens_with_its_key_and_for_its_subject_only() {
        let (key, other) = (SubjectKey([7; 32]), SubjectKey([8; 32]));
        let moved = Move { old: KeyHash([1; 32]), new: KeyHash([2; 32]) };
        let fact = moved.seal(SubjectId([3; 16]), Generation::FIRST, &key, [4; 12]).expect("seals");
        assert_eq!(Move::open(&fact, &key).expect("opens"), moved);
        assert_eq!(Move::open(&fact, &other).err(), Some(SealError::DoesNotOpen));
        let foreign = Rekeyed { subject_id: SubjectId([9; 16]), ..fact.clone() };
        assert_eq!(Move::open(&foreign, &key).err(), Some(SealError::DoesNotOpen));
        let cut = Rekeyed { sealed: "AAAA".to_owned(), ..fact };
        assert_eq!(Move::open(&cut, &key).err(), Some(SealError::Unreadable));
    }
}
