//! The key vault: subjects, their keys, and their last-known state.
//!
//! One record per subject, found by a keyed hash of its natural key: internal id, generation, wrapped keys
//! per purpose, sealed last-known state. Mutable, in its own files, never in the log. Keys are durable before
//! anything sealed under them is; last-known state lags and is re-derived from the log after a crash.

pub mod error;

mod destroy;
mod disk;
mod draft;
mod kek;
mod kek_file;
mod master;
mod memory;
mod recent;
mod record;
mod secrets;
mod wrap;

#[cfg(test)]
mod tests;

pub use disk::{FjallVault, Open};
pub use master::{Master, MasterKey};
pub use memory::MemoryVault;
pub use secrets::TenantSecrets;

use std::collections::BTreeMap;

use writ_kernel::admission;
use writ_model::envelope::ClearHeader;
use writ_model::id::{Generation, KeyHash, Offset, SubjectId};
use writ_model::lineage::{Applied, SourceVersion, Standing, SubjectSequence, Versions};
use writ_model::taxonomy::ChangeType;
use writ_model::value::Attributes;
use zeroize::ZeroizeOnDrop;

use crate::error::VaultError;

/// What a key is for; each has its own rule of destruction (ADR 0002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Payloads in the log, last-known state.
    Content,
    /// Audit tags and openings; outlives content.
    Evidence,
    /// Proof of suppression.
    Suppression,
    /// Open privacy cases.
    Case,
}

/// A 256-bit key. Zeroed when dropped, never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct SubjectKey(pub [u8; 32]);

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(<hidden>)")
    }
}

/// A subject as capture needs it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Internal id.
    pub subject_id: SubjectId,
    /// Present life.
    pub generation: Generation,
    /// The last-known attributes, per change type; what detection diffs against.
    pub last_known: BTreeMap<ChangeType, Attributes>,
    /// How new what was applied is, as its producers said.
    pub versions: Versions,
    /// The number of its last stored event.
    pub sequence: SubjectSequence,
    /// The subject was erased and no new generation was opened.
    pub is_erased: bool,
    /// Content key of the present generation, unless destroyed.
    pub content: Option<SubjectKey>,
    /// Evidence key of the present generation, unless destroyed.
    pub evidence: Option<SubjectKey>,
}

/// A subject seen for the first time. Keys and id are random bytes that the caller drew.
#[derive(Debug, Clone)]
pub struct NewSubject {
    /// Where it will be found.
    pub key_hash: KeyHash,
    /// Internal id.
    pub subject_id: SubjectId,
    /// Content key.
    pub content: SubjectKey,
    /// Evidence key.
    pub evidence: SubjectKey,
}

/// Another life of an erased subject. Keys are random bytes that the caller drew.
#[derive(Debug, Clone)]
pub struct NewLife {
    /// Whose.
    pub subject_id: SubjectId,
    /// Which: the one after the life that was erased.
    pub generation: Generation,
    /// Content key.
    pub content: SubjectKey,
    /// Evidence key.
    pub evidence: SubjectKey,
}

/// What a change did to a subject's last-known state.
#[derive(Debug, Clone)]
pub struct Remember {
    /// Where the subject is found after the change.
    pub key_hash: KeyHash,
    /// Where it was found before, when its key changed.
    pub old_key_hash: Option<KeyHash>,
    /// The attribute group that an event is about; `None` when the event is stale, or when the key changed and
    /// no event entered the stream.
    pub group: Option<Group>,
    /// The event's number among the subject's; zero when there is no event.
    pub sequence: SubjectSequence,
}

impl Remember {
    /// What a stored event did to its subject; the same whether it was just written or is read again. `after` and
    /// `version` are from its private part.
    pub fn of_event(
        header: &ClearHeader,
        sequence: SubjectSequence,
        (after, version): (Option<Attributes>, Option<SourceVersion>),
        key_hash: KeyHash,
        old_key_hash: Option<KeyHash>,
    ) -> Self {
        let lineage = header.lineage.as_ref();
        let vector = lineage.map(|lineage| lineage.vector.clone()).unwrap_or_default();
        let group = Group {
            change_type: header.change_type,
            attributes: after,
            applied: Applied { version, vector },
            is_whole: admission::is_whole(header.operation),
        };
        let is_stale = lineage.and_then(|lineage| lineage.standing) == Some(Standing::Stale);
        Self { key_hash, old_key_hash, group: (!is_stale).then_some(group), sequence }
    }

    /// Moves a subject on. One whose content key is gone keeps nothing but its number.
    pub fn put_into(&self, subject: &mut Subject) {
        subject.sequence = subject.sequence.max(self.sequence);
        if let Some(group) = self.group.clone().filter(|_| subject.content.is_some()) {
            group.put_into(&mut subject.last_known, &mut subject.versions);
        }
    }

    /// A record moved to another key, and no event in the stream says so.
    pub fn moved(old: KeyHash, new: KeyHash) -> Self {
        Self { key_hash: new, old_key_hash: Some(old), group: None, sequence: SubjectSequence::default() }
    }
}

/// One attribute group as an event left it.
#[derive(Debug, Clone)]
pub struct Group {
    /// Which.
    pub change_type: ChangeType,
    /// Its attributes now; `None` forgets the group.
    pub attributes: Option<Attributes>,
    /// How new they are.
    pub applied: Applied,
    /// The event was about the record as a whole.
    pub is_whole: bool,
}

impl Group {
    /// Puts the group into the last-known state, or takes it out; how new it is stays known either way.
    pub fn put_into(self, known: &mut BTreeMap<ChangeType, Attributes>, versions: &mut Versions) {
        versions.apply(self.change_type, self.is_whole, &self.applied);
        match self.attributes {
            Some(attributes) => drop(known.insert(self.change_type, attributes)),
            None => drop(known.remove(&self.change_type)),
        }
    }
}

/// Subjects, keys, last-known state.
pub trait Vault: Send {
    /// The subject under this key hash.
    fn find(&self, key_hash: KeyHash) -> Result<Option<Subject>, VaultError>;

    /// The subject's present key hash, by internal id; `None` also when another subject has taken it.
    fn locate(&self, subject_id: SubjectId) -> Result<Option<KeyHash>, VaultError>;

    /// The subject's present life, erased or not; `None` for a subject that is not there.
    fn generation(&self, subject: SubjectId) -> Result<Option<Generation>, VaultError>;

    /// One key; `None` when it was destroyed or never existed.
    fn key(
        &self,
        subject: SubjectId,
        generation: Generation,
        purpose: Purpose,
    ) -> Result<Option<SubjectKey>, VaultError>;

    /// Adds subjects, all or none. When it returns, their keys survive a power cut: one sync for the whole
    /// batch. A subject that is there already is left as it is; a key hash that names another subject is an
    /// error ([`VaultError::KeyHashTaken`]): remember that one's rekey first.
    fn create(&mut self, subjects: &[NewSubject]) -> Result<(), VaultError>;

    /// Begins another life of an erased subject: new keys, nothing known, numbers that go on. The evidence key of the
    /// former life stays. Durable when it returns; false, and nothing changed, when the subject is not there, is not
    /// erased, or is not in the life before.
    fn begin_life(&mut self, life: &NewLife) -> Result<bool, VaultError>;

    /// Moves last-known states on, as of log offset `through` (exclusive): all changes, in order, or none. Not
    /// synced: after a crash the log's events from [`Vault::remembered`] on are applied again. A batch older
    /// than that is skipped. An erased subject keeps nothing, but follows its rekeys, so that it is recognised.
    /// A subject whose key hash another is moved to is found by its id only; its keys stay.
    fn remember(&mut self, changes: &[Remember], through: Offset) -> Result<(), VaultError>;

    /// The log offset up to which last-known states are in place.
    fn remembered(&self) -> Offset;

    /// Syncs what [`Vault::remember`] wrote.
    fn sync(&mut self) -> Result<(), VaultError>;

    /// Destroys keys: removes the wrapped keys of these purposes, then rotates the key-encryption key of the
    /// subject's bucket and re-wraps the survivors, so that yesterday's copy of the vault cannot open them.
    /// Durable when it returns. Forgets the last-known state when `Content` is among the purposes; the subject
    /// stays, erased. Keys that are already gone are no error, nor is a subject that was never there.
    fn destroy(
        &mut self,
        subject: SubjectId,
        generation: Generation,
        purposes: &[Purpose],
    ) -> Result<(), VaultError>;
}
