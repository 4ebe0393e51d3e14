//! Destruction: wrapped keys are removed, then the bucket's key-encryption key is replaced, so that copies of
//! the wrapped keys open no longer.
//!
//! ```text
//! remove_keys    one synced batch: the record without the keys, and which bucket to rotate
//! draw_key       kek file with a fresh key for the bucket, the former one retiring
//! move_records   every record of the bucket wrapped under the fresh key, synced
//! retire_key     kek file without the former key; the old file's bytes overwritten
//! close          the bucket is no longer noted
//! ```
//!
//! A crash between any two steps leaves every surviving key openable; the next opening goes on from there.

use prost::Message;
use writ_model::id::{Generation, SubjectId};

use super::Purpose;
use super::disk::{FjallVault, INDEX, META, SUBJECTS};
use super::kek::Bucket;
use crate::error::VaultError;
use crate::pairs::disk::DiskPairs;
use crate::pairs::{Batch, Durability, Pairs, just_after};

const ROTATING: &[u8] = b"rotating";
/// How many records are re-wrapped in one batch.
const PAGE: usize = 256;

/// Said by `writ doctor`, after whether a replacement is pending.
const RESIDUAL_WINDOW: &str = "\
A destroyed key cannot be opened with this vault, nor with any copy of its records, once its bucket's \
key-encryption key is replaced. It may still exist in: (1) a backup that \
holds the vault's records and the kek file of the same time, until that backup expires; (2) file system \
snapshots, and blocks that a copy-on-write file system or a flash drive has not reused yet, which hold the \
former kek file: still wrapped by the master key, so a master key kept off this disk closes this window; \
(3) this process's swap and core dumps, where they are enabled. The database's not yet compacted tables hold \
former records, but nothing that opens without the former key-encryption key.";

/// A bucket whose key is to be replaced, and the epoch of that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rotation {
    bucket: Bucket,
    epoch: u32,
}

impl Rotation {
    /// The rotation that an earlier run began and did not close.
    pub(super) fn read(pairs: &DiskPairs) -> Result<Option<Self>, VaultError> {
        let Some(bytes) = pairs.get(META, ROTATING).map_err(VaultError::when("open"))? else {
            return Ok(None);
        };
        let rotation = Self::from_bytes(&bytes).ok_or_else(|| VaultError::unreadable("a key rotation"))?;
        Ok(Some(rotation))
    }

    fn to_bytes(self) -> Vec<u8> {
        [self.bucket.number().to_be_bytes().as_slice(), &self.epoch.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (bucket, epoch) = bytes.split_first_chunk()?;
        let epoch = u32::from_be_bytes(epoch.try_into().ok()?);
        Some(Self { bucket: Bucket::new(u16::from_be_bytes(*bucket))?, epoch })
    }
}

impl FjallVault {
    /// In words, for an operator: where a destroyed key may still be, and until when.
    pub fn residual_window(&self) -> String {
        let pending = match self.rotation {
            None => "No replacement of a key-encryption key is pending.".to_owned(),
            Some(Rotation { bucket, .. }) => format!(
                "The replacement of the key-encryption key of bucket {} was cut off and is finished at the next \
                 destruction or opening.",
                bucket.number()
            ),
        };
        format!("{RESIDUAL_WINDOW} {pending}")
    }

    /// Removes a subject's wrapped keys and notes that the bucket is to be rotated. Nothing is done when the
    /// keys are already gone.
    pub(super) fn remove_keys(
        &mut self,
        subject: SubjectId,
        generation: Generation,
        purposes: &[Purpose],
    ) -> Result<(), VaultError> {
        self.recent.forget();
        let Some(place) = self.place(subject)? else { return Ok(()) };
        let Some(mut record) = self.record(&place)? else { return Ok(()) };
        if !record.forget(generation, purposes) {
            return Ok(());
        }
        let bucket = Bucket::of(subject);
        let rotation = Rotation { bucket, epoch: self.keks.current(bucket).epoch };
        let mut batch = Batch::default();
        batch.put(SUBJECTS, place, record.encode_to_vec());
        batch.put(META, ROTATING.to_vec(), rotation.to_bytes());
        self.pairs.write(batch, Durability::Synced).map_err(VaultError::when("remove keys"))?;
        self.rotation = Some(rotation);
        Ok(())
    }

    /// Goes on with a rotation from wherever it stands; nothing is done when there is none.
    pub(super) fn finish_rotation(&mut self) -> Result<(), VaultError> {
        self.draw_key()?;
        self.move_records()?;
        self.retire_key()?;
        self.close_rotation()
    }

    fn draw_key(&mut self) -> Result<(), VaultError> {
        let Some(Rotation { bucket, epoch }) = self.rotation else { return Ok(()) };
        if self.keks.rotating().is_some() || self.keks.current(bucket).epoch != epoch {
            return Ok(());
        }
        let next = self.keks.rotate(bucket)?;
        self.kek_file.replace(&next)?;
        self.keks = next;
        Ok(())
    }

    fn move_records(&mut self) -> Result<(), VaultError> {
        let Some(bucket) = self.keks.rotating() else { return Ok(()) };
        let mut start = Some(bucket.first_id().to_vec());
        while let Some(from) = start {
            start = self.move_page(bucket, &from)?;
        }
        self.pairs.sync().map_err(VaultError::when("re-wrap keys"))
    }

    /// Re-wraps the bucket's next records; where to go on, `None` at the bucket's end.
    fn move_page(&self, bucket: Bucket, from: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let fault = VaultError::when("re-wrap keys");
        let page = self.pairs.scan(INDEX, &bucket.first_id()[..1], from, PAGE).map_err(&fault)?;
        let is_full = page.len() == PAGE;
        let mut batch = Batch::default();
        let mut last = None;
        for (id, place) in page {
            let subject = SubjectId(id.try_into().map_err(|_| VaultError::unreadable("an index key"))?);
            if Bucket::of(subject) != bucket {
                last = None;
                break;
            }
            if let Some(mut record) = self.record(&place)?
                && record.rewrap(&self.keks)?
            {
                batch.put(SUBJECTS, place, record.encode_to_vec());
            }
            last = is_full.then(|| just_after(&subject.0));
        }
        self.pairs.write(batch, Durability::Buffered).map_err(&fault)?;
        Ok(last)
    }

    fn retire_key(&mut self) -> Result<(), VaultError> {
        if self.keks.rotating().is_some() {
            let next = self.keks.retire();
            self.kek_file.replace(&next)?;
            self.keks = next;
        }
        Ok(())
    }

    /// Not synced: a rotation that is still noted after a power cut is seen to be done by its epoch.
    fn close_rotation(&mut self) -> Result<(), VaultError> {
        if self.rotation.is_some() {
            let mut batch = Batch::default();
            batch.remove(META, ROTATING.to_vec());
            self.pairs.write(batch, Durability::Buffered).map_err(VaultError::when("close a rotation"))?;
            self.rotation = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use writ_model::id::Offset;

    use super::*;
    use crate::contract::vault::{email, key_hash, remember, subject};
    use crate::vault::Vault;
    use crate::vault::tests::{copy_dir, open};

    const VICTIM: u32 = 7;
    /// More than one page.
    const SUBJECTS: u32 = 300;

    type Step = fn(&mut FjallVault);

    const STEPS: [(&str, Step); 6] = [
        ("remove", |vault| {
            let (id, all) = (subject(VICTIM).subject_id, [Purpose::Content, Purpose::Evidence]);
            vault.remove_keys(id, Generation::FIRST, &all).unwrap();
        }),
        ("draw", |vault| vault.draw_key().unwrap()),
        ("move one page", |vault| {
            let bucket = Bucket::of(subject(VICTIM).subject_id);
            assert!(vault.move_page(bucket, &bucket.first_id()).unwrap().is_some(), "there is a second page");
        }),
        ("move", |vault| vault.move_records().unwrap()),
        ("retire", |vault| vault.retire_key().unwrap()),
        ("close", |vault| vault.close_rotation().unwrap()),
    ];

    fn filled(dir: &Path) -> FjallVault {
        let mut vault = open(dir);
        let subjects: Vec<_> = (0..SUBJECTS).map(subject).collect();
        vault.create(&subjects).unwrap();
        vault.remember(&[remember(8, Some(email("eight")))], Offset(1)).unwrap();
        vault
    }

    fn check_survivors(vault: &FjallVault, after: &str) {
        for number in (0..SUBJECTS).filter(|number| *number != VICTIM) {
            for (purpose, key) in
                [(Purpose::Content, subject(number).content), (Purpose::Evidence, subject(number).evidence)]
            {
                let found = vault.key(subject(number).subject_id, Generation::FIRST, purpose).unwrap();
                assert_eq!(found.map(|key| key.0), Some(key.0), "subject {number} after {after}");
            }
        }
        let eight = vault.find(key_hash(8)).unwrap().unwrap();
        assert_eq!(eight.last_known.len(), 1, "after {after}");
        let victim = vault.find(key_hash(VICTIM)).unwrap().unwrap();
        assert!(victim.content.is_none() && victim.evidence.is_none() && victim.is_erased, "after {after}");
    }

    #[test]
    fn a_crash_after_any_step_leaves_every_survivor_openable_and_is_finished_at_the_next_opening() {
        let root = tempfile::tempdir().unwrap();
        let mut vault = filled(&root.path().join("vault"));
        let bucket = Bucket::of(subject(VICTIM).subject_id);
        for (name, step) in STEPS {
            step(&mut vault);
            check_survivors(&vault, name);
            let crashed = root.path().join(name);
            copy_dir(&root.path().join("vault"), &crashed);
            for opening in ["first", "second"] {
                let recovered = open(&crashed);
                check_survivors(&recovered, &format!("{name}, {opening} opening"));
                assert_eq!(recovered.rotation, None);
                assert_eq!(recovered.keks.rotating(), None);
                assert_eq!(recovered.keks.current(bucket).epoch, 2, "rotated once, after {name}");
            }
        }
    }

    #[test]
    fn a_destruction_after_one_that_was_cut_off_finishes_both() {
        let root = tempfile::tempdir().unwrap();
        let mut vault = filled(&root.path().join("vault"));
        STEPS[..2].iter().for_each(|(_, step)| step(&mut vault));
        vault.destroy(subject(9).subject_id, Generation::FIRST, &[Purpose::Evidence]).unwrap();
        let key =
            |number, purpose| vault.key(subject(number).subject_id, Generation::FIRST, purpose).unwrap();
        assert!(key(9, Purpose::Evidence).is_none() && key(9, Purpose::Content).is_some());
        assert!(key(VICTIM, Purpose::Content).is_none() && key(8, Purpose::Content).is_some());
        assert_eq!(vault.keks.current(Bucket::of(subject(9).subject_id)).epoch, 3);
    }
}
