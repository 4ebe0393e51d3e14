//! From what was detected to decided events in the batch: envelope, schema verdict, gate, and for what the
//! gate keeps out, the journal.

use writ_kernel::admission::{self, Admission, Course, Fate};
use writ_kernel::gate::machine::{Effect, Fact, Ticket};
use writ_kernel::gate::{Cleared, Decided, Kept};
use writ_kernel::identity::{self, Origin};
use writ_kernel::machine::Machine;
use writ_model::change::{Change, Detected};
use writ_model::control::{ControlFact, StaleDropped, Withheld};
use writ_model::envelope::Envelope;
use writ_model::lineage::{Lineage, Ordinals};
use writ_model::verdict::{Checked, WithheldAs};
use writ_store::seal::rekey::Move;
use writ_store::vault::{NewSubject, Remember};

use super::admit::Found;
use super::batch::{Batch, Pending};
use super::commit::Writer;
use super::{Admitted, leaf};
use crate::error::EngineError;

impl Writer {
    /// Decides every event of one change, in change-type order. The change counts as kept when any of its
    /// events is.
    pub(super) fn decide_all(
        &mut self,
        batch: &mut Batch,
        change: &Change,
        mut found: Found,
        detected: Vec<Detected>,
    ) -> Result<(Admitted, Fate), EngineError> {
        let mut accepted = Vec::new();
        let mut kept_one = None;
        let mut is_stale = false;
        for one in detected {
            let Some(lineage) = self.lineage(change, &found, &one) else {
                self.drop_stale(batch, change, &found, &one);
                is_stale = true;
                continue;
            };
            let envelope = self.envelope(change, &found, one, lineage)?;
            if found.is_new {
                add_subject(batch, &mut found);
            }
            match self.decide(envelope, &found)? {
                Decided::Cleared(cleared) => {
                    accepted.push(cleared.envelope().header.event_id);
                    self.put(batch, &mut found, cleared)?;
                }
                Decided::Kept(kept) => {
                    kept_one = Some(self.keep(batch, &found, kept)?);
                }
            }
        }
        self.record_move(batch, &mut found)?;
        Ok(match kept_one {
            Some((admitted, fate)) => (admitted, fate),
            None if accepted.is_empty() && is_stale => (Admitted::Stale, Fate::Stale),
            None if accepted.is_empty() => (Admitted::Unchanged, Fate::Silent),
            None => (Admitted::Accepted(accepted), Fate::Accepted),
        })
    }

    /// Where the change of one group stands; `None`: it is stale, and the source's stale changes are dropped.
    fn lineage(&self, change: &Change, found: &Found, one: &Detected) -> Option<Option<Lineage>> {
        let (versions, claim, group) = (&found.subject.versions, &change.claim, one.change_type);
        let standing = admission::standing(versions, claim, one, found.subject.last_known.get(&group));
        match self.terms[&change.source].stale.course(group, standing) {
            Course::Take(mark) => {
                Some(admission::lineage(versions, claim, group, self.region.as_ref(), mark))
            }
            Course::Drop => None,
        }
    }

    fn drop_stale(&mut self, batch: &mut Batch, change: &Change, found: &Found, one: &Detected) {
        let origin = Origin::of(&self.tenant, change);
        let key = &self.secrets.event_id_key;
        batch.facts.push(ControlFact::Stale(StaleDropped {
            event_id: identity::event_id(key, &origin, one.change_type, change.committed_at),
            source: change.source.clone(),
            change_type: one.change_type,
            subject_id: found.subject.subject_id,
            at: self.stamp(),
        }));
        crate::metric::stale(change.source.as_str(), one.change_type.as_str());
    }

    fn envelope(
        &mut self,
        change: &Change,
        found: &Found,
        one: Detected,
        lineage: Option<Lineage>,
    ) -> Result<Envelope, EngineError> {
        let recorded_at = self.stamp();
        let origin = Origin::of(&self.tenant, change);
        // Every value drawn is in the log or was never seen by anybody, so the log's last is the ceiling.
        let hlc =
            self.hlc.tick(recorded_at, u64::MAX).map_err(|error| super::failure::clock_failed(&error))?;
        let admission = Admission {
            tenant: &self.tenant,
            event_id: identity::event_id(
                &self.secrets.event_id_key,
                &origin,
                one.change_type,
                change.committed_at,
            ),
            causation_id: identity::causation_id(&self.secrets.event_id_key, &origin, change.committed_at),
            subject_id: found.subject.subject_id,
            generation: found.subject.generation,
            slot: identity::slot(&self.secrets.slot_key, found.subject.subject_id),
            hlc,
            recorded_at,
            schema_major: self.registry.schema(one.change_type).major(),
            lineage,
        };
        Ok(admission::assemble(change, one, &admission))
    }

    /// One event through the gate. The policy engine is embedded, so its verdict is there at once.
    fn decide(&mut self, envelope: Envelope, found: &Found) -> Result<Decided, EngineError> {
        let checked: Box<Checked> = Box::new(self.registry.check(envelope));
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        let submit = if found.subject.is_erased { Fact::SubmitErased } else { Fact::Submit };
        let mut effects = Vec::new();
        self.gate.on(self.clock.now(), submit(ticket, checked), &mut effects);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Ask(ticket, input) => {
                    let verdict = self.policy.verdict(&input);
                    self.gate.on(self.clock.now(), Fact::Verdict(ticket, verdict), &mut effects);
                }
                Effect::Decided(_, decided) => return Ok(decided),
            }
        }
        Err(super::failure::gate_silent())
    }

    /// Writes an event that stays outside the stream into the journal, with a leaf of its own.
    fn keep(&self, batch: &mut Batch, found: &Found, kept: Kept) -> Result<(Admitted, Fate), EngineError> {
        let header = &kept.envelope.header;
        let sealed = match &found.subject.content {
            Some(key) if kept.may_keep_payload => Some(super::seal_private(&kept.envelope, key)?),
            Some(_) | None => None,
        };
        let withheld = Withheld {
            event_id: header.event_id,
            withheld: kept.as_what,
            reason: kept.reason.clone(),
            source: header.source.clone(),
            change_type: header.change_type,
            subject_id: header.subject_id,
            policy: kept.policy.clone(),
            at: header.recorded_at,
            sealed,
        };
        batch.leaves.extend(leaf::withheld(&self.origin, &kept, found.subject.evidence.as_ref())?);
        batch.facts.push(ControlFact::Withheld(withheld));
        crate::metric::withheld(kept.as_what.as_str());
        let fate = match kept.as_what {
            WithheldAs::Held => Fate::Held,
            WithheldAs::Quarantined => Fate::Quarantined,
            WithheldAs::Refused => Fate::Refused,
        };
        Ok((Admitted::Kept(header.event_id, kept.as_what, kept.reason.clone()), fate))
    }
}

impl Writer {
    /// A key change that no event in the stream records goes into the journal: under its new key the record
    /// would be another subject otherwise. Of a subject without an evidence key nothing may be written down.
    fn record_move(&self, batch: &mut Batch, found: &mut Found) -> Result<(), EngineError> {
        let Some(old) = found.moved_from.take() else { return Ok(()) };
        let (subject_id, generation) = (found.subject.subject_id, found.subject.generation);
        if let Some(evidence) = &found.subject.evidence {
            let moved = Move { old, new: found.key_hash };
            let fact = moved.seal(subject_id, generation, evidence, super::random()?);
            let fact = fact.map_err(|error| super::failure::seal_failed(&error))?;
            batch.facts.push(ControlFact::Rekeyed(fact));
        }
        batch.moved_to.insert(found.key_hash);
        let moved = Remember::moved(old, found.key_hash);
        found.subject = batch.remember(&found.subject, moved);
        Ok(())
    }

    /// A cleared event joins the commit, and the subject's last-known state moves on for what follows.
    fn put(&mut self, batch: &mut Batch, found: &mut Found, cleared: Cleared) -> Result<(), EngineError> {
        let (Some(content), Some(evidence)) = (found.subject.content.clone(), found.subject.evidence.clone())
        else {
            return Err(super::failure::keys_missing(found.subject.subject_id));
        };
        self.lamport = admission::count(self.lamport, None);
        let ordinals = Ordinals { subject: found.subject.sequence.next(), lamport: self.lamport };
        let Envelope { header, private } = cleared.envelope();
        let said = (private.data.after.clone(), private.version.clone());
        let old = found.moved_from.take();
        let remember = Remember::of_event(header, ordinals.subject, said, found.key_hash, old);
        found.subject = batch.remember(&found.subject, remember);
        batch.events.push(Pending { cleared, ordinals, content, evidence });
        Ok(())
    }
}

/// A subject drawn for this change joins the vault with this commit.
fn add_subject(batch: &mut Batch, found: &mut Found) {
    found.is_new = false;
    let (Some(content), Some(evidence)) = (&found.subject.content, &found.subject.evidence) else { return };
    batch.subjects.push(NewSubject {
        key_hash: found.key_hash,
        subject_id: found.subject.subject_id,
        content: content.clone(),
        evidence: evidence.clone(),
    });
    batch.overlay.insert(found.key_hash, Some(found.subject.clone()));
}
