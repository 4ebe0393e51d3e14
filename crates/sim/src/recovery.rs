//! What stands between a crash and the first new commit: state and last-known states catch up with the log as
//! the engine makes them, and are held against what the world knows.

use std::collections::BTreeSet;

use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::lane::Recovered;
use writ_kernel::dispatch::parking;
use writ_model::control::{ControlFact, Rekeyed};
use writ_model::delivery::Branch;
use writ_model::id::{Offset, SubjectId, SubscriberName};
use writ_model::lineage::Lamport;
use writ_store::log::{Record, StoredEvent};
use writ_store::seal;
use writ_store::seal::rekey::Move;
use writ_store::state::State;
use writ_store::vault::{Purpose, Remember, Vault};

use crate::bug::Bug;
use crate::keeper::is_pin;
use crate::model::Stretch;
use crate::world::World;
use crate::writer::TakenUp;

/// Records applied in one step: few, so that steps end in odd places.
const STEP_RECORDS: usize = 37;

/// Rows of state looked at; no world has more.
pub(crate) const ROWS: usize = 100_000;

impl World {
    /// Everything new in the log, in order: each record is checked, and the source's history is followed.
    pub(crate) fn absorb(&mut self, records: Vec<Record>) -> Result<(), String> {
        let (mut stretch, mut pushed) = (Stretch::default(), Vec::new());
        for record in &records {
            self.check_record(record)?;
            self.reference.apply(record)?;
            match record {
                Record::Event(event) if self.desk.owns(&event.header.source) => {
                    let private = self.open_event(event)?;
                    pushed.push((event.header.event_id, private.causation_id));
                }
                Record::Fact(_, ControlFact::Withheld(kept)) if self.desk.owns(&kept.source) => {}
                Record::Event(event) => {
                    stretch.events.push_back((event.header.clone(), self.open_event(event)?))
                }
                Record::Fact(_, ControlFact::Withheld(kept)) => {
                    stretch.withheld.push_back(kept.clone());
                }
                Record::Fact(..) | Record::Leaf(..) => {}
            }
        }
        self.reference.check_pairs()?;
        self.check_pushed(&pushed)?;
        if records.iter().any(|record| matches!(record, Record::Fact(_, fact) if is_pin(fact))) {
            self.keeper.pinned = self.tape.end();
        }
        self.model.advance(&self.tenant, self.upstream.changes(), self.reference.covered, stretch)?;
        self.history.extend(records);
        Ok(())
    }

    fn open_event(&self, event: &StoredEvent) -> Result<writ_model::envelope::PrivatePart, String> {
        let Some(part) = event.parts.first() else { return Err(format!("{} has no part", event.offset)) };
        let key = self.vault.key(part.subject_id, part.generation, Purpose::Content);
        let Some(key) = key.map_err(|error| error.to_string())? else {
            return Err(format!("the key of the event at {} is not in the vault", event.offset));
        };
        seal::open(part, &event.header, &key).map_err(|error| format!("event at {}: {error}", event.offset))
    }

    /// Applies to the state what it lacks; now and then makes it durable.
    pub(crate) fn follow(&mut self) -> Result<(), String> {
        self.catch_up_state()?;
        if self.chance.percent(10) && self.bug != Some(Bug::UnsyncedDropped) {
            self.state.sync().map_err(|error| error.to_string())?;
            self.vault.sync().map_err(|error| error.to_string())?;
            self.keeper.durable = self.state.applied().min(self.vault.remembered());
        }
        self.forget_step()
    }

    /// What the log holds from an offset on; it was read and compared when it was absorbed.
    pub(crate) fn records(&self, from: Offset) -> &[Record] {
        &self.history[self.history.partition_point(|record| record.offset() < from)..]
    }

    pub(crate) fn catch_up_state(&mut self) -> Result<(), String> {
        for step in self.records(self.state.applied()).chunks(STEP_RECORDS) {
            let through = step.last().map_or(Offset::ZERO, |record| record.offset().next());
            self.state.apply(step, through).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn catch_up_vault(&mut self) -> Result<(), String> {
        loop {
            let step = self.records(self.vault.remembered());
            let step = &step[..step.len().min(STEP_RECORDS)];
            let Some(last) = step.last().map(Record::offset) else { return Ok(()) };
            let mut changes = Vec::new();
            for record in step {
                match record {
                    Record::Event(event) => changes.push(self.remembered(event)?),
                    Record::Fact(_, ControlFact::Rekeyed(fact)) => changes.push(self.moved(fact)?),
                    Record::Fact(..) | Record::Leaf(..) => {}
                }
            }
            self.vault.remember(&changes, last.next()).map_err(|error| error.to_string())?;
        }
    }

    fn remembered(&self, event: &StoredEvent) -> Result<Remember, String> {
        let private = self.open_event(event)?;
        let source = &event.header.source;
        let key_hash = self.key_hash_at(source, &private.key);
        let old_key_hash = private.old_key.as_ref().map(|key| self.key_hash_at(source, key));
        let old = old_key_hash.filter(|old| *old != key_hash);
        let said = (private.data.after, private.version);
        Ok(Remember::of_event(&event.header, event.ordinals.subject, said, key_hash, old))
    }

    fn moved(&self, fact: &Rekeyed) -> Result<Remember, String> {
        let key = self.vault.key(fact.subject_id, fact.generation, Purpose::Evidence);
        let Some(key) = key.map_err(|error| error.to_string())? else {
            return Err(format!("the evidence key of {} is not in the vault", fact.subject_id));
        };
        let Move { old, new } = Move::open(fact, &key).map_err(|error| format!("rekey: {error}"))?;
        Ok(Remember::moved(old, new))
    }

    /// Brings everything derived up to the log's end, and says what a new writer begins with.
    pub(crate) fn recover(&mut self) -> Result<TakenUp, String> {
        self.catch_up_state()?;
        if self.bug != Some(Bug::RememberNotDerived) {
            self.catch_up_vault()?;
        }
        self.check_last_known()?;
        self.check_state()?;
        let source = &self.tenant.source;
        let covered = self.state.covered(source).map_err(|error| error.to_string())?;
        let accounted = self.state.accounted(source).map_err(|error| error.to_string())?;
        let clock_floor = if self.bug == Some(Bug::ClockFloorForgotten) { 0 } else { self.clock_floor() };
        Ok(TakenUp {
            clock_floor,
            covered: covered.filter(|_| self.bug != Some(Bug::CoveredForgotten)),
            accounting: accounted.map_or(0, |one| one.seq),
            lamport: self.lamport(),
        })
    }

    /// The logical clock of the log's last event.
    fn lamport(&self) -> Lamport {
        let held = self.records(self.tape.start());
        let last = held.iter().rev().find_map(|record| match record {
            Record::Event(event) => Some(event.ordinals.lamport),
            Record::Fact(..) | Record::Leaf(..) => None,
        });
        last.unwrap_or_default()
    }

    /// The clock value of the log's last event.
    fn clock_floor(&self) -> u64 {
        // What has left the log says nothing any more.
        let held = self.records(self.tape.start());
        let last = held.iter().rev().find_map(|record| match record {
            Record::Event(event) => Some(event.header.hlc.millis),
            Record::Fact(..) | Record::Leaf(..) => None,
        });
        last.unwrap_or_default()
    }

    /// The vault holds of every record what the stream left.
    pub(crate) fn check_last_known(&self) -> Result<(), String> {
        for (key, known) in &self.model.known {
            let found = self.vault.find(self.key_hash(key)).map_err(|error| error.to_string())?;
            let Some(found) = found else { return Err("a record's last-known state is gone".to_owned()) };
            if found.subject_id != known.subject || found.last_known != known.groups {
                return Err(format!("the last-known state of {} is not what the log says", known.subject));
            }
        }
        Ok(())
    }

    /// The state answers what the log's records add up to.
    pub(crate) fn check_state(&self) -> Result<(), String> {
        let failed = |error: writ_store::error::StateError| error.to_string();
        let (state, reference) = (&self.state, &self.reference);
        for name in &self.names {
            let cursor = state.cursor(name).map_err(failed)?;
            if cursor.as_ref() != reference.cursors.get(name.as_str()) {
                return Err(format!("the state has another cursor of {name}"));
            }
            let letters = state.dead_letters(name, None, ROWS).map_err(failed)?;
            let letters: BTreeSet<_> = letters.into_iter().map(|l| (l.subject_id, l.offset)).collect();
            let mine = reference.dead.iter().filter(|((whose, _), _)| whose == name.as_str());
            let mine = mine.flat_map(|((_, subject), offsets)| offsets.iter().map(|o| (*subject, *o)));
            if letters != mine.collect() {
                return Err(format!("the state has other dead letters of {name}"));
            }
        }
        let open = state.open_events(Offset::ZERO, ROWS).map_err(failed)?;
        let expected = reference.events.keys().filter(|offset| !reference.finalised.contains(offset));
        if !open.iter().map(|event| event.offset).eq(expected.copied()) {
            return Err("the state has other open events".to_owned());
        }
        if state.truncated().map_err(failed)? != reference.truncated {
            return Err("the state says that the log begins elsewhere".to_owned());
        }
        let withheld = state.withheld(None, ROWS).map_err(failed)?.len() as u64;
        if withheld != reference.withheld {
            return Err(format!("the state has {withheld} kept events, the log {}", reference.withheld));
        }
        Ok(())
    }

    /// What the state holds of a subscriber's lane.
    pub(crate) fn recovered(&self, subscriber: usize) -> Result<Recovered, String> {
        let failed = |error: writ_store::error::StateError| error.to_string();
        let name = &self.names[subscriber];
        let letters = self.state.dead_letters(name, None, ROWS).map_err(failed)?;
        let mut parked: std::collections::BTreeMap<SubjectId, Offset> = std::collections::BTreeMap::new();
        parked.extend(letters.iter().map(|letter| (letter.subject_id, letter.offset)));
        let scattered =
            letters.iter().filter(|letter| letter.alone).map(|letter| letter.subject_id).collect();
        Ok(Recovered {
            cursor: self.state.cursor(name).map_err(failed)?,
            state: self.state.lane(name).map_err(failed)?.map(|lane| lane.state),
            parked: parked.into_iter().collect(),
            scattered,
            stuck: letters.iter().filter(|one| parking::is_stuck(one)).map(|one| one.subject_id).collect(),
            begin: self.tape.start(),
            end: self.tape.end(),
            decided: self.decided(name)?,
        })
    }

    fn decided(&self, name: &SubscriberName) -> Result<Vec<Branch>, String> {
        let decided = self.state.decided(name).map_err(|error| error.to_string())?;
        Ok(if self.bug == Some(Bug::DecisionForgotten) { Vec::new() } else { decided })
    }

    pub(crate) fn lane_of(&self, name: &str) -> Option<LaneId> {
        self.names.iter().position(|n| n.as_str() == name).map(|n| LaneId(n as u16))
    }
}
