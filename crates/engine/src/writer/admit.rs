//! Is this change new, whose is it, and what was detected in it? Looks up what the kernel's functions need
//! and passes it on; deciding the detected events is `decide.rs`.

use writ_kernel::admission::{self, ClockError, Fate, Pushed, Read};
use writ_kernel::detect;
use writ_kernel::identity::{self, Origin};
use writ_model::change::Change;
use writ_model::control::{ControlFact, Covered, IntakeSeen};
use writ_model::id::{EventId, Generation, KeyHash, RecordKey, SubjectId};
use writ_model::lineage::{SubjectSequence, Versions};
use writ_model::mapping::TableMapping;
use writ_model::time::Timestamp;
use writ_store::vault::{Subject, SubjectKey};

use super::Admitted;
use super::batch::Batch;
use super::commit::Writer;
use crate::error::EngineError;
use crate::metric;

/// A subject and where it is found before and after the change.
pub(super) struct Found {
    pub(super) subject: Subject,
    pub(super) key_hash: KeyHash,
    /// Where it was found before its key changed, until an event records the move.
    pub(super) moved_from: Option<KeyHash>,
    /// Drawn for this change; joins the vault when an event comes of it.
    pub(super) is_new: bool,
}

impl Writer {
    /// Admits one change into the batch. An error here is the vault's or the random source's and stops the
    /// engine; a change that does not fit its mapping is an answer, and counts only when it was pushed: one that
    /// was read comes again.
    pub(super) fn admit(&mut self, batch: &mut Batch, change: &Change) -> Result<Admitted, EngineError> {
        let was_read = self.was_read(batch, change);
        let duplicate = (Admitted::Duplicate, Fate::Duplicate);
        let (admitted, fate) = if was_read { duplicate } else { self.judge(batch, change)? };
        if matches!(admitted, Admitted::Misfit(_)) && change.producer_id.is_none() {
            return Ok(admitted);
        }
        if fate == Fate::Duplicate {
            metric::duplicate(change.source.as_str());
        }
        batch.tallies.entry(change.source.clone()).or_default().count(fate);
        batch.spans.entry(change.source.clone()).or_default().extend(change);
        // What the log covers never goes back, or the rest of what is read again would be taken for new.
        if change.producer_id.is_none() && !was_read {
            let Change { source, incarnation, position, .. } = change;
            let covered =
                Covered { source: source.clone(), incarnation: incarnation.clone(), position: *position };
            batch.covered.insert(source.clone(), covered);
        }
        Ok(admitted)
    }

    fn judge(&mut self, batch: &mut Batch, change: &Change) -> Result<(Admitted, Fate), EngineError> {
        let Some(mapping) = self.mapping(change) else {
            return Ok((Admitted::Unmapped, Fate::Silent));
        };
        let found = self.subject(batch, change)?;
        if let Some(known) = self.was_pushed(batch, change, &found)? {
            return Ok((known, Fate::Duplicate));
        }
        if let Some(ahead_ms) = self.receive(change) {
            return Ok((Admitted::Ahead(ahead_ms), Fate::Refused));
        }
        let detected = match detect::detect(&mapping, change, &found.subject.last_known) {
            Ok(detected) => detected,
            Err(error) => {
                return Ok((Admitted::Misfit(error.to_string()), Fate::Refused));
            }
        };
        let (key, is_new) = (found.subject.content.clone(), found.is_new);
        let (admitted, fate) = self.decide_all(batch, change, found, detected)?;
        if change.producer_id.is_some() {
            // The key of a new subject without events is not kept: nothing can be compared with its hash.
            let key = key.filter(|_| !(is_new && admitted == Admitted::Unchanged));
            let hash = key.map(|key| identity::content_hash(&key.0, change)).unwrap_or_default();
            self.take_push(batch, change, hash, &admitted);
        }
        Ok((admitted, fate))
    }

    /// Takes in the clocks that a producer claims; `Some`: by how many milliseconds its clock is too far ahead.
    fn receive(&mut self, change: &Change) -> Option<u64> {
        let claim = &change.claim;
        let now = self.stamp();
        if let Some(remote) = claim.hlc
            && let Err(ClockError::Drift { ahead_ms, .. }) = self.hlc.receive(remote, now, u64::MAX)
        {
            return Some(ahead_ms);
        }
        self.lamport = self.lamport.max(claim.lamport.unwrap_or_default());
        None
    }

    fn was_read(&self, batch: &Batch, change: &Change) -> bool {
        let covered = batch.covered.get(&change.source).or_else(|| self.covered.get(&change.source));
        change.producer_id.is_none() && admission::read(covered, change) == Read::Duplicate
    }

    fn was_pushed(
        &mut self,
        batch: &Batch,
        change: &Change,
        found: &Found,
    ) -> Result<Option<Admitted>, EngineError> {
        if change.producer_id.is_none() {
            return Ok(None);
        }
        let id = self.intake_id(change);
        let seen = match batch.taken.get(&id).or_else(|| self.taken.get(id)) {
            Some(seen) => Some(seen.clone()),
            None => self.state.intake(id).map_err(|error| super::failure::state_failed(&error))?,
        };
        let (now, window) = (self.stamp(), self.terms[&change.source].dedup_window);
        let seen = seen.filter(|seen| admission::is_remembered(seen, now, window));
        let hash = seen.as_ref().and_then(|seen| comparable(seen, found, change));
        Ok(match admission::pushed(seen.as_ref(), hash.as_deref()) {
            Pushed::Accepted => None,
            Pushed::Duplicate => Some(Admitted::Duplicate),
            Pushed::Conflict => Some(Admitted::Conflict),
        })
    }

    /// Dedup key of a pushed change: does not depend on when it was sent again.
    fn intake_id(&self, change: &Change) -> EventId {
        identity::causation_id(&self.secrets.event_id_key, &Origin::of(&self.tenant, change), Timestamp(0))
    }

    fn take_push(&mut self, batch: &mut Batch, change: &Change, content_hash: String, admitted: &Admitted) {
        let events = match admitted {
            Admitted::Accepted(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
            Admitted::Kept(..) => 1,
            Admitted::Duplicate
            | Admitted::Conflict
            | Admitted::Stale
            | Admitted::Ahead(_)
            | Admitted::Unchanged
            | Admitted::Unmapped
            | Admitted::Misfit(_) => 0,
        };
        let causation_id = self.intake_id(change);
        let at = self.stamp();
        let seen = IntakeSeen { causation_id, source: change.source.clone(), content_hash, events, at };
        batch.taken.insert(causation_id, seen.clone());
        batch.facts.push(ControlFact::Intake(seen));
    }

    fn mapping(&self, change: &Change) -> Option<TableMapping> {
        let mapped = self.mappings.get(&change.source).and_then(|tables| tables.get(&change.table));
        mapped.cloned().or_else(|| typed(change))
    }

    fn key_hash(&self, change: &Change, key: &RecordKey) -> KeyHash {
        let Self { secrets, tenant, .. } = self;
        identity::key_hash(&secrets.tenant_key, tenant, &change.source, &change.table, key)
    }

    /// The change has to wait for the commit of what the batch holds. Its key belonged to a record that this very
    /// batch gives another: the vault has to learn of that before a new subject can be created under it. Or its
    /// record was moved by a fact: in a commit events stand before facts, so after a crash its events would be
    /// looked for where the record is not yet.
    pub(super) fn needs_commit_first(&self, batch: &Batch, change: &Change) -> bool {
        if batch.given_away.is_empty() && batch.moved_to.is_empty() {
            return false;
        }
        let key_hash = self.key_hash(change, &change.key);
        let old = change.old_key.as_ref().map(|old| self.key_hash(change, old));
        let is_moved = |hash: &KeyHash| batch.moved_to.contains(hash);
        batch.given_away.contains(&key_hash) || is_moved(&key_hash) || old.as_ref().is_some_and(is_moved)
    }

    /// The record's subject: where its key was before the change, else where it is now, else drawn anew.
    fn subject(&self, batch: &Batch, change: &Change) -> Result<Found, EngineError> {
        let hash = |key| self.key_hash(change, key);
        let key_hash = hash(&change.key);
        if let Some(old) = change.old_key.as_ref().map(hash).filter(|old| *old != key_hash)
            && let Some(subject) = self.find(batch, old)?
        {
            return Ok(Found { subject, key_hash, moved_from: Some(old), is_new: false });
        }
        let known = self.find(batch, key_hash)?;
        let is_new = known.is_none();
        let subject = known.map_or_else(|| self.draw_subject(), Ok)?;
        Ok(Found { subject, key_hash, moved_from: None, is_new })
    }

    fn find(&self, batch: &Batch, key_hash: KeyHash) -> Result<Option<Subject>, EngineError> {
        if let Some(subject) = batch.overlay.get(&key_hash) {
            return Ok(subject.clone());
        }
        self.vault().find(key_hash).map_err(|error| super::failure::vault_failed(&error))
    }

    fn draw_subject(&self) -> Result<Subject, EngineError> {
        Ok(Subject {
            subject_id: SubjectId(super::random()?),
            generation: Generation::FIRST,
            last_known: std::collections::BTreeMap::new(),
            versions: Versions::default(),
            sequence: SubjectSequence::default(),
            is_erased: false,
            content: Some(SubjectKey(super::random()?)),
            evidence: Some(SubjectKey(super::random()?)),
        })
    }
}

/// The mapping of a change whose producer has typed it: the table is the entity, the attributes are the ones
/// that were sent. Its key columns have no name, so none of the attributes is taken for one of them.
fn typed(change: &Change) -> Option<TableMapping> {
    change.declared?;
    Some(TableMapping {
        entity: change.table.parse().ok()?,
        key: vec![String::new(); change.key.0.len()],
        changes: std::collections::BTreeMap::new(),
        soft_delete: None,
        parent: None,
        location: None,
        locale: None,
    })
}

/// What the content taken under this id is held against; `None` where that cannot be compared. A hash is kept only
/// under the key of a record that is known, so a new record under the same id is another content.
fn comparable(seen: &IntakeSeen, found: &Found, change: &Change) -> Option<String> {
    if seen.content_hash.is_empty() {
        return None;
    }
    if found.is_new {
        return Some(String::new());
    }
    found.subject.content.as_ref().map(|key| identity::content_hash(&key.0, change))
}
