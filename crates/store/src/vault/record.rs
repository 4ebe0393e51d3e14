//! A subject's record: everything that capture needs, in one value, so that an event costs one read and one
//! write (decision of ADR 0002). Wrapped keys and last-known state in it are ciphertext.

use std::collections::BTreeMap;

use prost::Message;
use writ_model::id::{Generation, SubjectId};
use writ_model::lineage::{SubjectSequence, Versions};
use writ_model::taxonomy::ChangeType;
use writ_model::value::Attributes;
use zeroize::Zeroizing;

use super::kek::{Bucket, Kek, Keks};
use super::{NewLife, NewSubject, Purpose, Subject, SubjectKey, wrap};
use crate::error::VaultError;
use crate::seal::purpose_number;

/// The last-known attributes, per change type.
pub(super) type LastKnown = BTreeMap<ChangeType, Attributes>;

/// One subject. Fields are added, never changed or reused.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Record {
    #[prost(bytes = "vec", tag = "1")]
    subject_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    generation: u32,
    /// Epoch of the bucket's key under which all of `keys` are wrapped.
    #[prost(uint32, tag = "3")]
    kek_epoch: u32,
    #[prost(message, repeated, tag = "4")]
    keys: Vec<WrappedKey>,
    /// Sealed under the content key; empty when nothing is known.
    #[prost(bytes = "vec", tag = "5")]
    last_known: Vec<u8>,
    #[prost(bool, tag = "6")]
    is_erased: bool,
    /// Sealed under the content key; empty when no producer ever said how new its changes are.
    #[prost(bytes = "vec", tag = "7")]
    versions: Vec<u8>,
    /// The number of the subject's last stored event; outlives an erasure, for numbers are never given twice.
    #[prost(uint64, tag = "8")]
    sequence: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct WrappedKey {
    #[prost(uint32, tag = "1")]
    generation: u32,
    #[prost(uint32, tag = "2")]
    purpose: u32,
    #[prost(bytes = "vec", tag = "3")]
    wrapped: Vec<u8>,
}

impl WrappedKey {
    fn is(&self, generation: Generation, purpose: Purpose) -> bool {
        self.generation == generation.0 && self.purpose == u32::from(purpose_number(purpose))
    }
}

impl Record {
    /// A subject in its first life.
    pub(super) fn new(subject: &NewSubject, keks: &Keks) -> Result<Self, VaultError> {
        let kek = keks.current(Bucket::of(subject.subject_id));
        let (subject_id, generation) = (subject.subject_id, Generation::FIRST);
        let keys = [(Purpose::Content, &subject.content), (Purpose::Evidence, &subject.evidence)];
        let wrapped = keys.into_iter().map(|(purpose, key)| {
            let purpose = u32::from(purpose_number(purpose));
            let context = key_context(subject_id, generation.0, purpose, kek.epoch);
            let wrapped = wrap::wrap(&kek.key, &context, &key.0)?;
            Ok(WrappedKey { generation: generation.0, purpose, wrapped })
        });
        Ok(Self {
            keys: wrapped.collect::<Result<_, VaultError>>()?,
            subject_id: subject_id.0.to_vec(),
            generation: generation.0,
            kek_epoch: kek.epoch,
            last_known: Vec::new(),
            is_erased: false,
            versions: Vec::new(),
            sequence: 0,
        })
    }

    /// Begins another life; false when it is not erased, or not in the life before.
    pub(super) fn begin_life(&mut self, life: &NewLife, keks: &Keks) -> Result<bool, VaultError> {
        if !self.is_erased || self.generation.checked_add(1) != Some(life.generation.0) {
            return Ok(false);
        }
        let kek = self.kek(keks)?;
        let mut keys = Vec::with_capacity(2);
        for (purpose, key) in [(Purpose::Content, &life.content), (Purpose::Evidence, &life.evidence)] {
            let purpose = u32::from(purpose_number(purpose));
            let context = key_context(life.subject_id, life.generation.0, purpose, kek.epoch);
            let wrapped = wrap::wrap(&kek.key, &context, &key.0)?;
            keys.push(WrappedKey { generation: life.generation.0, purpose, wrapped });
        }
        self.keys.extend(keys);
        (self.generation, self.is_erased) = (life.generation.0, false);
        (self.last_known, self.versions) = (Vec::new(), Vec::new());
        Ok(true)
    }

    /// The subject's last stored event has at least this number.
    pub(super) fn count_to(&mut self, sequence: SubjectSequence) {
        self.sequence = self.sequence.max(sequence.0);
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        let record = Self::decode(bytes).ok().filter(|record| record.subject_id.len() == 16);
        record.ok_or_else(|| VaultError::unreadable("a subject's record"))
    }

    pub(super) fn subject_id(&self) -> SubjectId {
        SubjectId(self.subject_id.as_slice().try_into().expect("checked when it was read"))
    }

    /// The subject's present life.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// What capture needs, opened.
    pub(super) fn to_subject(&self, keks: &Keks) -> Result<Subject, VaultError> {
        let generation = Generation(self.generation);
        let content = self.key(keks, generation, Purpose::Content)?;
        Ok(Subject {
            subject_id: self.subject_id(),
            generation,
            last_known: self.last_known(content.as_ref())?,
            versions: self.versions(content.as_ref())?,
            sequence: SubjectSequence(self.sequence),
            is_erased: self.is_erased,
            evidence: self.key(keks, generation, Purpose::Evidence)?,
            content,
        })
    }

    /// One key, unwrapped; `None` when it was destroyed or never existed.
    pub(super) fn key(
        &self,
        keks: &Keks,
        generation: Generation,
        purpose: Purpose,
    ) -> Result<Option<SubjectKey>, VaultError> {
        let Some(key) = self.keys.iter().find(|key| key.is(generation, purpose)) else { return Ok(None) };
        self.unwrap(self.kek(keks)?, key).map(Some)
    }

    /// The content key of the present generation.
    pub(super) fn content_key(&self, keks: &Keks) -> Result<Option<SubjectKey>, VaultError> {
        self.key(keks, Generation(self.generation), Purpose::Content)
    }

    /// The last-known state; empty without the content key.
    pub(super) fn last_known(&self, content: Option<&SubjectKey>) -> Result<LastKnown, VaultError> {
        let Some(content) = content.filter(|_| !self.last_known.is_empty()) else {
            return Ok(LastKnown::new());
        };
        let plain = wrap::open(&content.0, &self.state_context(), &self.last_known).map(Zeroizing::new);
        let plain = plain.ok_or_else(|| VaultError::unreadable("a last-known state"))?;
        serde_json::from_slice(&plain).map_err(|_| VaultError::unreadable("a last-known state"))
    }

    pub(super) fn set_last_known(
        &mut self,
        known: &LastKnown,
        content: &SubjectKey,
    ) -> Result<(), VaultError> {
        let plain = serde_json::to_vec(known).map_err(|_| VaultError::unreadable("a last-known state"))?;
        self.last_known = wrap::seal(&content.0, &self.state_context(), plain)?;
        Ok(())
    }

    /// How new what is known is; nothing without the content key.
    pub(super) fn versions(&self, content: Option<&SubjectKey>) -> Result<Versions, VaultError> {
        let Some(content) = content.filter(|_| !self.versions.is_empty()) else {
            return Ok(Versions::default());
        };
        let plain = wrap::open(&content.0, &self.versions_context(), &self.versions);
        let plain = plain.ok_or_else(|| VaultError::unreadable("the versions of a last-known state"))?;
        serde_json::from_slice(&plain)
            .map_err(|_| VaultError::unreadable("the versions of a last-known state"))
    }

    pub(super) fn set_versions(
        &mut self,
        versions: &Versions,
        content: &SubjectKey,
    ) -> Result<(), VaultError> {
        if versions.is_empty() {
            self.versions = Vec::new();
            return Ok(());
        }
        let plain = serde_json::to_vec(versions);
        let plain = plain.map_err(|_| VaultError::unreadable("the versions of a last-known state"))?;
        self.versions = wrap::seal(&content.0, &self.versions_context(), plain)?;
        Ok(())
    }

    /// Removes keys, and with the present content key the last-known state. False when none of them was there.
    pub(super) fn forget(&mut self, generation: Generation, purposes: &[Purpose]) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| !purposes.iter().any(|purpose| key.is(generation, *purpose)));
        if purposes.contains(&Purpose::Content) && generation.0 == self.generation {
            self.last_known = Vec::new();
            self.versions = Vec::new();
            self.is_erased = true;
        }
        self.keys.len() < before
    }

    /// Wraps every key under its bucket's current key. False when they already are.
    pub(super) fn rewrap(&mut self, keks: &Keks) -> Result<bool, VaultError> {
        let (from, to) = (self.kek(keks)?, keks.current(Bucket::of(self.subject_id())));
        if from.epoch == to.epoch {
            return Ok(false);
        }
        let rewrapped = self.keys.iter().map(|key| {
            let plain = self.unwrap(from, key)?;
            let context = key_context(self.subject_id(), key.generation, key.purpose, to.epoch);
            Ok(WrappedKey { wrapped: wrap::wrap(&to.key, &context, &plain.0)?, ..key.clone() })
        });
        self.keys = rewrapped.collect::<Result<_, VaultError>>()?;
        self.kek_epoch = to.epoch;
        Ok(true)
    }

    fn unwrap(&self, kek: &Kek, key: &WrappedKey) -> Result<SubjectKey, VaultError> {
        let context = key_context(self.subject_id(), key.generation, key.purpose, kek.epoch);
        wrap::unwrap(&kek.key, &context, &key.wrapped).ok_or_else(|| self.bucket_error())
    }

    fn kek<'k>(&self, keks: &'k Keks) -> Result<&'k Kek, VaultError> {
        keks.of_epoch(Bucket::of(self.subject_id()), self.kek_epoch).ok_or_else(|| self.bucket_error())
    }

    fn bucket_error(&self) -> VaultError {
        VaultError::Bucket { bucket: Bucket::of(self.subject_id()).number() }
    }

    fn state_context(&self) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        [b"writ/vault/last-known/v1", self.subject_id.as_slice(), &generation].concat()
    }

    fn versions_context(&self) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        [b"writ/vault/versions/v1", self.subject_id.as_slice(), &generation].concat()
    }
}

/// Binds a wrapped key to its owner, its use, and the epoch it is wrapped in. All parts have fixed lengths.
fn key_context(subject: SubjectId, generation: u32, purpose: u32, kek_epoch: u32) -> Vec<u8> {
    let numbers = [generation, purpose, kek_epoch].map(u32::to_be_bytes);
    [b"writ/vault/key/v1", subject.0.as_slice(), numbers.as_flattened()].concat()
}
