//! The key-encryption keys: one for each bucket of subjects, with an epoch that counts its rotations.
//!
//! While a bucket is rotated its former key is kept beside the new one, until every record has moved over.

use writ_model::id::SubjectId;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::wrap::random;
use crate::error::VaultError;

/// As many as slots: 12 million subjects give buckets of 3,000, which are re-wrapped in some milliseconds.
pub(super) const BUCKETS: u16 = 4096;
/// Epoch and key of one bucket.
const ENTRY_BYTES: usize = 4 + 32;

/// A share of the subjects: the top twelve bits of the id, which is random, so that a bucket's subjects lie
/// side by side in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u16);

impl Bucket {
    pub(super) fn of(subject: SubjectId) -> Self {
        Self(u16::from_be_bytes([subject.0[0], subject.0[1]]) >> 4)
    }

    pub(super) fn new(number: u16) -> Option<Self> {
        (number < BUCKETS).then_some(Self(number))
    }

    pub(super) fn number(self) -> u16 {
        self.0
    }

    /// The smallest id that may be in the bucket.
    pub(super) fn first_id(self) -> [u8; 2] {
        (self.0 << 4).to_be_bytes()
    }
}

/// One bucket's key in one epoch.
#[derive(Clone, ZeroizeOnDrop)]
pub(super) struct Kek {
    pub(super) epoch: u32,
    pub(super) key: [u8; 32],
}

impl Kek {
    fn draw(epoch: u32) -> Result<Self, VaultError> {
        Ok(Self { epoch, key: random()? })
    }
}

/// All key-encryption keys.
#[derive(Clone)]
pub(super) struct Keks {
    current: Vec<Kek>,
    retiring: Option<(Bucket, Kek)>,
}

impl Keks {
    /// Random keys for every bucket, epoch 1.
    pub(super) fn draw() -> Result<Self, VaultError> {
        let current = (0..BUCKETS).map(|_| Kek::draw(1)).collect::<Result<_, _>>()?;
        Ok(Self { current, retiring: None })
    }

    /// The key under which new records of a bucket are wrapped.
    pub(super) fn current(&self, bucket: Bucket) -> &Kek {
        &self.current[usize::from(bucket.0)]
    }

    /// The key of one epoch, current or retiring.
    pub(super) fn of_epoch(&self, bucket: Bucket, epoch: u32) -> Option<&Kek> {
        let retiring = self.retiring.iter().filter(|(of, _)| *of == bucket).map(|(_, kek)| kek);
        std::iter::once(self.current(bucket)).chain(retiring).find(|kek| kek.epoch == epoch)
    }

    /// The bucket whose rotation is not finished.
    pub(super) fn rotating(&self) -> Option<Bucket> {
        self.retiring.as_ref().map(|(bucket, _)| *bucket)
    }

    /// These keys with a fresh one for `bucket`; its present one retires.
    pub(super) fn rotate(&self, bucket: Bucket) -> Result<Self, VaultError> {
        debug_assert!(self.retiring.is_none(), "one rotation at a time");
        let mut next = self.clone();
        let present = &mut next.current[usize::from(bucket.0)];
        let fresh = Kek::draw(present.epoch + 1)?;
        let retired = std::mem::replace(present, fresh);
        next.retiring = Some((bucket, retired));
        Ok(next)
    }

    /// These keys without the retiring one.
    pub(super) fn retire(&self) -> Self {
        Self { current: self.current.clone(), retiring: None }
    }

    /// ```text
    /// 4096 x { epoch u32, key [32] }   has retiring u8   [ bucket u16, epoch u32, key [32] ]
    /// ```
    pub(super) fn to_bytes(&self, room: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((usize::from(BUCKETS) + 1) * ENTRY_BYTES + 3 + room);
        let entry = |kek: &Kek| [kek.epoch.to_be_bytes().as_slice(), &kek.key].concat();
        for kek in &self.current {
            bytes.extend_from_slice(&Zeroizing::new(entry(kek)));
        }
        bytes.push(u8::from(self.retiring.is_some()));
        if let Some((bucket, kek)) = &self.retiring {
            bytes.extend_from_slice(&bucket.0.to_be_bytes());
            bytes.extend_from_slice(&Zeroizing::new(entry(kek)));
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (current, rest) = bytes.split_at_checked(usize::from(BUCKETS) * ENTRY_BYTES)?;
        let current = current.chunks_exact(ENTRY_BYTES).map(kek).collect::<Option<_>>()?;
        let retiring = match rest {
            [0] => None,
            [1, high, low, entry @ ..] => {
                Some((Bucket::new(u16::from_be_bytes([*high, *low]))?, kek(entry)?))
            }
            _ => return None,
        };
        Some(Self { current, retiring })
    }
}

fn kek(entry: &[u8]) -> Option<Kek> {
    let (epoch, key) = entry.split_first_chunk()?;
    Some(Kek { epoch: u32::from_be_bytes(*epoch), key: key.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_stored_form_also_while_one_rotates() {
        let keks = Keks::draw().unwrap();
        let bucket = Bucket::of(SubjectId([0xff; 16]));
        assert_eq!(bucket.number(), BUCKETS - 1);
        let rotating = keks.rotate(bucket).unwrap();
        let read = Keks::from_bytes(&rotating.to_bytes(0)).unwrap();
        assert_eq!(read.rotating(), Some(bucket));
        assert_eq!(read.of_epoch(bucket, 1).unwrap().key, keks.current(bucket).key);
        assert_eq!(read.of_epoch(bucket, 2).unwrap().key, rotating.current(bucket).key);
        let retired = Keks::from_bytes(&read.retire().to_bytes(0)).unwrap();
        assert!(retired.of_epoch(bucket, 1).is_none());
        assert!(Keks::from_bytes(&keks.to_bytes(0)[1..]).is_none());
    }

    #[test]
    fn a_buckets_ids_are_one_range() {
        let bucket = Bucket::of(SubjectId([0x12, 0x3f, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]));
        assert_eq!((bucket.number(), bucket.first_id()), (0x123, [0x12, 0x30]));
    }
}
