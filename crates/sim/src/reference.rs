//! A small obvious model of the derived state: what the tape's records add up to. Rebuilt after a crash.

use std::collections::BTreeMap;

use writ_model::control::{ControlFact, Cursor, ReplayProgress};
use writ_model::delivery::Acknowledgement;
use writ_model::id::{Offset, SubjectId};

use crate::tape::Entry;
use crate::upstream::Event;

#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub(crate) events: BTreeMap<Offset, Event>,
    pub(crate) source: u64,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) lanes: BTreeMap<String, String>,
    pub(crate) settled: BTreeMap<Offset, BTreeMap<String, Acknowledgement>>,
    pub(crate) dead: BTreeMap<(String, SubjectId), BTreeMap<Offset, String>>,
    pub(crate) discarded: Vec<(String, SubjectId, Offset)>,
    pub(crate) finals: BTreeMap<Offset, Vec<Vec<(u16, String)>>>,
    pub(crate) replays: BTreeMap<String, ReplayProgress>,
}

impl Reference {
    pub(crate) fn apply(&mut self, offset: Offset, entry: Entry) {
        match entry {
            Entry::Event(event) => {
                self.source = self.source.max(event.number);
                self.events.insert(offset, event);
            }
            Entry::Final(of, how) => self.finals.entry(of).or_default().push(how),
            Entry::Fact(fact) => self.apply_fact(fact),
        }
    }

    fn apply_fact(&mut self, fact: ControlFact) {
        match fact {
            ControlFact::Cursor(cursor) => {
                self.cursors.insert(cursor.subscriber.to_string(), cursor);
            }
            ControlFact::Settled(batch) => {
                for (offset, how) in batch.items {
                    self.settled.entry(offset).or_default().insert(batch.subscriber.to_string(), how);
                }
            }
            ControlFact::DeadLettered(letter) => {
                let key = (letter.subscriber.to_string(), letter.subject_id);
                self.dead.entry(key).or_default().insert(letter.offset, letter.cause);
            }
            ControlFact::DeadLetterClosed(closed) => {
                let key = (closed.subscriber.to_string(), closed.subject_id);
                if closed.how == "discarded" {
                    self.discarded.push((key.0.clone(), key.1, closed.through));
                }
                let sequence = self.dead.entry(key.clone()).or_default();
                sequence.retain(|offset, _| *offset > closed.through);
                if sequence.is_empty() {
                    self.dead.remove(&key);
                }
            }
            ControlFact::Lane(change) => {
                self.lanes.insert(change.subscriber.to_string(), change.state);
            }
            ControlFact::Replay(progress) => {
                self.replays.insert(progress.id.clone(), progress);
            }
            ControlFact::SourceProgress(_)
            | ControlFact::Covered(_)
            | ControlFact::Accounted(_)
            | ControlFact::Intake(_)
            | ControlFact::Withheld(_)
            | ControlFact::Finalised(_) => {}
        }
    }

    pub(crate) fn open(&self, from: Offset, limit: usize) -> (Vec<Offset>, bool) {
        let mut open =
            self.events.range(from..).map(|(offset, _)| *offset).filter(|o| !self.finals.contains_key(o));
        let some = open.by_ref().take(limit).collect();
        (some, open.next().is_some())
    }
}
