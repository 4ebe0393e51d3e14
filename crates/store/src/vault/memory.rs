//! The vault in memory, for tests and the simulator: the same answers, no encryption. What was not synced is
//! lost in [`MemoryVault::crash`], as a power cut would lose it.

use std::collections::BTreeMap;

use writ_model::id::{Generation, KeyHash, Offset, SubjectId};
use writ_model::lineage::{SubjectSequence, Versions};

use super::{NewLife, NewSubject, Purpose, Remember, Subject, SubjectKey, Vault};
use crate::error::VaultError;

/// Subjects by internal id, and where each is found.
#[derive(Debug, Default)]
pub struct MemoryVault {
    subjects: BTreeMap<SubjectId, Entry>,
    found: BTreeMap<KeyHash, SubjectId>,
    remembered: Offset,
    unsynced: Unsynced,
}

#[derive(Debug, Clone)]
struct Entry {
    subject: Subject,
    /// Evidence keys of former lives.
    former: BTreeMap<Generation, SubjectKey>,
    /// `None` when another subject has taken its key hash.
    key_hash: Option<KeyHash>,
}

/// What everything that changed since the last sync was then.
#[derive(Debug, Default)]
struct Unsynced {
    subjects: BTreeMap<SubjectId, Option<Entry>>,
    found: BTreeMap<KeyHash, Option<SubjectId>>,
    remembered: Option<Offset>,
}

impl MemoryVault {
    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }

    /// A power cut: everything is as it was at the last sync.
    pub fn crash(&mut self) {
        let Unsynced { subjects, found, remembered } = std::mem::take(&mut self.unsynced);
        restore(&mut self.subjects, subjects);
        restore(&mut self.found, found);
        self.remembered = remembered.unwrap_or(self.remembered);
    }

    fn put(&mut self, entry: Entry) {
        let id = entry.subject.subject_id;
        let old = self.subjects.insert(id, entry);
        self.unsynced.subjects.entry(id).or_insert(old);
    }

    fn point(&mut self, key_hash: KeyHash, to: Option<SubjectId>) {
        let old = match to {
            Some(id) => self.found.insert(key_hash, id),
            None => self.found.remove(&key_hash),
        };
        self.unsynced.found.entry(key_hash).or_insert(old);
    }

    fn entry(&self, key_hash: KeyHash) -> Option<Entry> {
        self.found.get(&key_hash).and_then(|id| self.subjects.get(id)).cloned()
    }

    fn rekey(&mut self, old: KeyHash, new: KeyHash) {
        let Some(moved) = self.entry(old) else { return };
        if let Some(displaced) = self.entry(new) {
            self.put(Entry { key_hash: None, ..displaced });
        }
        self.point(old, None);
        self.point(new, Some(moved.subject.subject_id));
        self.put(Entry { key_hash: Some(new), ..moved });
    }

    fn apply(&mut self, change: &Remember) {
        if let Some(old) = change.old_key_hash.filter(|old| *old != change.key_hash) {
            self.rekey(old, change.key_hash);
        }
        let Some(mut entry) = self.entry(change.key_hash) else { return };
        change.put_into(&mut entry.subject);
        self.put(entry);
    }

    /// The first change that names no subject, from 1. A key hash is there also when an earlier change of the
    /// batch moves a subject to it.
    fn unknown(&self, changes: &[Remember]) -> Option<usize> {
        let mut moved: BTreeMap<KeyHash, bool> = BTreeMap::new();
        changes.iter().position(|change| {
            let (old, new) = (change.old_key_hash.unwrap_or(change.key_hash), change.key_hash);
            let is_there =
                |key_hash| moved.get(&key_hash).copied().unwrap_or(self.found.contains_key(&key_hash));
            let is_moved = old != new && is_there(old);
            let is_known = is_moved || is_there(new);
            if is_moved {
                moved.insert(old, false);
                moved.insert(new, true);
            }
            !is_known
        })
    }
}

impl Vault for MemoryVault {
    fn find(&self, key_hash: KeyHash) -> Result<Option<Subject>, VaultError> {
        Ok(self.entry(key_hash).map(|entry| entry.subject))
    }

    fn locate(&self, subject_id: SubjectId) -> Result<Option<KeyHash>, VaultError> {
        Ok(self.subjects.get(&subject_id).and_then(|entry| entry.key_hash))
    }

    fn generation(&self, subject: SubjectId) -> Result<Option<Generation>, VaultError> {
        Ok(self.subjects.get(&subject).map(|entry| entry.subject.generation))
    }

    fn key(
        &self,
        subject: SubjectId,
        generation: Generation,
        purpose: Purpose,
    ) -> Result<Option<SubjectKey>, VaultError> {
        let Some(Entry { subject, former, .. }) = self.subjects.get(&subject) else { return Ok(None) };
        Ok(match purpose {
            Purpose::Content if subject.generation == generation => subject.content.clone(),
            Purpose::Evidence if subject.generation == generation => subject.evidence.clone(),
            Purpose::Evidence => former.get(&generation).cloned(),
            Purpose::Content | Purpose::Suppression | Purpose::Case => None,
        })
    }

    fn create(&mut self, subjects: &[NewSubject]) -> Result<(), VaultError> {
        let mut claimed = BTreeMap::new();
        for new in subjects {
            let holder = self.found.get(&new.key_hash).copied();
            let holder = holder.unwrap_or_else(|| *claimed.entry(new.key_hash).or_insert(new.subject_id));
            if holder != new.subject_id {
                return Err(VaultError::KeyHashTaken { subject: new.subject_id });
            }
        }
        for new in subjects {
            if self.found.contains_key(&new.key_hash) {
                continue;
            }
            let subject = Subject {
                subject_id: new.subject_id,
                generation: Generation::FIRST,
                last_known: BTreeMap::new(),
                versions: Versions::default(),
                sequence: SubjectSequence::default(),
                is_erased: false,
                content: Some(new.content.clone()),
                evidence: Some(new.evidence.clone()),
            };
            self.point(new.key_hash, Some(new.subject_id));
            self.put(Entry { subject, former: BTreeMap::new(), key_hash: Some(new.key_hash) });
        }
        self.sync()
    }

    fn begin_life(&mut self, life: &NewLife) -> Result<bool, VaultError> {
        let Some(mut entry) = self.subjects.get(&life.subject_id).cloned() else { return Ok(false) };
        let subject = &mut entry.subject;
        if !subject.is_erased || subject.generation.0.checked_add(1) != Some(life.generation.0) {
            return Ok(false);
        }
        let evidence = subject.evidence.replace(life.evidence.clone());
        entry.former.extend(evidence.map(|key| (subject.generation, key)));
        subject.content = Some(life.content.clone());
        (subject.generation, subject.is_erased) = (life.generation, false);
        subject.last_known.clear();
        subject.versions = Versions::default();
        self.put(entry);
        self.sync()?;
        Ok(true)
    }

    fn remember(&mut self, changes: &[Remember], through: Offset) -> Result<(), VaultError> {
        if through < self.remembered {
            return Ok(());
        }
        if let Some(at) = self.unknown(changes) {
            return Err(VaultError::UnknownSubject { change: at + 1, changes: changes.len() });
        }
        changes.iter().for_each(|change| self.apply(change));
        self.unsynced.remembered.get_or_insert(self.remembered);
        self.remembered = through;
        Ok(())
    }

    fn remembered(&self) -> Offset {
        self.remembered
    }

    fn sync(&mut self) -> Result<(), VaultError> {
        self.unsynced = Unsynced::default();
        Ok(())
    }

    fn destroy(
        &mut self,
        subject: SubjectId,
        generation: Generation,
        purposes: &[Purpose],
    ) -> Result<(), VaultError> {
        let Some(mut entry) = self.subjects.get(&subject).cloned() else { return Ok(()) };
        if entry.subject.generation != generation {
            if purposes.contains(&Purpose::Evidence) {
                entry.former.remove(&generation);
            }
            self.put(entry);
            return self.sync();
        }
        for purpose in purposes {
            match purpose {
                Purpose::Content => {
                    entry.subject.content = None;
                    entry.subject.last_known.clear();
                    entry.subject.versions = Versions::default();
                    entry.subject.is_erased = true;
                }
                Purpose::Evidence => entry.subject.evidence = None,
                Purpose::Suppression | Purpose::Case => {}
            }
        }
        self.put(entry);
        self.sync()
    }
}

fn restore<K: Ord, V>(present: &mut BTreeMap<K, V>, former: BTreeMap<K, Option<V>>) {
    for (key, value) in former {
        match value {
            Some(value) => present.insert(key, value),
            None => present.remove(&key),
        };
    }
}
