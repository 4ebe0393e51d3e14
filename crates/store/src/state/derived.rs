//! The derived state over any store of pairs, and its two forms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use writ_model::case::Case;
use writ_model::control::{
    Accounted, Covered, Cursor, DeadLetter, IntakeSeen, LaneChange, ReplayProgress, SourceProgress, Withheld,
};
use writ_model::delivery::{Acknowledgement, Branch};
use writ_model::finding::Finding;
use writ_model::id::{EventId, Offset, SourceName, SubjectId, SubscriberName};
use writ_model::replay::ReplayOrder;
use writ_model::retention::Hold;
use writ_model::saga::Saga;
use writ_model::time::Timestamp;

use super::derive::Draft;
use super::key::{self, CONTROL, EVENTS, PARKED, SETTLING};
use super::replay::ENDED_KEPT;
use super::row::{self, OpenRow};
use super::{Nearby, OpenEvent, State, disclosure, forget};
use crate::error::StateError;
use crate::log::Record;
use crate::pairs::disk::{DiskPairs, Shape};
use crate::pairs::memory::MemoryPairs;
use crate::pairs::{Area, Durability, Fault, Pair, Pairs, just_after};
use crate::settled::SettledRuns;

/// The format of keys and values, see [`super::key`].
const FORMAT: u32 = 2;
/// State is read by operators and on start, rarely while events flow.
const CACHE_BYTES: u64 = 8 << 20;
/// Four areas, so four of these, and as much again while they are flushed.
const MEMTABLE_BYTES: u64 = 4 << 20;
/// Rows of one page of acknowledgements: one at least for every subscriber, and seldom more than a few.
pub(super) const PAGE_ROWS_MAX: usize = 1 << 20;
/// More decided branches of one subscriber than attempts can be in flight, over many crashes.
const BRANCHES_MAX: usize = 65_536;
/// Operators start replays by hand; no store has more at once.
const REPLAYS_MAX: usize = 4096;
/// A subject's events that are looked at in one step, for the disclosure ledger.
const DISCLOSURE_PAGE: usize = 1024;
/// Lawyers place holds one by one; no store has more at once.
const HOLDS_MAX: usize = 4096;

/// One of each kind is open per subscriber, and subscribers are configured one by one.
const FINDINGS_MAX: usize = 65_536;

/// State on disk.
pub type FjallState = Derived<DiskPairs>;

/// State in memory, for tests and the simulator.
pub type MemoryState = Derived<MemoryPairs>;

/// How the events of one page settled, by event and subscriber.
pub(super) type Settled = BTreeMap<Offset, BTreeMap<SubscriberName, Acknowledgement>>;

/// What was derived from the log, kept as pairs.
pub struct Derived<P> {
    pairs: P,
    applied: AtomicU64,
}

impl FjallState {
    /// Opens the state in `dir`, makes it when there is none. One opening at a time (`WRIT-5004`); a format
    /// that this version does not read is refused (`WRIT-5006`).
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let areas = key::AREAS;
        let shape = Shape { format: FORMAT, areas, cache_bytes: CACHE_BYTES, memtable_bytes: MEMTABLE_BYTES };
        DiskPairs::open(&dir.join("db"), &shape).and_then(Self::over).map_err(StateError::when("open"))
    }
}

impl MemoryState {
    /// An empty state.
    pub fn new() -> Self {
        Self { pairs: MemoryPairs::new(key::AREAS.len()), applied: AtomicU64::new(0) }
    }

    /// A power cut: everything is as it was at the last sync.
    pub fn crash(&mut self) {
        self.pairs.crash();
        let applied = read_applied(&self.pairs).expect("pairs in memory are as they were written");
        *self.applied.get_mut() = applied;
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Pairs> Derived<P> {
    fn over(pairs: P) -> Result<Self, Fault> {
        Ok(Self { applied: AtomicU64::new(read_applied(&pairs)?), pairs })
    }

    fn fact<T: serde::de::DeserializeOwned>(&self, area: Area, key: &[u8]) -> Result<Option<T>, Fault> {
        self.pairs.get(area, key)?.map(|bytes| row::from_json(&bytes)).transpose()
    }

    fn number(&self, area: Area, key: &[u8]) -> Result<Option<u64>, Fault> {
        self.pairs.get(area, key)?.map(|bytes| row::number(&bytes)).transpose()
    }

    fn settled(&self, page: u64) -> Result<Settled, Fault> {
        settled(&self.pairs, page)
    }

    /// Open events with their acknowledgements; rows are in offset order, so each page is read once.
    fn with_settled(&self, rows: &[Pair]) -> Result<Vec<OpenEvent>, Fault> {
        let mut events = Vec::with_capacity(rows.len());
        let mut page = (u64::MAX, Settled::new());
        for (key, value) in rows {
            let offset = key::offset_at_end(key).ok_or_else(|| row::unreadable("key"))?;
            let row: OpenRow = row::from_proto(value)?;
            let mut event = row.into_event(offset).ok_or_else(|| row::unreadable("row"))?;
            if page.0 != key::page(offset) {
                page = (key::page(offset), self.settled(key::page(offset))?);
            }
            event.settled = page.1.remove(&offset).unwrap_or_default().into_iter().collect();
            events.push(event);
        }
        Ok(events)
    }

    /// The key to go on after, in the order in which events were withheld; `None` when `after` is not there.
    fn withheld_start(&self, after: Option<EventId>) -> Result<Option<Vec<u8>>, Fault> {
        let Some(after) = after else { return Ok(Some(Vec::new())) };
        let at = self.number(PARKED, &key::withheld_at(after))?;
        Ok(at.map(|at| just_after(&key::withheld(Offset(at)))))
    }
}

impl<P: Pairs> State for Derived<P> {
    fn apply(&self, records: &[Record], through: Offset) -> Result<(), StateError> {
        let applied = self.applied();
        if through <= applied {
            return Ok(());
        }
        let is_due = |record: &&Record| (applied..through).contains(&record.offset());
        let mut draft = Draft::new(&self.pairs);
        let drafted = records.iter().filter(is_due).try_for_each(|record| draft.apply(record));
        drafted
            .and_then(|()| self.pairs.write(draft.finish(through), Durability::Buffered))
            .map_err(StateError::when("apply"))?;
        self.applied.store(through.0, Ordering::Release);
        Ok(())
    }

    fn applied(&self) -> Offset {
        Offset(self.applied.load(Ordering::Acquire))
    }

    fn sync(&self) -> Result<(), StateError> {
        self.pairs.sync().map_err(StateError::when("sync"))
    }

    fn source(&self, source: &SourceName) -> Result<Option<SourceProgress>, StateError> {
        self.fact(CONTROL, &key::source(source.as_str())).map_err(StateError::when("read source progress"))
    }

    fn covered(&self, source: &SourceName) -> Result<Option<Covered>, StateError> {
        self.fact(CONTROL, &key::covered(source.as_str())).map_err(StateError::when("read covered changes"))
    }

    fn accounted(&self, source: &SourceName) -> Result<Option<Accounted>, StateError> {
        self.fact(CONTROL, &key::accounted(source.as_str())).map_err(StateError::when("read accounting"))
    }

    fn intake(&self, causation_id: EventId) -> Result<Option<IntakeSeen>, StateError> {
        self.fact(EVENTS, &key::intake(causation_id)).map_err(StateError::when("read intake"))
    }

    fn cursor(&self, subscriber: &SubscriberName) -> Result<Option<Cursor>, StateError> {
        self.fact(CONTROL, &key::cursor(subscriber)).map_err(StateError::when("read cursor"))
    }

    fn lane(&self, subscriber: &SubscriberName) -> Result<Option<LaneChange>, StateError> {
        self.fact(CONTROL, &key::lane(subscriber)).map_err(StateError::when("read lane"))
    }

    fn dead_letters(
        &self,
        subscriber: &SubscriberName,
        after: Option<(SubjectId, Offset)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StateError> {
        let after = after.map(|(subject, offset)| just_after(&key::letter(subscriber, subject, offset)));
        self.pairs
            .scan(PARKED, &key::letters(subscriber), &after.unwrap_or_default(), limit)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list dead letters"))
    }

    fn dead_letter_count(&self, subscriber: &SubscriberName) -> Result<u64, StateError> {
        let count = self.number(CONTROL, &key::letter_count(subscriber));
        count.map(Option::unwrap_or_default).map_err(StateError::when("count dead letters"))
    }

    fn find_event(&self, event_id: EventId) -> Result<Option<Offset>, StateError> {
        let offset = self.number(EVENTS, &key::event(event_id)).map_err(StateError::when("find event"))?;
        Ok(offset.map(Offset))
    }

    fn events_of(
        &self,
        subject: SubjectId,
        after: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<Offset>, StateError> {
        let after = after.map(|offset| just_after(&key::subject_event(subject, offset)));
        let offset = |(key, _): &Pair| key::offset_at_end(key).ok_or_else(|| row::unreadable("key"));
        self.pairs
            .scan(EVENTS, &key::subject(subject), &after.unwrap_or_default(), limit)
            .and_then(|rows| rows.iter().map(offset).collect())
            .map_err(StateError::when("list a subject's events"))
    }

    fn acknowledgements_near(&self, offset: Offset) -> Result<Nearby, StateError> {
        let page = key::page(offset);
        let settled = self.settled(page).map_err(StateError::when("read acknowledgements"))?;
        let first = page * key::PAGE_OFFSETS;
        Ok(Nearby { covers: Offset(first)..Offset(first.saturating_add(key::PAGE_OFFSETS)), settled })
    }

    fn acknowledgements(&self, offset: Offset) -> Result<Vec<(SubscriberName, Acknowledgement)>, StateError> {
        let page = self.settled(key::page(offset)).map_err(StateError::when("read acknowledgements"));
        Ok(page?.remove(&offset).unwrap_or_default().into_iter().collect())
    }

    fn open_events(&self, from: Offset, limit: usize) -> Result<Vec<OpenEvent>, StateError> {
        self.pairs
            .scan(SETTLING, key::OPEN, &key::open(from), limit)
            .and_then(|rows| self.with_settled(&rows))
            .map_err(StateError::when("list open events"))
    }

    fn withheld(&self, after: Option<EventId>, limit: usize) -> Result<Vec<Withheld>, StateError> {
        let listed = self.withheld_start(after).and_then(|start| {
            let Some(start) = start else { return Ok(Vec::new()) };
            let rows = self.pairs.scan(PARKED, key::WITHHELD, &start, limit)?;
            rows.iter().map(|(_, value)| row::from_json(value)).collect()
        });
        listed.map_err(StateError::when("list withheld events"))
    }

    fn decided(&self, subscriber: &SubscriberName) -> Result<Vec<Branch>, StateError> {
        self.pairs
            .scan(CONTROL, &key::branches(subscriber), &[], BRANCHES_MAX)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list decided branches"))
    }

    fn replays(&self) -> Result<Vec<ReplayProgress>, StateError> {
        self.pairs
            .scan(CONTROL, key::REPLAYS, &[], REPLAYS_MAX)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list replays"))
    }

    fn findings(&self) -> Result<Vec<Finding>, StateError> {
        self.pairs
            .scan(CONTROL, key::FINDINGS, &[], FINDINGS_MAX)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list findings"))
    }

    fn ended_replays(&self, limit: usize) -> Result<Vec<ReplayProgress>, StateError> {
        let ended = self.pairs.scan(CONTROL, key::ENDED, &[], ENDED_KEPT + 1);
        ended
            .and_then(|rows| rows.iter().rev().take(limit).map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list ended replays"))
    }

    fn replay_order(&self, id: &str) -> Result<Option<ReplayOrder>, StateError> {
        self.fact(CONTROL, &key::replay_order(id)).map_err(StateError::when("read a replay's order"))
    }

    fn replay_of_request(&self, request: &str) -> Result<Option<String>, StateError> {
        self.fact(CONTROL, &key::request(request)).map_err(StateError::when("find a replay"))
    }

    fn last_replay(&self) -> Result<u32, StateError> {
        let last = self.number(CONTROL, key::REPLAY_NUMBER).map_err(StateError::when("count replays"))?;
        Ok(u32::try_from(last.unwrap_or_default()).unwrap_or(u32::MAX))
    }

    fn holds(&self) -> Result<Vec<Hold>, StateError> {
        self.pairs
            .scan(CONTROL, key::HOLDS, &[], HOLDS_MAX)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list legal holds"))
    }

    fn sagas(&self, after: Option<&str>, limit: usize) -> Result<Vec<Saga>, StateError> {
        let start = after.map(|id| just_after(&key::saga(id))).unwrap_or_default();
        self.pairs
            .scan(CONTROL, key::SAGAS, &start, limit)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list sagas"))
    }

    fn saga(&self, id: &str) -> Result<Option<Saga>, StateError> {
        self.fact(CONTROL, &key::saga(id)).map_err(StateError::when("read a saga"))
    }

    fn truncated(&self) -> Result<Offset, StateError> {
        let before = self.number(CONTROL, key::TRUNCATED).map_err(StateError::when("read a truncation"))?;
        Ok(Offset(before.unwrap_or_default()))
    }

    fn cases(&self, after: Option<&str>, limit: usize) -> Result<Vec<Case>, StateError> {
        let start = after.map(|id| just_after(&key::case(id))).unwrap_or_default();
        self.pairs
            .scan(CONTROL, key::CASES, &start, limit)
            .and_then(|rows| rows.iter().map(|(_, value)| row::from_json(value)).collect())
            .map_err(StateError::when("list cases"))
    }

    fn case(&self, id: &str) -> Result<Option<Case>, StateError> {
        self.fact(CONTROL, &key::case(id)).map_err(StateError::when("read a case"))
    }

    fn disclosed(&self, subject: SubjectId) -> Result<BTreeSet<SubscriberName>, StateError> {
        let of_gone = disclosure::recorded(&self.pairs, subject);
        let mut names = of_gone.map_err(StateError::when("read the disclosure ledger"))?;
        let mut after = None;
        loop {
            let offsets = self.events_of(subject, after, DISCLOSURE_PAGE)?;
            let Some(last) = offsets.last() else { return Ok(names) };
            after = Some(*last);
            // Acknowledgements lie by the page: each is read once.
            for near in offsets.chunk_by(|one, other| key::page(*one) == key::page(*other)) {
                let settled =
                    self.settled(key::page(near[0])).map_err(StateError::when("read acknowledgements"))?;
                let of_subject = near.iter().filter_map(|offset| settled.get(offset)).flatten();
                names.extend(of_subject.filter(|(_, how)| disclosure::went(**how)).map(|(to, _)| to.clone()));
            }
        }
    }

    fn forget(&self, records: &[Record]) -> Result<(), StateError> {
        let forgotten = forget::rows(&self.pairs, records);
        forgotten
            .and_then(|batch| self.pairs.write(batch, Durability::Buffered))
            .map_err(StateError::when("forget events that leave the log"))
    }

    fn forget_taken(
        &self,
        source: &SourceName,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StateError> {
        let forget = || {
            let (batch, count) = forget::taken(&self.pairs, source.as_str(), before, limit)?;
            if count > 0 {
                self.pairs.write(batch, Durability::Buffered)?;
            }
            Ok(count)
        };
        forget().map_err(StateError::when("forget pushed changes"))
    }

    fn offset_at(&self, time: Timestamp) -> Result<Offset, StateError> {
        // Taken first: events applied meanwhile are later than any answer.
        let end = self.applied();
        let second = key::second(time.0.div_euclid(1_000_000));
        let found = self
            .pairs
            .scan(EVENTS, key::SECONDS, &second, 1)
            .and_then(|rows| rows.first().map(|(_, value)| row::number(value).map(Offset)).transpose());
        found.map(|offset| offset.unwrap_or(end)).map_err(StateError::when("find a time"))
    }
}

/// Every acknowledgement of a page. One that was told twice counts as it was told last.
pub(super) fn settled(pairs: &dyn Pairs, page: u64) -> Result<Settled, Fault> {
    let rows = pairs.scan(SETTLING, &key::acknowledgements(page), &[], PAGE_ROWS_MAX)?;
    let mut settled = Settled::new();
    for (_, value) in rows {
        let runs: SettledRuns = row::from_proto(&value)?;
        let (subscriber, items) = runs.into_items().ok_or_else(|| row::unreadable("row"))?;
        for (offset, how) in items {
            settled.entry(offset).or_default().insert(subscriber.clone(), how);
        }
    }
    Ok(settled)
}

fn read_applied(pairs: &impl Pairs) -> Result<u64, Fault> {
    pairs.get(CONTROL, key::APPLIED)?.map_or(Ok(0), |bytes| row::number(&bytes))
}

#[cfg(test)]
mod tests {
    use writ_model::code;

    use super::*;
    use crate::contract::sample;
    use crate::contract::state::stored;
    use crate::seal::SealedPart;
    use crate::vault::Purpose;

    #[test]
    fn a_second_opening_is_refused_and_names_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = FjallState::open(dir.path()).unwrap();
        let refused = FjallState::open(dir.path()).err().unwrap();
        assert_eq!(refused.code(), code::STORE_LOCKED);
        assert!(refused.to_string().contains(&dir.path().display().to_string()), "{refused}");
        drop(first);
        FjallState::open(dir.path()).unwrap();
    }

    #[test]
    fn no_sealed_part_and_no_location_is_copied_into_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let state = FjallState::open(dir.path()).unwrap();
        let mut event = stored(0, 1);
        event.parts = vec![SealedPart {
            subject_id: event.header.subject_id,
            generation: event.header.generation,
            purpose: Purpose::Content,
            nonce: [0; 12],
            ciphertext: b"sealed bytes".to_vec(),
        }];
        event.header.location = Some("shop-of-kiel".to_owned());
        state.apply(&[Record::Event(Box::new(event))], Offset(1)).unwrap();
        state.sync().unwrap();
        let journal = std::fs::read(dir.path().join("db/0.jnl")).unwrap();
        let holds = |text: &[u8]| journal.windows(text.len()).any(|window| window == text);
        assert!(holds(sample::event_id(1).0.as_bytes()), "the search itself works");
        assert!(!holds(b"sealed bytes") && !holds(b"shop-of-kiel"));
    }
}
