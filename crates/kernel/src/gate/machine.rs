//! The gate as a machine: `Submit` in, `Ask` out, the policy's verdict in, `Decided` out.
//!
//! ```text
//! Submit -> card number? -> Quarantined, payload emptied
//!        -> schema?      -> Quarantined
//!        -> erased?      -> Held
//!        -> Ask ---------> Verdict in time -> Cleared, Held or Refused
//!                     \--> no verdict      -> Held
//! ```
//!
//! Every event of one subject is decided at its own pace, and its decision is told only when those of the
//! subject's earlier events are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use writ_model::envelope::{Envelope, EventData};
use writ_model::id::{RecordKey, SubjectId};
use writ_model::taxonomy::PriorityClass;
use writ_model::time::Moment;
use writ_model::verdict::{
    Checked, Decision, PolicyAnswer, PolicyVerdict, PolicyVersion, Reason, SchemaVerdict, WithheldAs,
};

use super::{Cleared, Decided, Kept, card, input};
use crate::identity::Key;
use crate::machine::{Machine, Now};

/// Events that may be on their way through the gate at once. One more is held, not dropped.
pub const PENDING_MAX: usize = 4096;

/// Numbers an event on its way through the gate, within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the gate is told.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Decide this event.
    Submit(Ticket, Box<Checked>),
    /// Decide this event of an erased subject for which nothing shows a new lawful basis: it is held.
    SubmitErased(Ticket, Box<Checked>),
    /// The policy engine answered. An answer that comes after its time-out changes nothing.
    Verdict(Ticket, PolicyVerdict),
}

/// What the gate wants done.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "every event ends in a decision, so a box would be one more allocation for each"
)]
pub enum Effect {
    /// Ask the policy engine; the input document is `docs/reference/policy-input.md`.
    Ask(Ticket, serde_json::Value),
    /// The decision. Decisions of one subject come in the order in which its events were submitted.
    Decided(Ticket, Decided),
}

/// How a gate is set up.
#[derive(Clone)]
pub struct Config {
    /// The policy in force, named on what is decided without asking it.
    pub policy_version: PolicyVersion,
    /// How long the policy engine may take before the event is held.
    pub ask_timeout: Duration,
    /// For the keyed hash of card numbers.
    pub card_hash_key: Key,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Config({}, {:?})", self.policy_version.0, self.ask_timeout)
    }
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    config: Config,
    subjects: BTreeMap<SubjectId, VecDeque<(Ticket, Stage)>>,
    asked: BTreeMap<Ticket, Asked>,
    deadlines: BTreeSet<(Moment, Ticket)>,
    pending: usize,
}

/// Where an event stands.
#[derive(Debug)]
enum Stage {
    /// The policy engine has not answered yet.
    Waits(Box<Checked>),
    /// Decided; an earlier event of the subject is not.
    Done(Box<Decided>),
}

/// An open question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    subject: SubjectId,
    until: Moment,
}

impl Gate {
    /// A gate with nothing in it.
    pub fn new(config: Config) -> Self {
        let (subjects, asked) = (BTreeMap::new(), BTreeMap::new());
        Self { config, subjects, asked, deadlines: BTreeSet::new(), pending: 0 }
    }

    /// Puts another policy in force. Verdicts name their own version; this one is named on what is decided
    /// without asking.
    pub fn set_policy_version(&mut self, version: PolicyVersion) {
        self.config.policy_version = version;
    }

    /// There is room for one more event. Ask before submitting; what is submitted without room is held.
    pub fn has_room(&self) -> bool {
        self.pending < PENDING_MAX
    }

    fn submit(
        &mut self,
        now: Now,
        ticket: Ticket,
        checked: Checked,
        is_erased: bool,
        effects: &mut Vec<Effect>,
    ) {
        let subject = checked.envelope.header.subject_id;
        let queue = self.subjects.entry(subject).or_default();
        if queue.iter().any(|(queued, _)| *queued == ticket) {
            return;
        }
        let stage = match self.judge(checked, is_erased) {
            Ok(checked) if self.has_room() => {
                let until = now.moment.after(self.config.ask_timeout);
                effects.push(Effect::Ask(ticket, input::document(&checked)));
                self.asked.insert(ticket, Asked { subject, until });
                self.deadlines.insert((until, ticket));
                Stage::Waits(checked)
            }
            Ok(checked) => {
                Stage::Done(Box::new(self.keep(checked.envelope, WithheldAs::Held, Reason::PolicyTimeout)))
            }
            Err(decided) => Stage::Done(decided),
        };
        self.pending += 1;
        self.subjects.entry(subject).or_default().push_back((ticket, stage));
        self.release(subject, effects);
    }

    /// What can be decided without the policy engine is. Card numbers come first: whatever else is wrong with
    /// an event, it must not keep one.
    fn judge(&self, checked: Checked, is_erased: bool) -> Result<Box<Checked>, Box<Decided>> {
        let findings = card::scan(&self.config.card_hash_key, &checked.envelope);
        let Checked { envelope, schema } = checked;
        let kept = match schema {
            _ if !findings.is_empty() => {
                self.keep(emptied(envelope), WithheldAs::Quarantined, Reason::CardNumber { findings })
            }
            SchemaVerdict::Invalid { version, violations } => {
                self.keep(envelope, WithheldAs::Quarantined, Reason::Schema { version, violations })
            }
            SchemaVerdict::Valid { .. } if is_erased => {
                self.keep(envelope, WithheldAs::Held, Reason::ErasedSubject)
            }
            SchemaVerdict::Valid { version } => {
                return Ok(Box::new(Checked { envelope, schema: SchemaVerdict::Valid { version } }));
            }
        };
        Err(Box::new(kept))
    }

    fn keep(&self, envelope: Envelope, as_what: WithheldAs, reason: Reason) -> Decided {
        keep(envelope, as_what, reason, self.config.policy_version.clone())
    }

    /// Tells the decisions at the head of a subject's queue.
    fn release(&mut self, subject: SubjectId, effects: &mut Vec<Effect>) {
        let Some(queue) = self.subjects.get_mut(&subject) else { return };
        while let Some((_, Stage::Done(_))) = queue.front() {
            if let Some((ticket, Stage::Done(decided))) = queue.pop_front() {
                effects.push(Effect::Decided(ticket, *decided));
                self.pending -= 1;
            }
        }
        if queue.is_empty() {
            self.subjects.remove(&subject);
        }
    }

    /// Closes an open question with a decision. One that was never open, or is closed already, is ignored.
    fn settle(&mut self, ticket: Ticket, decide: impl FnOnce(Checked) -> Decided, effects: &mut Vec<Effect>) {
        let Some(Asked { subject, until }) = self.asked.remove(&ticket) else { return };
        self.deadlines.remove(&(until, ticket));
        let queue = self.subjects.get_mut(&subject).expect("an open question belongs to a queued event");
        let at =
            queue.iter().position(|(queued, _)| *queued == ticket).expect("an asked event is in its queue");
        if let Some((_, Stage::Waits(checked))) = queue.remove(at) {
            queue.insert(at, (ticket, Stage::Done(Box::new(decide(*checked)))));
        }
        self.release(subject, effects);
    }
}

impl Machine for Gate {
    type Fact = Fact;
    type Effect = Effect;

    fn on(&mut self, now: Now, fact: Fact, effects: &mut Vec<Effect>) {
        match fact {
            Fact::Submit(ticket, checked) => self.submit(now, ticket, *checked, false, effects),
            Fact::SubmitErased(ticket, checked) => self.submit(now, ticket, *checked, true, effects),
            Fact::Verdict(ticket, verdict) => {
                self.settle(ticket, |checked| decide(checked, verdict), effects)
            }
        }
    }

    fn on_time(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some((until, ticket)) = self.deadlines.first().copied()
            && until <= now.moment
        {
            let policy = self.config.policy_version.clone();
            let hold = |c: Checked| keep(c.envelope, WithheldAs::Held, Reason::PolicyTimeout, policy);
            self.settle(ticket, hold, effects);
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(until, _)| *until)
    }
}

fn decide(checked: Checked, verdict: PolicyVerdict) -> Decided {
    let Checked { envelope, schema } = checked;
    let PolicyVerdict { answer, class, deny_subscribers, withhold, version } = verdict;
    match (answer, schema) {
        (PolicyAnswer::Hold(reason), _) => {
            keep(envelope, WithheldAs::Held, Reason::Policy { reason }, version)
        }
        (PolicyAnswer::Refuse(reason), _) => {
            keep(envelope, WithheldAs::Refused, Reason::Policy { reason }, version)
        }
        (PolicyAnswer::Clear, SchemaVerdict::Valid { version: schema }) => {
            let class = raised(envelope.header.change_type.default_class(), class);
            let decision = Decision { class, policy: version, schema, deny_subscribers, withhold };
            Decided::Cleared(Cleared { envelope, decision })
        }
        (PolicyAnswer::Clear, SchemaVerdict::Invalid { version: schema, violations }) => {
            keep(envelope, WithheldAs::Quarantined, Reason::Schema { version: schema, violations }, version)
        }
    }
}

/// A policy can raise an event to express and cannot lower it.
fn raised(default: PriorityClass, demanded: Option<PriorityClass>) -> PriorityClass {
    match (default, demanded) {
        (PriorityClass::Express, _) | (_, Some(PriorityClass::Express)) => PriorityClass::Express,
        (PriorityClass::Standard, Some(PriorityClass::Standard) | None) => PriorityClass::Standard,
    }
}

/// The payload may stay, sealed, where somebody may still want to let the event through: not with a card
/// number in it, not when it is refused, and not when its subject was erased.
fn keep(envelope: Envelope, as_what: WithheldAs, reason: Reason, policy: PolicyVersion) -> Decided {
    let may_keep_payload = match (&reason, as_what) {
        (Reason::CardNumber { .. } | Reason::ErasedSubject, _) | (_, WithheldAs::Refused) => false,
        (Reason::Schema { .. } | Reason::Policy { .. } | Reason::PolicyTimeout, _) => true,
    };
    Decided::Kept(Kept { envelope, as_what, reason, policy, may_keep_payload })
}

/// The event without anything that may hold the number. What remains says where to read it again.
fn emptied(mut envelope: Envelope) -> Envelope {
    (envelope.header.location, envelope.header.locale) = (None, None);
    let private = &mut envelope.private;
    (private.key, private.old_key) = (RecordKey(Vec::new()), None);
    (private.producer_id, private.transaction) = (None, None);
    private.data = EventData { key: Vec::new(), before: None, after: None, unseen: Vec::new() };
    envelope
}

#[cfg(test)]
mod tests;
