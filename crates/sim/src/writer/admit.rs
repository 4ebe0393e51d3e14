//! Is this change new, whose is it, and what was detected in it?

use std::collections::BTreeMap;

use writ_kernel::admission::{self, Fate, Read};
use writ_kernel::{detect, identity};
use writ_model::change::Change;
use writ_model::control::{Covered, SourceProgress};
use writ_model::id::{Generation, KeyHash, RecordKey, SourceName, SubjectId};
use writ_model::lineage::{SubjectSequence, Versions};
use writ_store::vault::{Subject, SubjectKey, Vault};

use crate::bug::Bug;
use crate::tenant::TABLE;
use crate::upstream::Handed;
use crate::world::World;

/// A subject and where it is found before and after the change.
pub(super) struct Found {
    pub(super) subject: Subject,
    pub(super) key_hash: KeyHash,
    /// Where it was found before its key changed, until an event records the move.
    pub(super) moved_from: Option<KeyHash>,
    /// Drawn for this change; joins the vault when an event comes of it.
    pub(super) is_new: bool,
}

impl World {
    /// Takes in what the source hands over.
    pub(crate) fn take(&mut self, handed: Handed) -> Result<(), String> {
        for change in &handed.changes {
            if self.needs_commit_first(change) {
                let crashes = self.truth.crashes;
                let commits = self.commits;
                self.commit()?;
                if self.truth.crashes != crashes || self.commits == commits {
                    // What follows a refused commit would follow a gap: the source comes again.
                    return Ok(());
                }
            }
            let fate = self.admit(change)?;
            self.note(&(change.position, fate));
            self.batch.tally.count(fate);
            let position = change.position.to_string();
            if self.batch.span.from.is_empty() {
                self.batch.span.from.clone_from(&position);
            }
            self.batch.span.to = position;
            // A duplicate is covered already, and must not take the mark back.
            if fate != Fate::Duplicate || self.bug == Some(Bug::CoveredTakenBack) {
                let Change { source, incarnation, position, .. } = change.clone();
                self.batch.covered = Some(Covered { source, incarnation, position });
            }
        }
        if let (Some(Bug::AcknowledgeBeforeSync), Some(progress)) = (self.bug, &handed.progress) {
            self.upstream.acknowledge(progress.position);
        }
        if let Some(progress) = handed.progress {
            let durable = SourceProgress { position: self.reference.progress, ..progress.clone() };
            let durable = self.batch.progress.as_ref().unwrap_or(&durable);
            if admission::advances(Some(durable), &progress) {
                self.batch.progress = Some(progress);
            }
        }
        self.want_commit();
        Ok(())
    }

    /// A subject cannot join under a key that another one gives up in the same commit: the vault moves
    /// subjects after the sync and adds them before. Nor can events of a record that a fact of the commit moves: events
    /// stand before facts.
    fn needs_commit_first(&self, change: &Change) -> bool {
        let key_hash = self.key_hash(&change.key);
        let is_given_up = matches!(self.batch.overlay.get(&key_hash), Some(None));
        let is_moved = |hash: &KeyHash| self.batch.moved_to.contains(hash);
        let old = change.old_key.as_ref().map(|old| self.key_hash(old));
        let follows = is_moved(&key_hash) || old.as_ref().is_some_and(is_moved);
        is_given_up && self.bug != Some(Bug::KeyTakenOver) || follows
    }

    fn admit(&mut self, change: &Change) -> Result<Fate, String> {
        let covered = self.batch.covered.as_ref().or(self.writer.covered.as_ref());
        if admission::read(covered, change) == Read::Duplicate {
            return Ok(Fate::Duplicate);
        }
        let found = self.subject(change)?;
        let detected = detect::detect(&self.tenant.mapping, change, &found.subject.last_known);
        let detected = detected.map_err(|error| format!("detect: {error}"))?;
        self.decide_all(change, found, detected)
    }

    /// The record's subject: where its key was before the change, else where it is now, else drawn anew.
    pub(super) fn subject(&mut self, change: &Change) -> Result<Found, String> {
        let key_hash = self.key_hash_at(&change.source, &change.key);
        let old = change.old_key.as_ref().map(|key| self.key_hash_at(&change.source, key));
        if let Some(old) = old.filter(|old| *old != key_hash)
            && let Some(subject) = self.find(old)?
        {
            return Ok(Found { subject, key_hash, moved_from: Some(old), is_new: false });
        }
        let known = self.find(key_hash)?;
        let is_new = known.is_none();
        let subject = known.unwrap_or_else(|| self.draw_subject());
        Ok(Found { subject, key_hash, moved_from: None, is_new })
    }

    fn find(&self, key_hash: KeyHash) -> Result<Option<Subject>, String> {
        if let Some(subject) = self.batch.overlay.get(&key_hash) {
            return Ok(subject.clone());
        }
        self.vault.find(key_hash).map_err(|error| error.to_string())
    }

    fn draw_subject(&mut self) -> Subject {
        Subject {
            subject_id: SubjectId(self.chance.bytes()),
            generation: Generation::FIRST,
            last_known: BTreeMap::new(),
            versions: Versions::default(),
            sequence: SubjectSequence::default(),
            is_erased: false,
            content: Some(SubjectKey(self.chance.bytes())),
            evidence: Some(SubjectKey(self.chance.bytes())),
        }
    }

    pub(crate) fn key_hash(&self, key: &RecordKey) -> KeyHash {
        self.key_hash_at(&self.tenant.source, key)
    }

    pub(crate) fn key_hash_at(&self, source: &SourceName, key: &RecordKey) -> KeyHash {
        identity::key_hash(&self.tenant.secrets.tenant_key, &self.tenant.id, source, TABLE, key)
    }
}
