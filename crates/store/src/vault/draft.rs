//! A batch of last-known changes in the making. Each record is read, opened and sealed once, however many of
//! the changes are its own.

use std::collections::BTreeMap;

use prost::Message;
use writ_model::id::KeyHash;
use writ_model::lineage::Versions;

use super::disk::{FjallVault, INDEX, SUBJECTS};
use super::record::{LastKnown, Record};
use super::{Remember, SubjectKey};
use crate::error::VaultError;
use crate::pairs::Batch;

/// A record with its last-known state opened.
struct Opened {
    record: Record,
    content: Option<SubjectKey>,
    last_known: LastKnown,
    versions: Versions,
}

/// The vault, and what the batch makes of it.
pub(super) struct Draft<'a> {
    vault: &'a FjallVault,
    /// By key in the subjects area; `None` where there is no record, or no longer.
    records: BTreeMap<Vec<u8>, Option<Opened>>,
    moves: Batch,
}

impl<'a> Draft<'a> {
    pub(super) fn new(vault: &'a FjallVault) -> Self {
        Self { vault, records: BTreeMap::new(), moves: Batch::default() }
    }

    /// Applies one change. False when there is no such subject.
    pub(super) fn apply(&mut self, change: &Remember) -> Result<bool, VaultError> {
        if let Some(old) = change.old_key_hash.filter(|old| *old != change.key_hash) {
            self.rekey(old, change.key_hash)?;
        }
        let Some(opened) = self.load(&change.key_hash.0)? else { return Ok(false) };
        opened.record.count_to(change.sequence);
        if opened.content.is_none() {
            // Erased: there is no key to keep it under, and nothing of the subject is to be kept.
            return Ok(true);
        }
        if let Some(group) = &change.group {
            group.clone().put_into(&mut opened.last_known, &mut opened.versions);
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> Result<Batch, VaultError> {
        let mut batch = self.moves;
        for (key, opened) in self.records {
            let Some(Opened { mut record, content, last_known, versions }) = opened else {
                batch.remove(SUBJECTS, key);
                continue;
            };
            if let Some(content) = content {
                record.set_last_known(&last_known, &content)?;
                record.set_versions(&versions, &content)?;
            }
            batch.put(SUBJECTS, key, record.encode_to_vec());
        }
        Ok(batch)
    }

    /// Moves a record to its new key hash. A record that is there already belongs to a subject whose key was
    /// given away; its keys still open the log, so it goes where only its id finds it.
    fn rekey(&mut self, old: KeyHash, new: KeyHash) -> Result<(), VaultError> {
        if self.load(&old.0)?.is_none() {
            return Ok(());
        }
        if self.load(&new.0)?.is_some() {
            let displaced = self.take(&new.0);
            let place = displaced.record.subject_id().0.to_vec();
            self.put(place, displaced);
        }
        let moved = self.take(&old.0);
        self.put(new.0.to_vec(), moved);
        Ok(())
    }

    fn load(&mut self, key: &[u8]) -> Result<Option<&mut Opened>, VaultError> {
        if !self.records.contains_key(key) {
            let opened = self.vault.record(key)?.map(|record| self.open(record)).transpose()?;
            self.records.insert(key.to_vec(), opened);
        }
        Ok(self.records.get_mut(key).and_then(Option::as_mut))
    }

    fn open(&self, record: Record) -> Result<Opened, VaultError> {
        let content = record.content_key(&self.vault.keks)?;
        let last_known = record.last_known(content.as_ref())?;
        let versions = record.versions(content.as_ref())?;
        Ok(Opened { record, content, last_known, versions })
    }

    fn take(&mut self, key: &[u8]) -> Opened {
        let record = self.records.get_mut(key).and_then(Option::take);
        record.expect("the caller loaded it")
    }

    fn put(&mut self, key: Vec<u8>, opened: Opened) {
        self.moves.put(INDEX, opened.record.subject_id().0.to_vec(), key.clone());
        self.records.insert(key, Some(opened));
    }
}
