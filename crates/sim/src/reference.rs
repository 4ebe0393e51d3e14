//! A small obvious model of what the log's records add up to, and what must hold of every record that is
//! durable. It sees each record once and survives every crash: the engine's own state is `writ-store`'s.

use std::collections::{BTreeMap, BTreeSet};

use writ_attest::acks;
use writ_attest::leaf::{Accounting, Attestation, EventFacts, Intent, Leaf};
use writ_kernel::route::Router;
use writ_kernel::select::Selected;
use writ_model::control::{ControlFact, Cursor, DeadLetterClosed, IntakeSeen, ReplayProgress};
use writ_model::delivery::{Branch, SettledAs};
use writ_model::id::{Epoch, EventId, Offset, Position, Sequence, Slot, SubjectId};
use writ_model::lineage::{Lamport, Ordinals, SubjectSequence};
use writ_model::time::Hlc;
use writ_store::log::{Record, StoredEvent};

/// An event of the stream.
pub(crate) struct Event {
    pub(crate) stored: StoredEvent,
    pub(crate) intent: Option<EventFacts>,
    /// The subscribers whose filters match it, by number.
    pub(crate) lanes: Vec<usize>,
}

impl Event {
    pub(crate) fn matches(&self, subscriber: usize) -> bool {
        self.lanes.contains(&subscriber)
    }

    pub(crate) fn is_denied(&self, subscriber: &str) -> bool {
        self.stored.decision.deny_subscribers.iter().any(|denied| denied == subscriber)
    }

    pub(crate) fn subject(&self) -> SubjectId {
        self.stored.header.subject_id
    }

    pub(crate) fn id(&self) -> EventId {
        self.stored.header.event_id
    }

    /// What a subscriber tells events apart by.
    pub(crate) fn number(&self) -> u64 {
        let bytes = self.id().0.as_bytes()[8..].try_into().expect("a half of 16 bytes");
        u64::from_be_bytes(bytes)
    }
}

/// Subscriber and how the event ended there.
pub(crate) type Ends = Vec<(String, &'static str)>;

#[derive(Default)]
pub(crate) struct Reference {
    router: Router,
    pub(crate) events: BTreeMap<Offset, Event>,
    by_intent: BTreeMap<u64, Offset>,
    ids: BTreeSet<EventId>,
    tails: BTreeMap<Slot, Sequence>,
    hlc: Hlc,
    subjects: BTreeMap<SubjectId, SubjectSequence>,
    lamport: Lamport,
    pub(crate) progress: Position,
    pub(crate) covered: Position,
    pub(crate) accounting: u64,
    /// Changes that the accounting leaves count, but for the duplicates; and of those the accepted ones.
    pub(crate) accounted: u64,
    pub(crate) accepted: u64,
    pub(crate) withheld: u64,
    withheld_leaves: u64,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) dead: BTreeMap<(String, SubjectId), BTreeSet<Offset>>,
    pub(crate) discarded: BTreeSet<(String, Offset)>,
    /// What a subscriber was or is sent once, or was never sent, by the journal.
    pub(crate) spent: BTreeSet<(String, Offset)>,
    pub(crate) finals: BTreeMap<Offset, Vec<Ends>>,
    pub(crate) finalised: BTreeSet<Offset>,
    /// The newest owner that wrote, and opened the log since.
    pub(crate) epoch: Epoch,
    /// Branches that the journal decided and did not conclude.
    pub(crate) decided: BTreeSet<(String, Branch)>,
    /// Where each replay that did not end goes on.
    pub(crate) replays: BTreeMap<String, Offset>,
    pub(crate) ended: BTreeMap<String, ReplayProgress>,
    /// The scopes of the legal holds.
    pub(crate) holds: BTreeMap<String, Selected>,
    /// Everything before has left the log, or may.
    pub(crate) truncated: Offset,
    pub(crate) truncations: u64,
    /// Pushed changes by their causation ids.
    pub(crate) taken: BTreeMap<EventId, IntakeSeen>,
}

impl Reference {
    pub(crate) fn new(router: Router) -> Self {
        Self { router, ..Self::default() }
    }

    /// Takes the next record of the log.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), String> {
        match record {
            Record::Event(event) => self.event(event),
            Record::Fact(_, fact) => self.fact(fact),
            Record::Leaf(offset, index, bytes) => {
                let (leaf, acks) = acks::split(bytes);
                match Leaf::parse(leaf).map_err(|error| format!("leaf at {offset}: {error}"))? {
                    Leaf::Intent(intent) => self.intent(*index, *intent),
                    Leaf::Attestation(leaf) => self.attestation(*leaf, &acks),
                    Leaf::Accounting(leaf) => self.account(&leaf),
                    Leaf::Withheld(_) => {
                        self.withheld_leaves += 1;
                        Ok(())
                    }
                }
            }
        }
    }

    fn event(&mut self, event: &StoredEvent) -> Result<(), String> {
        let header = &event.header;
        if !self.ids.insert(header.event_id) {
            return Err(format!("the event at {} is stored twice, or was kept before", event.offset));
        }
        let tail = self.tails.entry(header.slot).or_default();
        if event.sequence != tail.next() {
            return Err(format!(
                "the event at {} has sequence {} after {tail}",
                event.offset, event.sequence
            ));
        }
        *tail = event.sequence;
        if header.hlc <= self.hlc {
            return Err(format!("the clock of the event at {} went back", event.offset));
        }
        self.hlc = header.hlc;
        self.check_ordinals(event)?;
        self.by_intent.insert(event.intent_index, event.offset);
        let lanes = self.router.matches(header, event.decision.class).collect();
        self.events.insert(event.offset, Event { stored: event.clone(), intent: None, lanes });
        Ok(())
    }

    /// A subject's events are numbered without gaps, and the logical clock grows with every event.
    fn check_ordinals(&mut self, event: &StoredEvent) -> Result<(), String> {
        let Ordinals { subject, lamport } = event.ordinals;
        let last = self.subjects.entry(event.header.subject_id).or_default();
        if subject != last.next() {
            return Err(format!(
                "the event at {} is number {subject} of its subject, after {last}",
                event.offset
            ));
        }
        *last = subject;
        if lamport <= self.lamport {
            return Err(format!("the logical clock of the event at {} went back", event.offset));
        }
        self.lamport = lamport;
        Ok(())
    }

    fn intent(&mut self, index: u64, leaf: Intent) -> Result<(), String> {
        let event = self.by_intent.get(&index).and_then(|offset| self.events.get_mut(offset));
        let Some(event) = event else { return Err(format!("intent {index} is no event's")) };
        if leaf.facts.event_id.0 != *event.id().0.as_bytes() {
            return Err(format!("intent {index} is another event's"));
        }
        event.intent = Some(leaf.facts);
        Ok(())
    }

    fn attestation(&mut self, leaf: Attestation, records: &[&[u8]]) -> Result<(), String> {
        let Attestation { facts, intent_index, subscriber_ack_set, .. } = leaf;
        let offset = self.by_intent.get(&intent_index).copied().unwrap_or_default();
        if self.events.get(&offset).and_then(|event| event.intent.as_ref()) != Some(&facts) {
            return Err(format!("the final of intent {intent_index} does not say what the intent says"));
        }
        subscriber_ack_set.check(records).map_err(|error| format!("the final of {offset}: {error}"))?;
        let mut ends = Ends::new();
        for record in records {
            let record = acks::AckRecord::parse(record).map_err(|error| error.to_string())?;
            ends.push((record.subscriber, record.settled.as_str()));
        }
        self.finals.entry(offset).or_default().push(ends);
        Ok(())
    }

    fn account(&mut self, leaf: &Accounting) -> Result<(), String> {
        if leaf.seq != self.accounting + 1 {
            return Err(format!("accounting leaf {} follows {}", leaf.seq, self.accounting));
        }
        self.accounting = leaf.seq;
        self.accounted += leaf.covered - leaf.duplicate;
        self.accepted += leaf.accepted_total();
        Ok(())
    }

    fn fact(&mut self, fact: &ControlFact) -> Result<(), String> {
        match fact {
            ControlFact::SourceProgress(progress) => self.progress = progress.position,
            ControlFact::Covered(covered) => self.covered = self.covered.max(covered.position),
            ControlFact::Withheld(withheld) => {
                self.withheld += 1;
                if !self.ids.insert(withheld.event_id) {
                    return Err(format!("{} was kept, and is stored or was kept before", withheld.event_id));
                }
            }
            ControlFact::Cursor(cursor) => {
                self.epoch = self.epoch.max(cursor.epoch);
                self.cursors.insert(cursor.subscriber.to_string(), cursor.clone());
            }
            ControlFact::DeadLettered(letter) => {
                let key = (letter.subscriber.to_string(), letter.subject_id);
                self.dead.entry(key).or_default().insert(letter.offset);
            }
            ControlFact::DeadLetterClosed(closed) => self.letters_closed(closed),
            ControlFact::Settled(batch) => {
                let spent = batch.items.iter().filter(|(_, how)| match how.settled {
                    SettledAs::Attempted | SettledAs::Withheld => true,
                    SettledAs::Acknowledged | SettledAs::DeadLettered | SettledAs::Pending => false,
                });
                let name = batch.subscriber.to_string();
                self.spent.extend(spent.map(|(offset, _)| (name.clone(), *offset)));
            }
            ControlFact::Finalised(finalised) => self.finalised.extend(&finalised.offsets),
            ControlFact::Intake(seen) => {
                if self.taken.insert(seen.causation_id, seen.clone()).is_some() {
                    return Err(format!("the pushed change {} was taken twice", seen.causation_id));
                }
            }
            ControlFact::Replay(progress) => self.replay(progress),
            ControlFact::BranchDecided(decided) => {
                self.decided.insert((decided.subscriber.to_string(), decided.branch));
            }
            ControlFact::BranchConcluded(decided) => {
                self.decided.remove(&(decided.subscriber.to_string(), decided.branch));
            }
            ControlFact::Truncated(truncated) => {
                self.truncated = self.truncated.max(truncated.before);
                self.truncations += 1;
            }
            ControlFact::HoldPlaced(hold) => {
                let scope = Selected::compile(&hold.scope).map_err(|error| error.to_string())?;
                self.holds.insert(hold.id.clone(), scope);
            }
            ControlFact::HoldReleased(released) => drop(self.holds.remove(&released.id)),
            ControlFact::Accounted(_)
            | ControlFact::Stale(_)
            | ControlFact::Voided(_)
            | ControlFact::BehindRetention(_)
            | ControlFact::Lane(_)
            | ControlFact::Rekeyed(_)
            | ControlFact::Finding(_)
            | ControlFact::Saga(_)
            | ControlFact::Case(_)
            | ControlFact::Readmitted(_)
            | ControlFact::ReplayOrdered(_)
            | ControlFact::ReplayActed(_)
            | ControlFact::ReplayWithheld(_) => {}
        }
        Ok(())
    }

    fn letters_closed(&mut self, closed: &DeadLetterClosed) {
        let key = (closed.subscriber.to_string(), closed.subject_id);
        let left = closed.from.unwrap_or_default()..=closed.through;
        if closed.how == "discarded" || closed.how == "void" {
            let gone = self.dead.get(&key).into_iter().flatten().filter(|at| left.contains(at));
            self.discarded.extend(gone.map(|offset| (key.0.clone(), *offset)));
        }
        if let Some(sequence) = self.dead.get_mut(&key) {
            sequence.retain(|offset| !left.contains(offset));
        }
        self.dead.retain(|_, sequence| !sequence.is_empty());
    }

    fn replay(&mut self, progress: &ReplayProgress) {
        let id = progress.id.clone();
        if matches!(progress.state.as_str(), "done" | "cancelled") {
            self.replays.remove(&id);
            self.ended.insert(id, progress.clone());
        } else {
            self.replays.insert(id, progress.next);
        }
    }

    /// What must hold between commits: what comes in pairs came in pairs.
    pub(crate) fn check_pairs(&self) -> Result<(), String> {
        if self.withheld != self.withheld_leaves {
            return Err(format!("{} kept events, {} leaves of them", self.withheld, self.withheld_leaves));
        }
        if let Some((offset, _)) = self.events.iter().next_back().filter(|(_, event)| event.intent.is_none())
        {
            return Err(format!("the event at {offset} has no intent"));
        }
        if self.finalised.len() != self.finals.len() {
            return Err(format!("{} finals, {} facts of them", self.finals.len(), self.finalised.len()));
        }
        Ok(())
    }
}
