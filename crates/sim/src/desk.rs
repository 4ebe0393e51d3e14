//! A producer that pushes changes under ids of its own. It sends again until it is told that a change is durable,
//! and now and then although it was; it may use one id for two contents, which only one of them can win.

use std::collections::BTreeMap;

use writ_model::change::{Change, RowChange};
use writ_model::id::{EventId, Incarnation, Position, SourceName};
use writ_model::lineage::Claim;
use writ_model::value::{Image, Value};

use crate::agenda::Happening;
use crate::tenant::{TABLE, record_key};
use crate::world::World;

/// What the producer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    Accepted,
    Duplicate,
    Conflict,
}

/// Percent of answers that the producer never hears.
const LOST: u64 = 20;

/// Percent of changes that are sent again although the producer knows better.
const AGAIN: u64 = 10;

#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) change: Change,
    /// What the producer heard.
    heard: Option<Told>,
}

#[derive(Debug)]
pub(crate) struct Desk {
    source: SourceName,
    pushes: Vec<Push>,
    /// Which of the contents under an id was taken, where that is known.
    winners: BTreeMap<String, usize>,
}

impl Default for Desk {
    fn default() -> Self {
        let source = SourceName::new("desk").expect("a name");
        Self { source, pushes: Vec::new(), winners: BTreeMap::new() }
    }
}

impl Desk {
    pub(crate) fn owns(&self, source: &SourceName) -> bool {
        self.source == *source
    }
}

impl World {
    /// The producer has something new to say, or says something else under an id that it used.
    pub(crate) fn begin_push(&mut self) {
        let number = self.desk.pushes.len();
        let used = self.chance.between(0, number as u64) as usize;
        let reuses = number > 0 && self.chance.percent(20);
        let id = if reuses { format!("evt-{}", used.min(number - 1)) } else { format!("evt-{number}") };
        let email = format!("p{}@example.org", self.chance.between(0, 9));
        let mut after = Image(BTreeMap::new());
        after.set("email", Value::Text(email));
        after.set("is_deleted", Value::Bool(false));
        let change = Change {
            source: self.desk.source.clone(),
            incarnation: Incarnation("pushed".to_owned()),
            position: Position { commit: number as u64 + 1, ordinal: 0 },
            committed_at: self.source_time(),
            transaction: None,
            producer_id: Some(id),
            table: TABLE.to_owned(),
            row: RowChange::Upsert,
            declared: None,
            key: record_key(self.chance.between(1, self.options.subjects)),
            old_key: None,
            before: None,
            after: Some(after),
            claim: Claim::default(),
        };
        self.desk.pushes.push(Push { change, heard: None });
        let wait = self.chance.millis(0, 20);
        self.plan(wait, Happening::Push(number));
    }

    /// The producer sends, if it has not heard yet; and looks again later.
    pub(crate) fn push(&mut self, number: usize) -> Result<(), String> {
        let has_heard = self.desk.pushes[number].heard.is_some();
        if has_heard && (self.is_quiet || !self.chance.percent(AGAIN)) {
            return Ok(());
        }
        // An impatient producer sends again before anything has caught up.
        let longest = if self.chance.percent(50) { 40 } else { 2_000 };
        let wait = self.chance.millis(2, longest);
        self.plan(wait, Happening::Push(number));
        let change = self.desk.pushes[number].change.clone();
        let told = self.admit_push(&change)?;
        self.note(&(number, told));
        // It is told when everything before is durable.
        self.batch.pushes.push((number, told));
        self.want_commit();
        Ok(())
    }

    /// The commit with these is durable.
    pub(crate) fn pushed(&mut self, pushes: Vec<(usize, Told)>) -> Result<(), String> {
        for (number, told) in pushes {
            if told == Told::Accepted {
                let id = self.desk.pushes[number].change.producer_id.clone().unwrap_or_default();
                self.desk.winners.insert(id, number);
                self.truth.pushes += 1;
            }
            self.tell_producer(number, told)?;
        }
        Ok(())
    }

    /// What is told is true, whether or not it is heard.
    fn tell_producer(&mut self, number: usize, told: Told) -> Result<(), String> {
        let change = &self.desk.pushes[number].change;
        let id = change.producer_id.clone().unwrap_or_default();
        let Some(seen) = self.reference.taken.get(&self.intake_id(change)) else {
            return Err(format!("the producer of {id} was told {told:?}, and the log does not hold it"));
        };
        // A change that gave no event may be of a record that the vault knows nothing of: nothing to compare with.
        let is_comparable = seen.events > 0;
        let content = |at: usize| (&self.desk.pushes[at].change.key, &self.desk.pushes[at].change.after);
        if let Some(winner) = self.desk.winners.get(&id).copied() {
            let is_same = content(winner) == content(number);
            if is_same == (told == Told::Conflict) && is_comparable {
                return Err(format!("the producer of {id} was told {told:?}, which is wrong"));
            }
        }
        if !self.chance.percent(if self.is_quiet { 0 } else { LOST }) {
            self.desk.pushes[number].heard = Some(told);
        }
        Ok(())
    }

    /// Every event of a pushed change is of one that was taken.
    pub(crate) fn check_pushed(&self, events: &[(EventId, EventId)]) -> Result<(), String> {
        let stray = events.iter().find(|(_, causation)| !self.reference.taken.contains_key(causation));
        stray.map_or(Ok(()), |(event, _)| Err(format!("the event {event} is of no pushed change")))
    }

    /// The producer has heard of everything that it sent.
    pub(crate) fn check_desk(&self) -> Result<(), String> {
        let silent = self.desk.pushes.iter().position(|push| push.heard.is_none());
        silent.map_or(Ok(()), |number| Err(format!("the producer never heard of its change {number}")))
    }
}
