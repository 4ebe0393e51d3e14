//! What happens between opening a store and the first new commit: state, last-known states and tiles catch up
//! with the log.

use std::collections::{BTreeMap, BTreeSet};

use writ_attest::acks;
use writ_attest::leaf::Leaf;
use writ_kernel::dispatch::LaneId;
use writ_kernel::dispatch::lane::Recovered;
use writ_kernel::dispatch::parking;
use writ_model::code;
use writ_model::control::{ControlFact, Covered, Cursor, Rekeyed, ReplayProgress, SourceProgress};
use writ_model::id::{Offset, SourceName, SubjectId, SubscriberName};
use writ_model::replay::ReplayOrder;
use writ_model::retention::Clocks;
use writ_model::time::Timestamp;
use writ_store::error::StateError;
use writ_store::log::{Log, LogReader, Record};
use writ_store::seal;
use writ_store::seal::rekey::Move;
use writ_store::state::State;
use writ_store::vault::{FjallVault, Purpose, Remember, TenantSecrets, Vault};

use crate::assemble::LanePart;
use crate::error::EngineError;

/// Bytes of log applied in one step.
const STEP_BYTES: usize = 4 << 20;

/// Applies to the state what it lacks.
pub(crate) fn catch_up_state(state: &dyn State, log: &mut dyn LogReader) -> Result<(), EngineError> {
    loop {
        let from = first_unapplied("derived state", state.applied(), log.start())?;
        let records = read(log, from)?;
        let Some(last) = records.last().map(Record::offset) else { return Ok(()) };
        state.apply(&records, last.next()).map_err(|error| failed("apply the log to state", &error))?;
    }
}

/// Applies to the last-known states what they lack.
pub(crate) fn catch_up_vault(
    vault: &mut FjallVault,
    secrets: &TenantSecrets,
    log: &mut dyn LogReader,
) -> Result<(), EngineError> {
    loop {
        let from = first_unapplied("the key vault", vault.remembered(), log.start())?;
        let records = read(log, from)?;
        let Some(last) = records.last().map(Record::offset) else { return Ok(()) };
        let mut changes = Vec::new();
        for record in &records {
            changes.extend(match record {
                Record::Event(event) => remember(vault, secrets, event)?,
                Record::Fact(_, ControlFact::Rekeyed(fact)) => moved(vault, fact)?,
                Record::Fact(..) | Record::Leaf(..) => None,
            });
        }
        vault
            .remember(&changes, last.next())
            .map_err(|error| failed("apply the log to the vault", &error))?;
    }
}

/// Where to go on applying the log. What is new begins at the log's start; what is older than that lacks facts
/// that are nowhere else any more.
fn first_unapplied(what: &str, applied: Offset, start: Offset) -> Result<Offset, EngineError> {
    if applied >= start {
        return Ok(applied);
    }
    if applied == Offset::ZERO {
        tracing::warn!(what, start = start.0, "built anew from the log, which no longer holds everything");
        return Ok(start);
    }
    let tried = format!("apply the log to {what}");
    let cause = format!("it ends at offset {applied} and the log begins at {start}");
    let remedy = "restore the whole store from one backup, or state alone from a newer one";
    Err(EngineError::new(code::STORE_BEHIND_LOG, &tried, cause, remedy))
}

fn remember(
    vault: &FjallVault,
    secrets: &TenantSecrets,
    event: &writ_store::log::StoredEvent,
) -> Result<Option<Remember>, EngineError> {
    let Some(part) = event.parts.first() else { return Ok(None) };
    let key = vault.key(part.subject_id, part.generation, Purpose::Content);
    let Some(key) = key.map_err(|error| failed("read a key", &error))? else { return Ok(None) };
    let private = seal::open(part, &event.header, &key).map_err(|error| failed("open an event", &error))?;
    let header = &event.header;
    let hash = |key| {
        let table = &private.table;
        writ_kernel::identity::key_hash(&secrets.tenant_key, &header.tenant, &header.source, table, key)
    };
    let key_hash = hash(&private.key);
    let old_key_hash = private.old_key.as_ref().map(hash).filter(|old| *old != key_hash);
    let said = (private.data.after, private.version);
    Ok(Some(Remember::of_event(header, event.ordinals.subject, said, key_hash, old_key_hash)))
}

pub(crate) fn moved(vault: &dyn Vault, fact: &Rekeyed) -> Result<Option<Remember>, EngineError> {
    let key = vault.key(fact.subject_id, fact.generation, Purpose::Evidence);
    let Some(key) = key.map_err(|error| failed("read a key", &error))? else { return Ok(None) };
    let Move { old, new } = Move::open(fact, &key).map_err(|error| failed("open a rekey", &error))?;
    Ok(Some(Remember::moved(old, new)))
}

/// What the clocks of this run start above.
#[derive(Default)]
pub(crate) struct Floor {
    /// The largest clock values in the log, of events that have left it too.
    pub(crate) clocks: Clocks,
    /// The time of the log's last leaf.
    pub(crate) latest: Timestamp,
}

/// Read from the log's tail.
pub(crate) fn clock_floor(log: &dyn Log) -> Result<Floor, EngineError> {
    let mut reader = log.reader();
    let (start, end) = (log.start().0, log.end().0);
    let mut back = 1024;
    loop {
        let from = end.saturating_sub(back).max(start);
        let (mut clocks, mut last_leaf) = (Clocks::default(), Vec::new());
        let mut at = Offset(from);
        while at.0 < end {
            let records = read(reader.as_mut(), at)?;
            let Some(last) = records.last().map(Record::offset) else { break };
            at = last.next();
            for record in records {
                match record {
                    Record::Event(event) => {
                        let (hlc_millis, lamport) = (event.header.hlc.millis, event.ordinals.lamport);
                        clocks = later(clocks, Clocks { hlc_millis, lamport });
                    }
                    Record::Leaf(_, _, bytes) => last_leaf = bytes,
                    Record::Fact(_, ControlFact::Truncated(truncated)) => {
                        clocks = later(clocks, truncated.clocks);
                    }
                    Record::Fact(..) => {}
                }
            }
        }
        if clocks.hlc_millis > 0 || from == start {
            return Ok(Floor { clocks, latest: time_of(&last_leaf) });
        }
        back *= 8;
    }
}

fn later(one: Clocks, other: Clocks) -> Clocks {
    Clocks { hlc_millis: one.hlc_millis.max(other.hlc_millis), lamport: one.lamport.max(other.lamport) }
}

fn time_of(leaf: &[u8]) -> Timestamp {
    let leaf = Leaf::parse(acks::split(leaf).0);
    leaf.map(|leaf| Timestamp(leaf.timestamp().micros())).unwrap_or_default()
}

fn read(log: &mut dyn LogReader, from: Offset) -> Result<Vec<Record>, EngineError> {
    log.read(from, STEP_BYTES).map_err(|error| failed("read the log", &error))
}

pub(crate) fn failed(tried: &str, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::new(code::SYNC_FAILED, tried, error, "check the disk, then start again")
}

/// What state holds of each lane.
pub(crate) fn lanes(
    parts: &[LanePart],
    state: &dyn State,
    begin: Offset,
    end: Offset,
) -> Result<BTreeMap<LaneId, Recovered>, EngineError> {
    let mut recovered = BTreeMap::new();
    for (id, part) in (0..).map(LaneId).zip(parts) {
        let read = |error| failed("read a lane's state", &error);
        let lane = Recovered {
            cursor: state.cursor(&part.name).map_err(read)?.map(|cursor| behind(cursor, begin)),
            begin,
            end,
            state: state.lane(&part.name).map_err(read)?.map(|lane| lane.state),
            decided: state.decided(&part.name).map_err(read)?,
            ..parked(&part.name, state).map_err(read)?
        };
        recovered.insert(id, lane);
    }
    Ok(recovered)
}

/// A subscriber that was not configured for a while keeps nothing: one whose cursor is before the log's start
/// goes on there, and the gap is told.
fn behind(mut cursor: Cursor, begin: Offset) -> Cursor {
    if cursor.watermark < begin {
        let (subscriber, from, to) = (cursor.subscriber.as_str(), cursor.watermark.0, begin.0);
        let code = code::LANE_BEHIND.id;
        tracing::error!(code, subscriber, from, to, "events before the log's start are not delivered");
        cursor.watermark = begin;
        cursor.done.retain(|(first, _)| *first >= begin);
    }
    cursor
}

/// Replays that did not end, each with what was ordered.
pub(crate) fn replays(state: &dyn State) -> Result<Vec<(Option<ReplayOrder>, ReplayProgress)>, EngineError> {
    let read = |error| failed("read replays", &error);
    let with_order =
        |progress: ReplayProgress| Ok((state.replay_order(&progress.id).map_err(read)?, progress));
    state.replays().map_err(read)?.into_iter().map(with_order).collect()
}

/// Dead letters read in one step.
const LETTERS: usize = 4096;

/// Every parked subject with its last dead letter, and which of them have dead letters that were parked alone.
fn parked(subscriber: &SubscriberName, state: &dyn State) -> Result<Recovered, StateError> {
    let (mut parked, mut scattered) = (BTreeMap::<SubjectId, Offset>::new(), BTreeSet::new());
    let mut stuck = BTreeSet::new();
    let mut after = None;
    loop {
        let letters = state.dead_letters(subscriber, after, LETTERS)?;
        let Some(last) = letters.last() else {
            let parked = parked.into_iter().collect();
            return Ok(Recovered { parked, scattered, stuck, ..Recovered::default() });
        };
        after = Some((last.subject_id, last.offset));
        parked.extend(letters.iter().map(|letter| (letter.subject_id, letter.offset)));
        scattered.extend(letters.iter().filter(|letter| letter.alone).map(|letter| letter.subject_id));
        stuck.extend(
            letters.iter().filter(|letter| parking::is_stuck(letter)).map(|letter| letter.subject_id),
        );
    }
}

/// What the log covers of each source.
pub(crate) fn covered<'a>(
    sources: impl Iterator<Item = &'a SourceName>,
    state: &dyn State,
) -> Result<BTreeMap<SourceName, Covered>, EngineError> {
    let mut covered = BTreeMap::new();
    for source in sources {
        let found = state.covered(source).map_err(|error| failed("read source progress", &error))?;
        covered.extend(found.map(|one| (source.clone(), one)));
    }
    Ok(covered)
}

/// How far each source is durable.
pub(crate) fn progress<'a>(
    sources: impl Iterator<Item = &'a SourceName>,
    state: &dyn State,
) -> Result<BTreeMap<SourceName, SourceProgress>, EngineError> {
    let mut progress = BTreeMap::new();
    for source in sources {
        let found = state.source(source).map_err(|error| failed("read source progress", &error))?;
        progress.extend(found.map(|one| (source.clone(), one)));
    }
    Ok(progress)
}

/// The numbers of the sources' last accounting leaves.
pub(crate) fn accounting<'a>(
    sources: impl Iterator<Item = &'a SourceName>,
    state: &dyn State,
) -> Result<BTreeMap<SourceName, u64>, EngineError> {
    let mut numbers = BTreeMap::new();
    for source in sources {
        let found = state.accounted(source).map_err(|error| failed("read accounting", &error))?;
        numbers.extend(found.map(|one| (source.clone(), one.seq)));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use writ_model::id::Epoch;

    use super::*;

    #[test]
    fn a_cursor_from_before_the_log_goes_on_at_its_start() {
        let cursor = |watermark, done: &[(u64, u64)]| Cursor {
            subscriber: SubscriberName::new("crm").expect("a name"),
            epoch: Epoch(1),
            watermark: Offset(watermark),
            done: done.iter().map(|(first, last)| (Offset(*first), Offset(*last))).collect(),
        };
        let taken_up = behind(cursor(3, &[(5, 6), (12, 14)]), Offset(10));
        assert_eq!(taken_up, cursor(10, &[(12, 14)]));
        assert_eq!(behind(cursor(11, &[(13, 13)]), Offset(10)), cursor(11, &[(13, 13)]));
    }

    #[test]
    fn state_older_than_the_log_is_refused_and_new_state_begins_where_the_log_does() {
        let at = |applied, start| first_unapplied("derived state", Offset(applied), Offset(start));
        assert_eq!(at(7, 5).ok(), Some(Offset(7)));
        assert_eq!(at(5, 5).ok(), Some(Offset(5)));
        assert_eq!(at(0, 5).ok(), Some(Offset(5)));
        assert_eq!(at(4, 5).err().map(|error| error.code), Some(code::STORE_BEHIND_LOG));
    }
}
