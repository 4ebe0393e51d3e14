//! From what was detected to decided events in the batch: envelope, schema verdict, gate, and for what the
//! gate keeps out, the journal.

use writ_kernel::admission::{self, Admission, Fate};
use writ_kernel::gate::machine::{Effect, Fact, Ticket};
use writ_kernel::gate::{Cleared, Decided, Kept};
use writ_kernel::identity::{self, Origin};
use writ_kernel::machine::Machine;
use writ_model::change::{Change, Detected};
use writ_model::control::{ControlFact, Withheld};
use writ_model::envelope::Envelope;
use writ_model::taxonomy::ChangeType;
use writ_model::value::Attributes;
use writ_model::verdict::{Checked, WithheldAs};
use writ_store::seal::rekey::Move;
use writ_store::vault::{Group, NewSubject, Remember};

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
        for one in detected {
            let group = one.change_type;
            let attributes = one.after.clone();
            let envelope = self.envelope(change, &found, one)?;
            if found.is_new {
                add_subject(batch, &mut found);
            }
            match self.decide(envelope, &found)? {
                Decided::Cleared(cleared) => {
                    accepted.push(cleared.envelope().header.event_id);
                    put(batch, &mut found, cleared, group, attributes)?;
                }
                Decided::Kept(kept) => {
                    kept_one = Some(self.keep(batch, &found, kept)?);
                }
            }
        }
        self.record_move(batch, &mut found)?;
        Ok(match kept_one {
            Some((admitted, fate)) => (admitted, fate),
            None if accepted.is_empty() => (Admitted::Unchanged, Fate::Silent),
            None => (Admitted::Accepted(accepted), Fate::Accepted),
        })
    }

    fn envelope(&mut self, change: &Change, found: &Found, one: Detected) -> Result<Envelope, EngineError> {
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
        let moved = Remember { key_hash: found.key_hash, old_key_hash: Some(old), group: None };
        found.subject = batch.remember(&found.subject, moved);
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

/// A cleared event joins the commit, and the subject's last-known state moves on for what follows.
fn put(
    batch: &mut Batch,
    found: &mut Found,
    cleared: Cleared,
    change_type: ChangeType,
    attributes: Option<Attributes>,
) -> Result<(), EngineError> {
    let (Some(content), Some(evidence)) = (found.subject.content.clone(), found.subject.evidence.clone())
    else {
        return Err(super::failure::keys_missing(found.subject.subject_id));
    };
    let old_key_hash = found.moved_from.take();
    let group = Some(Group { change_type, attributes });
    let remember = Remember { key_hash: found.key_hash, old_key_hash, group };
    found.subject = batch.remember(&found.subject, remember);
    batch.events.push(Pending { cleared, content, evidence });
    Ok(())
}
