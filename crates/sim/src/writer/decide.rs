//! From what was detected to decided events in the batch: envelope, schema verdict, gate. The policy engine
//! is a script: it clears, holds, refuses, says nothing, says it twice, or says it too late.

use writ_kernel::admission::{self, Admission, Fate};
use writ_kernel::gate::machine::{Effect, Fact, Ticket};
use writ_kernel::gate::{Decided, Kept};
use writ_kernel::identity::{self, Origin};
use writ_kernel::machine::{Machine, Now};
use writ_model::change::{Change, Detected};
use writ_model::control::{ControlFact, Withheld};
use writ_model::envelope::Envelope;
use writ_model::id::EventId;
use writ_model::lineage::Ordinals;
use writ_model::taxonomy::PriorityClass;
use writ_model::verdict::{PolicyAnswer, PolicyVerdict, WithheldAs};
use writ_store::seal::rekey::Move;
use writ_store::vault::{NewSubject, Remember};

use super::admit::Found;
use super::{ASK_TIMEOUT, Pending, leaf};
use crate::bug::Bug;
use crate::tenant::registry;
use crate::world::World;

impl World {
    /// Decides every event of one change, in change-type order. The gravest fate is the change's.
    pub(super) fn decide_all(
        &mut self,
        change: &Change,
        mut found: Found,
        detected: Vec<Detected>,
    ) -> Result<Fate, String> {
        let mut envelopes = Vec::new();
        for one in detected {
            envelopes.push(self.envelope(change, &found, one)?);
        }
        if !envelopes.is_empty() && found.is_new {
            self.add_subject(&mut found)?;
        }
        let mut fate = Fate::Silent;
        for decided in self.gate(envelopes)? {
            fate = fate.max(match decided {
                Decided::Cleared(cleared) => {
                    let sequence = found.subject.sequence.next();
                    let lamport = self.writer.count();
                    let envelope = cleared.envelope();
                    let said = (envelope.private.data.after.clone(), envelope.private.version.clone());
                    let (old, new) = (found.moved_from.take(), found.key_hash);
                    let remember = Remember::of_event(&envelope.header, sequence, said, new, old);
                    found.subject = self.batch.remember(&found.subject, remember);
                    let keys = (found.subject.content.clone(), found.subject.evidence.clone());
                    let (Some(content), Some(evidence)) = keys else {
                        return Err(format!("the keys of {} are gone", found.subject.subject_id));
                    };
                    let ordinals = Ordinals { subject: sequence, lamport };
                    self.batch.events.push(Pending { cleared, ordinals, content, evidence });
                    Fate::Accepted
                }
                Decided::Kept(kept) => self.keep(&mut found, &kept)?,
            });
        }
        self.record_move(&mut found)?;
        Ok(fate)
    }

    /// A key change that no event in the stream records goes into the journal.
    fn record_move(&mut self, found: &mut Found) -> Result<(), String> {
        let Some(old) = found.moved_from.take().filter(|_| self.bug != Some(Bug::MoveForgotten)) else {
            return Ok(());
        };
        let Some(evidence) = &found.subject.evidence else { return Err("no evidence key".to_owned()) };
        let moved = Move { old, new: found.key_hash };
        let (subject_id, generation) = (found.subject.subject_id, found.subject.generation);
        let fact = moved.seal(subject_id, generation, evidence, self.chance.bytes());
        self.batch.facts.push(ControlFact::Rekeyed(fact.map_err(|error| error.to_string())?));
        self.batch.moved_to.insert(found.key_hash);
        let moved = Remember::moved(old, found.key_hash);
        found.subject = self.batch.remember(&found.subject, moved);
        Ok(())
    }

    fn envelope(&mut self, change: &Change, found: &Found, one: Detected) -> Result<Envelope, String> {
        let (secrets, recorded_at) = (&self.tenant.secrets, self.now.wall);
        let origin = Origin::of(&self.tenant.id, change);
        let at = if self.bug == Some(Bug::IdsFromArrival) { recorded_at } else { change.committed_at };
        let event_id = identity::event_id(&secrets.event_id_key, &origin, one.change_type, at);
        if change.producer_id.is_none() {
            let known = *self.truth.ids.entry((change.position, one.change_type)).or_insert(event_id);
            if known != event_id {
                return Err(format!("change {} came again and gave another event id", change.position));
            }
        }
        let hlc = self.writer.hlc.tick(recorded_at, u64::MAX).map_err(|error| error.to_string())?;
        let admission = Admission {
            tenant: &self.tenant.id,
            event_id,
            causation_id: identity::causation_id(&secrets.event_id_key, &origin, change.committed_at),
            subject_id: found.subject.subject_id,
            generation: found.subject.generation,
            slot: identity::slot(&secrets.slot_key, found.subject.subject_id),
            hlc,
            recorded_at,
            schema_major: registry().schema(one.change_type).major(),
            lineage: None,
        };
        Ok(admission::assemble(change, one, &admission))
    }

    /// A subject drawn for this change joins the vault with this commit.
    fn add_subject(&mut self, found: &mut Found) -> Result<(), String> {
        found.is_new = false;
        let keys = (found.subject.content.clone(), found.subject.evidence.clone());
        let (Some(content), Some(evidence)) = keys else { return Err("a subject without keys".to_owned()) };
        let (key_hash, subject_id) = (found.key_hash, found.subject.subject_id);
        self.batch.subjects.push(NewSubject { key_hash, subject_id, content, evidence });
        self.batch.overlay.insert(key_hash, Some(found.subject.clone()));
        Ok(())
    }

    /// All events of one change through the gate. They are of one subject, so the decisions must come in the
    /// order of submission whatever the order of the verdicts.
    fn gate(&mut self, envelopes: Vec<Envelope>) -> Result<Vec<Decided>, String> {
        let mut effects = Vec::new();
        let expected: Vec<EventId> = envelopes.iter().map(|envelope| envelope.header.event_id).collect();
        let mut verdicts = Vec::new();
        for envelope in envelopes {
            self.writer.ticket += 1;
            let ticket = Ticket(self.writer.ticket);
            verdicts.push((ticket, self.verdict(envelope.header.event_id)));
            let checked = registry().check(envelope);
            self.writer.gate.on(self.now, Fact::Submit(ticket, Box::new(checked)), &mut effects);
        }
        while !verdicts.is_empty() {
            let which = self.chance.between(0, verdicts.len() as u64 - 1) as usize;
            let (ticket, verdict) = verdicts.swap_remove(which);
            if let Some(verdict) = verdict {
                let repeats = if self.chance.percent(5) { 2 } else { 1 };
                for _ in 0..repeats {
                    self.writer.gate.on(self.now, Fact::Verdict(ticket, verdict.clone()), &mut effects);
                }
            }
        }
        let late = Now { moment: self.now.moment.after(ASK_TIMEOUT), ..self.now };
        self.writer.gate.on_time(late, &mut effects);
        let decided = effects.into_iter().filter_map(|effect| match effect {
            Effect::Decided(_, decided) => Some(decided),
            Effect::Ask(..) => None,
        });
        let decided: Vec<Decided> = decided.collect();
        let order: Vec<EventId> = decided.iter().map(|one| one.envelope().header.event_id).collect();
        if order != expected {
            return Err("the gate's decisions are not in the order of submission".to_owned());
        }
        Ok(decided)
    }

    /// The script: the same answer whenever the event comes again, but for silence, which is chance.
    fn verdict(&mut self, event: EventId) -> Option<PolicyVerdict> {
        let dice = |salt: u64| {
            let bytes = event.0.as_bytes();
            let bits = u64::from_be_bytes(bytes[8..].try_into().expect("a half of 16 bytes"));
            crate::chance::Chance::new(bits ^ self.seed ^ salt).draw()
        };
        let answer = match dice(1) % 100 {
            n if n < self.options.held => PolicyAnswer::Hold("script".to_owned()),
            n if n < self.options.held * 2 => PolicyAnswer::Refuse("script".to_owned()),
            _ => PolicyAnswer::Clear,
        };
        let denied = if dice(2).is_multiple_of(20) { dice(3) } else { 0 };
        let names = self.names.iter().enumerate().filter(|(n, _)| denied >> n & 1 == 1);
        let verdict = PolicyVerdict {
            answer,
            class: dice(4).is_multiple_of(5).then_some(PriorityClass::Express),
            deny_subscribers: names.map(|(_, name)| name.to_string()).collect(),
            withhold: Vec::new(),
            version: self.tenant.policy.clone(),
        };
        (!self.chance.percent(self.options.silence)).then_some(verdict)
    }

    /// Writes an event that stays outside the stream into the journal, with a leaf of its own.
    fn keep(&mut self, found: &mut Found, kept: &Kept) -> Result<Fate, String> {
        let header = &kept.envelope.header;
        if self.bug == Some(Bug::KeptRemembered) {
            let said = (kept.envelope.private.data.after.clone(), None);
            let remember = Remember::of_event(header, found.subject.sequence, said, found.key_hash, None);
            if found.moved_from.is_none() {
                found.subject = self.batch.remember(&found.subject, remember);
            }
        }
        let Some(evidence) = &found.subject.evidence else { return Err("no evidence key".to_owned()) };
        self.batch.leaves.push(leaf::withheld(kept, evidence)?);
        self.batch.facts.push(ControlFact::Withheld(Withheld {
            event_id: header.event_id,
            withheld: kept.as_what,
            reason: kept.reason.clone(),
            source: header.source.clone(),
            change_type: header.change_type,
            subject_id: header.subject_id,
            policy: kept.policy.clone(),
            at: header.recorded_at,
            sealed: None,
        }));
        self.truth.withheld += 1;
        Ok(match kept.as_what {
            WithheldAs::Held => Fate::Held,
            WithheldAs::Quarantined => Fate::Quarantined,
            WithheldAs::Refused => Fate::Refused,
        })
    }
}
