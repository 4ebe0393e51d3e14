//! What every form of [`State`] must do, sentence by sentence of its contract.

#![expect(clippy::unwrap_used, reason = "a suite panics on a breach, and an error is one")]

use writ_model::control::{
    Accounted, BranchDecided, ControlFact, Covered, Cursor, DeadLetter, DeadLetterClosed, Finalised,
    IntakeSeen, LaneChange, SettledBatch, SourceProgress, Withheld,
};
use writ_model::delivery::{Acknowledgement, AttemptId, Branch, SettledAs};
use writ_model::finding::{Finding, FindingKind, Severity};
use writ_model::id::{
    AnswerDigest, DeliveryId, Epoch, Incarnation, Offset, Position, Sequence, SourceName, SubjectId,
    SubscriberName,
};
use writ_model::taxonomy::{ChangeType, PriorityClass};
use writ_model::time::Timestamp;
use writ_model::verdict::{PolicyVersion, Reason, WithheldAs};

use super::{retained, sample};
use crate::log::{Record, StoredEvent};
use crate::state::State;

/// Runs every clause. `fresh` makes an empty state; `reopen` closes one and opens it again, as after a crash
/// that spared what was synced.
pub fn all<S: State>(fresh: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    events_are_found_by_id_and_by_subject(&fresh());
    the_last_fact_of_a_kind_is_the_one_that_is_read(&fresh());
    dead_letters_are_listed_in_sequence_order_and_counted(&fresh());
    closing_a_sequence_removes_its_letters_through_the_offset(&fresh());
    closing_a_part_of_a_sequence_leaves_what_stands_before_it(&fresh());
    a_sequence_of_many_letters_closes_whole(&fresh());
    an_event_is_open_until_it_is_finalised(&fresh());
    an_event_settled_after_it_was_finalised_keeps_the_acknowledgement(&fresh());
    withheld_events_are_listed_until_they_enter_the_stream(&fresh());
    a_finding_is_listed_as_it_was_last_told_until_it_is_closed(&fresh());
    a_decided_branch_is_listed_until_it_is_concluded(&fresh());
    retained::all(&fresh);
    a_time_is_the_first_event_of_its_second_or_later(&fresh());
    records_below_the_applied_offset_are_skipped(&fresh());
    overlapping_batches_give_what_one_batch_gives(&fresh);
    what_was_synced_is_there_after_a_crash(fresh(), &reopen);
}

pub(super) fn subscriber(name: &str) -> SubscriberName {
    SubscriberName::new(name).expect("a name")
}

fn crm() -> SourceName {
    SourceName::new("crm").expect("a name")
}

pub(super) fn event(offset: u64, number: u64) -> Record {
    event_at(offset, number, 1_764_000_000_500_000)
}

pub(super) fn event_at(offset: u64, number: u64, recorded_at: i64) -> Record {
    let mut event = stored(offset, number);
    event.header.recorded_at = Timestamp(recorded_at);
    Record::Event(Box::new(event))
}

/// A stored event of one of three subjects.
pub(crate) fn stored(offset: u64, number: u64) -> StoredEvent {
    let mut header = sample::header(number);
    header.subject_id = subject(number % 3);
    StoredEvent {
        offset: Offset(offset),
        sequence: Sequence(offset + 1),
        ordinals: sample::ordinals(number),
        header,
        decision: sample::decision(),
        parts: Vec::new(),
        intent_index: offset * 2,
        settle_by: Timestamp(1_764_000_600_000_000),
        bytes: 300,
    }
}

pub(super) fn subject(number: u64) -> SubjectId {
    let mut id = [0x5a; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    SubjectId(id)
}

pub(super) fn fact(offset: u64, fact: ControlFact) -> Record {
    Record::Fact(Offset(offset), fact)
}

fn letter(offset: u64, to: &str, subject_number: u64, event_offset: u64) -> Record {
    fact(offset, ControlFact::DeadLettered(dead_letter(to, subject_number, event_offset)))
}

fn dead_letter(to: &str, subject_number: u64, event_offset: u64) -> DeadLetter {
    DeadLetter {
        subscriber: subscriber(to),
        offset: Offset(event_offset),
        event_id: sample::event_id(event_offset),
        delivery_id: DeliveryId([1; 16]),
        subject_id: subject(subject_number),
        change_type: ChangeType::Email,
        class: PriorityClass::Standard,
        cause: "http_422".to_owned(),
        attempts: 3,
        at: Timestamp(5),
        alone: false,
    }
}

fn closed(offset: u64, to: &str, subject_number: u64, through: u64) -> Record {
    fact(
        offset,
        ControlFact::DeadLetterClosed(DeadLetterClosed {
            subscriber: subscriber(to),
            subject_id: subject(subject_number),
            from: None,
            through: Offset(through),
            how: "redriven".to_owned(),
            actor: "operator".to_owned(),
            at: Timestamp(6),
        }),
    )
}

fn acknowledgement(settled: SettledAs) -> Acknowledgement {
    Acknowledgement { settled, at: Timestamp(-7), attempts: 2, answer_sha256: Some(AnswerDigest([0xab; 32])) }
}

fn settled(offset: u64, by: &str, event_offset: u64, how: SettledAs) -> Record {
    let items = vec![(Offset(event_offset), acknowledgement(how))];
    fact(offset, ControlFact::Settled(SettledBatch { subscriber: subscriber(by), items }))
}

fn finalised(offset: u64, event_offset: u64) -> Record {
    fact(offset, ControlFact::Finalised(Finalised { offsets: vec![Offset(event_offset)] }))
}

fn withheld(offset: u64, number: u64, withheld: WithheldAs) -> Record {
    fact(
        offset,
        ControlFact::Withheld(Withheld {
            event_id: sample::event_id(number),
            withheld,
            reason: Reason::PolicyTimeout,
            source: crm(),
            change_type: ChangeType::Email,
            subject_id: subject(number),
            policy: PolicyVersion("default@sha256:00".into()),
            at: Timestamp(8),
            sealed: None,
        }),
    )
}

fn progress(offset: u64, commit: u64) -> Record {
    let position = Position { commit, ordinal: 0 };
    let incarnation = Incarnation("pg-7".to_owned());
    let progress = SourceProgress { source: crm(), incarnation, position, snapshot: None };
    fact(offset, ControlFact::SourceProgress(progress))
}

/// Applies records whose offsets count up from the applied one.
pub(super) fn apply(state: &impl State, records: &[Record]) {
    let through = records.last().map_or(state.applied(), |last| last.offset().next());
    state.apply(records, through).expect("records apply");
    assert_eq!(state.applied(), through);
}

fn offsets(found: &[DeadLetter]) -> Vec<u64> {
    found.iter().map(|letter| letter.offset.0).collect()
}

fn events_are_found_by_id_and_by_subject(state: &impl State) {
    apply(state, &[event(0, 3), event(1, 4), event(4, 6), event(9, 9)]);
    assert_eq!(state.find_event(sample::event_id(4)).unwrap(), Some(Offset(1)));
    assert_eq!(state.find_event(sample::event_id(5)).unwrap(), None);
    let of = |after, limit| state.events_of(subject(0), after, limit).unwrap();
    assert_eq!(of(None, 9), [Offset(0), Offset(4), Offset(9)]);
    assert_eq!(of(None, 2), [Offset(0), Offset(4)]);
    assert_eq!(of(Some(Offset(4)), 9), [Offset(9)]);
    assert_eq!(of(Some(Offset(9)), 9), []);
    assert_eq!(state.events_of(subject(7), None, 9).unwrap(), []);
}

fn the_last_fact_of_a_kind_is_the_one_that_is_read(state: &impl State) {
    let shop = subscriber("shop");
    assert_eq!(state.source(&crm()).unwrap(), None);
    assert_eq!(state.cursor(&shop).unwrap(), None);
    assert_eq!(state.lane(&shop).unwrap(), None);
    let position = Position { commit: 7, ordinal: 3 };
    let covered = Covered { source: crm(), incarnation: Incarnation("pg-7".to_owned()), position };
    let seen = IntakeSeen {
        causation_id: sample::event_id(70),
        source: crm(),
        content_hash: "00".to_owned(),
        events: 2,
        at: Timestamp(1),
    };
    let cursor = |watermark, done| Cursor { subscriber: shop.clone(), epoch: Epoch(1), watermark, done };
    let first = cursor(Offset(1), Vec::new());
    let last = cursor(Offset(2), vec![(Offset(4), Offset(5))]);
    let lane =
        |state: &str| LaneChange { subscriber: shop.clone(), state: state.to_owned(), at: Timestamp(2) };
    apply(
        state,
        &[
            progress(0, 4),
            progress(1, 7),
            fact(2, ControlFact::Covered(covered.clone())),
            fact(3, ControlFact::Intake(seen.clone())),
            fact(4, ControlFact::Cursor(first)),
            fact(5, ControlFact::Cursor(last.clone())),
            fact(6, ControlFact::Lane(lane("paused"))),
            fact(7, ControlFact::Lane(lane("running"))),
            Record::Leaf(Offset(8), 0, b"{}".to_vec()),
            fact(9, ControlFact::Accounted(Accounted { source: crm(), seq: 3 })),
            fact(10, ControlFact::Accounted(Accounted { source: crm(), seq: 4 })),
        ],
    );
    assert_eq!(state.source(&crm()).unwrap().map(|progress| progress.position.commit), Some(7));
    assert_eq!(state.covered(&crm()).unwrap(), Some(covered));
    assert_eq!(state.accounted(&crm()).unwrap(), Some(Accounted { source: crm(), seq: 4 }));
    assert_eq!(state.intake(seen.causation_id).unwrap(), Some(seen));
    assert_eq!(state.intake(sample::event_id(71)).unwrap(), None);
    assert_eq!(state.cursor(&shop).unwrap(), Some(last));
    assert_eq!(state.cursor(&subscriber("sho")).unwrap(), None);
    assert_eq!(state.lane(&shop).unwrap(), Some(lane("running")));
}

fn dead_letters_are_listed_in_sequence_order_and_counted(state: &impl State) {
    let shop = subscriber("shop");
    apply(state, &[letter(0, "shop", 2, 90), letter(1, "shop", 1, 300), letter(2, "shop", 1, 80)]);
    apply(state, &[letter(3, "shop-2", 1, 80), letter(4, "shop", 1, 80)]);
    let list = |after, limit| offsets(&state.dead_letters(&shop, after, limit).unwrap());
    assert_eq!(list(None, 9), [80, 300, 90]);
    assert_eq!(list(None, 1), [80]);
    assert_eq!(list(Some((subject(1), Offset(80))), 9), [300, 90]);
    assert_eq!(list(Some((subject(1), Offset(300))), 9), [90]);
    assert_eq!(state.dead_letter_count(&shop).unwrap(), 3, "the letter of offset 80 came twice");
    assert_eq!(state.dead_letters(&shop, None, 1).unwrap(), [dead_letter("shop", 1, 80)]);
}

fn closing_a_sequence_removes_its_letters_through_the_offset(state: &impl State) {
    let shop = subscriber("shop");
    apply(state, &[letter(0, "shop", 1, 80), letter(1, "shop", 2, 81), letter(2, "ads", 1, 80)]);
    // Parked and closed in one batch, beside one that was parked before.
    apply(state, &[letter(3, "shop", 1, 82), letter(4, "shop", 1, 84), closed(5, "shop", 1, 82)]);
    assert_eq!(offsets(&state.dead_letters(&shop, None, 9).unwrap()), [84, 81]);
    assert_eq!(state.dead_letter_count(&shop).unwrap(), 2);
    assert_eq!(state.dead_letter_count(&subscriber("ads")).unwrap(), 1);
    apply(state, &[closed(6, "shop", 1, 84), closed(7, "shop", 1, 84), letter(8, "shop", 1, 84)]);
    assert_eq!(offsets(&state.dead_letters(&shop, None, 9).unwrap()), [84, 81]);
    assert_eq!(state.dead_letter_count(&shop).unwrap(), 2);
}

fn closing_a_part_of_a_sequence_leaves_what_stands_before_it(state: &impl State) {
    let shop = subscriber("shop");
    apply(state, &[letter(0, "shop", 1, 80), letter(1, "shop", 1, 82), letter(2, "shop", 1, 84)]);
    let Record::Fact(at, ControlFact::DeadLetterClosed(whole)) = closed(3, "shop", 1, 82) else { return };
    let part = DeadLetterClosed { from: Some(Offset(82)), ..whole };
    apply(state, &[Record::Fact(at, ControlFact::DeadLetterClosed(part))]);
    assert_eq!(offsets(&state.dead_letters(&shop, None, 9).unwrap()), [80, 84]);
    assert_eq!(state.dead_letter_count(&shop).unwrap(), 2);
}

fn a_sequence_of_many_letters_closes_whole(state: &impl State) {
    const LETTERS: u64 = 1_300;
    let parked: Vec<_> = (0..LETTERS).map(|number| letter(number, "shop", 1, number)).collect();
    apply(state, &parked);
    assert_eq!(state.dead_letter_count(&subscriber("shop")).unwrap(), LETTERS);
    apply(state, &[closed(LETTERS, "shop", 1, LETTERS - 2)]);
    assert_eq!(offsets(&state.dead_letters(&subscriber("shop"), None, 9).unwrap()), [LETTERS - 1]);
    assert_eq!(state.dead_letter_count(&subscriber("shop")).unwrap(), 1);
}

fn an_event_is_open_until_it_is_finalised(state: &impl State) {
    apply(state, &[event(0, 0), event(1, 1), event(2, 2), settled(3, "shop", 1, SettledAs::Acknowledged)]);
    apply(state, &[settled(4, "ads", 1, SettledAs::DeadLettered), finalised(5, 0)]);
    let open = state.open_events(Offset(0), 9).unwrap();
    assert_eq!(open.iter().map(|event| event.offset.0).collect::<Vec<_>>(), [1, 2]);
    let first = &open[0];
    assert_eq!((first.event_id, first.intent_index), (sample::event_id(1), 2));
    assert_eq!(first.settle_by, Timestamp(1_764_000_600_000_000));
    let expected = [
        (subscriber("ads"), acknowledgement(SettledAs::DeadLettered)),
        (subscriber("shop"), acknowledgement(SettledAs::Acknowledged)),
    ];
    assert_eq!(first.settled, expected);
    assert_eq!(open[1].settled, []);
    assert_eq!(state.open_events(Offset(2), 9).unwrap().len(), 1);
    assert_eq!(state.open_events(Offset(0), 1).unwrap().len(), 1);
}

fn an_event_settled_after_it_was_finalised_keeps_the_acknowledgement(state: &impl State) {
    apply(state, &[event(0, 0), settled(1, "shop", 0, SettledAs::Pending), finalised(2, 0)]);
    apply(state, &[settled(3, "shop", 0, SettledAs::Acknowledged)]);
    assert_eq!(state.open_events(Offset(0), 9).unwrap(), []);
    let expected = [(subscriber("shop"), acknowledgement(SettledAs::Acknowledged))];
    assert_eq!(state.acknowledgements(Offset(0)).unwrap(), expected);
    assert_eq!(state.acknowledgements(Offset(1)).unwrap(), []);
    let near = state.acknowledgements_near(Offset(1)).unwrap();
    assert!(near.covers.contains(&Offset(0)) && near.covers.contains(&Offset(1)));
    assert_eq!(near.settled, [(Offset(0), expected.into_iter().collect())].into());
}

fn withheld_events_are_listed_until_they_enter_the_stream(state: &impl State) {
    use WithheldAs::{Held, Quarantined};
    apply(state, &[withheld(0, 9, Held), withheld(1, 3, Quarantined), withheld(2, 5, Held)]);
    let list = |after, limit| -> Vec<_> {
        let found = state.withheld(after, limit).unwrap();
        found.into_iter().map(|event| (event.event_id, event.withheld)).collect()
    };
    let id = sample::event_id;
    assert_eq!(list(None, 9), [(id(9), Held), (id(3), Quarantined), (id(5), Held)]);
    assert_eq!(list(Some(id(9)), 1), [(id(3), Quarantined)]);
    apply(state, &[withheld(3, 9, Quarantined)]);
    assert_eq!(list(None, 9), [(id(3), Quarantined), (id(5), Held), (id(9), Quarantined)]);
    apply(state, &[event(4, 3)]);
    assert_eq!(list(None, 9), [(id(5), Held), (id(9), Quarantined)]);
    assert_eq!(list(Some(id(3)), 9), []);
}

fn a_finding_is_listed_as_it_was_last_told_until_it_is_closed(state: &impl State) {
    let told = |to: &str, kind, seen, closed_at| Finding {
        subscriber: subscriber(to),
        kind,
        severity: Severity::P3,
        opened_at: Timestamp(1),
        updated_at: Timestamp(2),
        seen,
        due: None,
        is_overdue: false,
        closed_at,
    };
    let (down, late) = (FindingKind::Down, FindingKind::Late);
    let found = |offset, finding: &Finding| fact(offset, ControlFact::Finding(finding.clone()));
    let (again, other) = (told("shop", down, 9, None), told("shop-2", down, 1, None));
    apply(state, &[found(0, &told("shop", down, 1, None)), found(1, &told("shop", late, 1, None))]);
    apply(state, &[found(2, &again), found(3, &other), found(4, &told("shop", late, 2, Some(Timestamp(3))))]);
    assert_eq!(state.findings().unwrap(), [again, other]);
}

fn a_decided_branch_is_listed_until_it_is_concluded(state: &impl State) {
    let branch = |epoch, attempt| Branch { epoch: Epoch(epoch), attempt: AttemptId(attempt) };
    let fact = |by: &str, branch| BranchDecided { subscriber: subscriber(by), branch, at: Timestamp(0) };
    let decided =
        |at: u64, by, branch| Record::Fact(Offset(at), ControlFact::BranchDecided(fact(by, branch)));
    apply(state, &[decided(0, "crm", branch(1, 9)), decided(1, "crm", branch(2, 1))]);
    apply(state, &[decided(2, "crm2", branch(1, 1)), decided(3, "crm", branch(1, 10))]);
    let concluded = ControlFact::BranchConcluded(fact("crm", branch(1, 9)));
    apply(state, &[Record::Fact(Offset(4), concluded)]);
    assert_eq!(state.decided(&subscriber("crm")).unwrap(), [branch(1, 10), branch(2, 1)]);
    assert_eq!(state.decided(&subscriber("crm2")).unwrap(), [branch(1, 1)]);
    assert_eq!(state.decided(&subscriber("cr")).unwrap(), []);
}

fn a_time_is_the_first_event_of_its_second_or_later(state: &impl State) {
    const S: i64 = 1_000_000;
    let at = |micros| state.offset_at(Timestamp(micros)).unwrap();
    assert_eq!(at(0), Offset(0), "an empty state");
    // The clock goes back by two seconds at offset 3.
    let times = [10 * S + 5, 10 * S + 9, 13 * S, 11 * S, 13 * S + 1, 14 * S];
    let events: Vec<_> = (0..).zip(times).map(|(offset, time)| event_at(offset, offset, time)).collect();
    apply(state, &events);
    assert_eq!(at(-S), Offset(0));
    assert_eq!(at(10 * S), Offset(0));
    assert_eq!(at(10 * S + 7), Offset(0), "a second is searched from its beginning");
    assert_eq!(at(11 * S), Offset(2), "the first event at 11 s or later is the one of 13 s");
    assert_eq!(at(14 * S), Offset(5));
    assert_eq!(at(15 * S), state.applied());
}

fn records_below_the_applied_offset_are_skipped(state: &impl State) {
    apply(state, &[event(0, 0), progress(1, 4), progress(2, 5)]);
    state.apply(&[progress(1, 4)], Offset(2)).expect("nothing to do");
    assert_eq!(state.applied(), Offset(3), "the applied offset never goes back");
    state.apply(&[progress(1, 4), finalised(3, 0)], Offset(4)).expect("applies the later one");
    assert_eq!(state.source(&crm()).unwrap().map(|progress| progress.position.commit), Some(5));
    assert_eq!(state.open_events(Offset(0), 9).unwrap(), []);
}

/// A made-up log with records of every kind that reads what earlier ones wrote.
fn journal() -> Vec<Record> {
    let step = |at: u64| match at % 8 {
        0 | 1 => event_at(at, at, (at as i64 % 7) * 1_000_000),
        2 => letter(at, "shop", at % 3, at - 1),
        3 => settled(at, "ads", at - 3, SettledAs::Acknowledged),
        4 => withheld(at, at % 24, WithheldAs::Held),
        5 => finalised(at, at - 5),
        6 => progress(at, at),
        _ => closed(at, "shop", at % 3, at.saturating_sub(9)),
    };
    (0..120).map(step).collect()
}

/// Everything that can be asked, as one text.
fn answers(state: &impl State) -> String {
    let shop = subscriber("shop");
    let events: Vec<_> = (0..120).map(|number| state.find_event(sample::event_id(number)).unwrap()).collect();
    let subjects: Vec<_> =
        (0..3).map(|number| state.events_of(subject(number), None, 200).unwrap()).collect();
    let times: Vec<_> = (0..9).map(|s| state.offset_at(Timestamp(s * 1_000_000)).unwrap()).collect();
    format!(
        "{:?}",
        (
            state.dead_letters(&shop, None, 200).unwrap(),
            state.dead_letter_count(&shop).unwrap(),
            state.open_events(Offset(0), 200).unwrap(),
            state.withheld(None, 200).unwrap(),
            state.source(&crm()).unwrap(),
            (events, subjects, times, state.applied()),
        )
    )
}

fn overlapping_batches_give_what_one_batch_gives<S: State>(fresh: &impl Fn() -> S) {
    let records = journal();
    let whole = fresh();
    apply(&whole, &records);
    for (length, overlap) in [(1, 0), (1, 5), (7, 3), (16, 15), (50, 119)] {
        let state = fresh();
        for end in (length..).step_by(length).take_while(|end| *end < records.len() + length) {
            let end = end.min(records.len());
            let from = end.saturating_sub(length + overlap);
            state.apply(&records[from..end], Offset(end as u64)).expect("records apply");
        }
        assert_eq!(answers(&state), answers(&whole), "batches of {length} that overlap by {overlap}");
    }
}

fn what_was_synced_is_there_after_a_crash<S: State>(state: S, reopen: &impl Fn(S) -> S) {
    let records = journal();
    apply(&state, &records[..60]);
    state.sync().expect("syncs");
    let synced = answers(&state);
    let state = reopen(state);
    assert_eq!(answers(&state), synced);
    apply(&state, &records[60..90]);
    let state = reopen(state);
    // What was not synced may be there or not; the rest of the log is applied from wherever it stands.
    let applied = usize::try_from(state.applied().0).expect("a small offset");
    assert!((60..=90).contains(&applied));
    apply(&state, &records[applied..]);
    state.sync().expect("syncs");
    let finished = answers(&state);
    assert_eq!(answers(&reopen(state)), finished);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::state::{FjallState, MemoryState};

    #[test]
    fn state_in_memory_keeps_the_contract() {
        all(MemoryState::new, |mut state| {
            state.crash();
            state
        });
    }

    #[test]
    fn state_on_disk_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let made = Cell::new(0);
        let open = || FjallState::open(&root.path().join(made.get().to_string())).unwrap();
        let fresh = || {
            made.set(made.get() + 1);
            open()
        };
        all(fresh, |state| {
            drop(state);
            open()
        });
    }
}
