//! What every form of [`State`] must do about replays, legal holds and events that leave the log.

#![expect(clippy::unwrap_used, reason = "a suite panics on a breach, and an error is one")]

use writ_model::case::{Act, Case, CaseState, Right};
use writ_model::control::{ControlFact, IntakeSeen, ReplayProgress, SettledBatch};
use writ_model::delivery::{Acknowledgement, SettledAs};
use writ_model::id::{Offset, SourceName};
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};
use writ_model::retention::{Clocks, Hold, HoldReleased, Truncated};
use writ_model::saga::{Saga, SagaKind, SagaState};
use writ_model::time::Timestamp;

use super::sample;
use super::state::{apply, event, event_at, fact, subject, subscriber};
use crate::log::Record;
use crate::state::{ENDED_KEPT, State};

/// Runs every clause.
pub(super) fn all<S: State>(fresh: &impl Fn() -> S) {
    a_replay_is_listed_until_it_is_done(&fresh());
    a_replay_is_found_by_its_request_and_counted(&fresh());
    the_last_replays_that_ended_are_kept(&fresh());
    a_hold_is_listed_until_it_is_released(&fresh());
    a_saga_is_known_as_it_was_last_told(&fresh());
    a_case_is_known_as_it_was_last_told(&fresh());
    whom_data_went_to_is_known_when_its_events_have_left_the_log(&fresh());
    the_last_truncation_is_known(&fresh());
    an_event_that_leaves_the_log_is_forgotten_and_others_are_not(&fresh());
    forgetting_leaves_the_time_of_what_stays(&fresh());
    pushed_changes_are_forgotten_oldest_first_and_by_source(&fresh());
}

fn taken(offset: u64, source: &str, number: u64, at: i64) -> Record {
    let source = SourceName::new(source).unwrap();
    let (causation_id, content_hash) = (sample::event_id(number), String::new());
    fact(
        offset,
        ControlFact::Intake(IntakeSeen { causation_id, source, content_hash, events: 1, at: Timestamp(at) }),
    )
}

fn pushed_changes_are_forgotten_oldest_first_and_by_source(state: &impl State) {
    let crm = SourceName::new("crm").unwrap();
    apply(
        state,
        &[taken(0, "crm", 1, -5), taken(1, "crm", 2, 10), taken(2, "crm2", 3, 1), taken(3, "crm", 4, 20)],
    );
    let is_known = |number| state.intake(sample::event_id(number)).unwrap().is_some();
    assert_eq!(state.forget_taken(&crm, Timestamp(20), 1).unwrap(), 1);
    assert!(!is_known(1) && is_known(2));
    assert_eq!(state.forget_taken(&crm, Timestamp(20), 9).unwrap(), 1);
    assert!(!is_known(2) && is_known(3) && is_known(4));
    // An id that was used again is as old as its last use.
    apply(state, &[taken(4, "crm", 4, 40)]);
    assert_eq!(state.forget_taken(&crm, Timestamp(40), 9).unwrap(), 0);
    assert!(is_known(4));
}

fn replay(offset: u64, id: &str, state: &str) -> Record {
    let progress = ReplayProgress {
        id: id.to_owned(),
        subscriber: subscriber("shop"),
        from: Offset(0),
        to: Offset(9),
        next: Offset(offset),
        state: state.to_owned(),
        delivered: 0,
        done: Vec::new(),
        withheld: 0,
        failed: 0,
        rate_per_second: None,
    };
    fact(offset, ControlFact::Replay(progress))
}

fn ordered(offset: u64, number: u32, request: &str) -> Record {
    let order = ReplayOrder {
        id: format!("replay-{number}"),
        number,
        subscriber: subscriber("shop"),
        from: Offset(0),
        to: Offset(9),
        selection: Selection { subjects: vec![subject(1)], ..Selection::default() },
        ids: DeliveryIds::SameId,
        shredded: Shredded::Tombstone,
        rate_per_second: Some(5),
        forced: None,
        request: request.to_owned(),
        asked: String::new(),
        actor: "ada".to_owned(),
        at: Timestamp(1),
    };
    fact(offset, ControlFact::ReplayOrdered(Box::new(order)))
}

fn a_replay_is_listed_until_it_is_done(state: &impl State) {
    apply(state, &[replay(0, "a", "running"), replay(1, "b", "paused"), replay(2, "c", "running")]);
    apply(state, &[replay(3, "a", "running"), replay(4, "b", "cancelled"), replay(5, "c", "done")]);
    let left = state.replays().unwrap();
    assert_eq!(left.iter().map(|replay| (replay.id.as_str(), replay.next.0)).collect::<Vec<_>>(), [("a", 3)]);
}

fn a_replay_is_found_by_its_request_and_counted(state: &impl State) {
    assert_eq!(state.last_replay().unwrap(), 0);
    apply(state, &[ordered(0, 1, "ab"), ordered(1, 2, "")]);
    assert_eq!(state.last_replay().unwrap(), 2);
    assert_eq!(state.replay_of_request("ab").unwrap().as_deref(), Some("replay-1"));
    assert_eq!(state.replay_of_request("").unwrap(), None, "no request is nobody's");
    let order = state.replay_order("replay-1").unwrap().expect("it was ordered");
    assert_eq!((order.selection.subjects, order.rate_per_second), (vec![subject(1)], Some(5)));
    assert!(state.replay_order("replay-3").unwrap().is_none());
}

fn the_last_replays_that_ended_are_kept(state: &impl State) {
    let count = u32::try_from(ENDED_KEPT).unwrap() + 3;
    for number in 1..=count {
        let offset = u64::from(number) * 2;
        let id = format!("replay-{number}");
        apply(state, &[ordered(offset, number, &id), replay(offset + 1, &id, "done")]);
    }
    let ended = state.ended_replays(usize::MAX).unwrap();
    assert_eq!(ended.len(), ENDED_KEPT);
    assert_eq!((ended[0].id.as_str(), ended[ENDED_KEPT - 1].id.as_str()), ("replay-1003", "replay-4"));
    assert_eq!(state.ended_replays(1).unwrap().len(), 1);
    assert!(state.replay_of_request("replay-3").unwrap().is_none(), "with its request");
    assert!(state.replay_of_request("replay-4").unwrap().is_some());
    assert!(state.replay_order("replay-3").unwrap().is_none() && state.replays().unwrap().is_empty());
}

fn a_hold_is_listed_until_it_is_released(state: &impl State) {
    let hold = |offset, id: &str| {
        let (id, actor, at) = (id.to_owned(), "ada".to_owned(), Timestamp(1));
        let (matter, reason) = ("2026-17".to_owned(), "litigation".to_owned());
        let scope = Selection::default();
        fact(offset, ControlFact::HoldPlaced(Box::new(Hold { id, matter, reason, scope, actor, at })))
    };
    apply(state, &[hold(0, "a"), hold(1, "b")]);
    assert_eq!(state.holds().unwrap().len(), 2);
    let (reason, actor) = ("settled".to_owned(), "ada".to_owned());
    let released = HoldReleased { id: "a".to_owned(), reason, actor, at: Timestamp(2) };
    apply(state, &[fact(2, ControlFact::HoldReleased(released))]);
    let left = state.holds().unwrap();
    assert_eq!(left.iter().map(|hold| hold.id.as_str()).collect::<Vec<_>>(), ["b"]);
}

fn a_saga_is_known_as_it_was_last_told(state: &impl State) {
    let saga = |id: &str, state| Saga {
        id: id.to_owned(),
        kind: SagaKind::Merge,
        reason: "matched".to_owned(),
        actor: "ada".to_owned(),
        case: None,
        released_at: None,
        at: Timestamp(1),
        steps: Vec::new(),
        exceptions: Vec::new(),
        state,
        why: None,
        changed_at: Timestamp(1),
    };
    let told = |offset, id: &str, how| fact(offset, ControlFact::Saga(Box::new(saga(id, how))));
    apply(state, &[told(0, "a", SagaState::Running), told(1, "b", SagaState::Running)]);
    apply(state, &[told(2, "a", SagaState::Done)]);
    assert_eq!(state.saga("a").unwrap().map(|saga| saga.state), Some(SagaState::Done));
    assert_eq!(state.saga("c").unwrap(), None);
    let ids = |after, limit| {
        let sagas = state.sagas(after, limit).unwrap();
        sagas.into_iter().map(|saga| saga.id).collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(None, 9), ids(None, 1), ids(Some("a"), 9)),
        (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()], vec!["b".to_owned()])
    );
}

fn a_case_is_known_as_it_was_last_told(state: &impl State) {
    let told = |offset, id: &str, how| {
        let text = str::to_owned;
        let opened = Act { actor: text("ada"), note: text("by letter"), at: Timestamp(1) };
        let case = Case {
            id: text(id),
            right: Right::Erasure,
            subject: subject(1),
            generation: writ_model::id::Generation::FIRST,
            law: text("gdpr"),
            statute_right: text("erasure"),
            zone: None,
            calendar: None,
            intake: text("api"),
            reference: None,
            received_at: Timestamp(0),
            opened,
            verified: None,
            acknowledged: None,
            answered: None,
            clocks: Vec::new(),
            extensions: Vec::new(),
            observe_seconds: 0,
            suppress_first: false,
            saga: None,
            event_id: None,
            recipients: std::collections::BTreeMap::new(),
            state: how,
            why: None,
            fulfilled_at: None,
            changed_at: Timestamp(1),
        };
        fact(offset, ControlFact::Case(Box::new(case)))
    };
    apply(state, &[told(0, "a", CaseState::Received), told(1, "b", CaseState::Received)]);
    apply(state, &[told(2, "a", CaseState::Verified)]);
    assert_eq!(state.case("a").unwrap().map(|case| case.state), Some(CaseState::Verified));
    assert_eq!(state.case("c").unwrap(), None);
    let listed = |after| state.cases(after, 9).unwrap().into_iter().map(|case| case.id).collect::<Vec<_>>();
    assert_eq!((listed(None).len(), listed(Some("a"))), (2, vec!["b".to_owned()]));
}

fn whom_data_went_to_is_known_when_its_events_have_left_the_log(state: &impl State) {
    // Of one subject: every third.
    let (first, second, other) = (event(0, 3), event(1, 6), event(2, 4));
    let settled = |at, to: &str, offset, settled, attempts| {
        let how = Acknowledgement { settled, at: Timestamp(1), attempts, answer_sha256: None };
        fact(
            at,
            ControlFact::Settled(SettledBatch {
                subscriber: subscriber(to),
                items: vec![(Offset(offset), how)],
            }),
        )
    };
    let records = [
        settled(3, "shop", 0, SettledAs::Acknowledged, 1),
        settled(4, "erp", 0, SettledAs::Withheld, 0),
        settled(5, "crm", 1, SettledAs::DeadLettered, 3),
        settled(6, "erp", 1, SettledAs::DeadLettered, 0),
        settled(7, "erp", 2, SettledAs::Acknowledged, 1),
    ];
    apply(state, &[first.clone(), second.clone(), other]);
    apply(state, &records);
    let known = || state.disclosed(subject(0)).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(known(), ["crm", "shop"], "what was never tried went nowhere");
    for _ in 0..2 {
        state.forget(std::slice::from_ref(&first)).unwrap();
        assert_eq!(known(), ["crm", "shop"]);
    }
    state.forget(&[first, second]).unwrap();
    assert_eq!(
        (known(), state.events_of(subject(0), None, 9).unwrap()),
        (vec!["crm".to_owned(), "shop".to_owned()], vec![])
    );
}

fn the_last_truncation_is_known(state: &impl State) {
    assert_eq!(state.truncated().unwrap(), Offset(0));
    let truncated = Truncated { before: Offset(7), at: Timestamp(1), clocks: Clocks::default() };
    apply(state, &[fact(0, ControlFact::Truncated(truncated))]);
    assert_eq!(state.truncated().unwrap(), Offset(7));
}

fn an_event_that_leaves_the_log_is_forgotten_and_others_are_not(state: &impl State) {
    // Of the same subject: every third. Acknowledgements lie by pages of 4,096 offsets.
    let (gone, also_gone, stays) = (event(0, 3), event(4_095, 9), event(4_096, 6));
    let settled = |at, offset| {
        let how = Acknowledgement {
            settled: SettledAs::Acknowledged,
            at: Timestamp(1),
            attempts: 1,
            answer_sha256: None,
        };
        let batch = SettledBatch { subscriber: subscriber("shop"), items: vec![(Offset(offset), how)] };
        fact(at, ControlFact::Settled(batch))
    };
    apply(state, &[gone.clone(), also_gone.clone(), stays, settled(4_097, 0), settled(4_098, 4_096)]);
    for _ in 0..2 {
        state.forget(&[gone.clone(), also_gone.clone()]).unwrap();
        assert_eq!(state.find_event(sample::event_id(3)).unwrap(), None);
        assert_eq!(state.find_event(sample::event_id(6)).unwrap(), Some(Offset(4_096)));
        assert_eq!(state.events_of(subject(0), None, 9).unwrap(), [Offset(4_096)]);
        assert!(state.acknowledgements(Offset(0)).unwrap().is_empty());
        assert_eq!(state.acknowledgements(Offset(4_096)).unwrap().len(), 1);
        let open: Vec<_> = state.open_events(Offset(0), 9).unwrap();
        assert_eq!(open.iter().map(|event| event.offset).collect::<Vec<_>>(), [Offset(4_096)]);
    }
}

fn forgetting_leaves_the_time_of_what_stays(state: &impl State) {
    const S: i64 = 1_000_000;
    let events: Vec<_> =
        (0..).zip([S, 2 * S, 3 * S, 3 * S + 1, 4 * S]).map(|(n, time)| event_at(n, n, time)).collect();
    apply(state, &events);
    state.forget(&events[..3]).unwrap();
    let at = |micros| state.offset_at(Timestamp(micros)).unwrap();
    assert_eq!((at(S), at(3 * S), at(4 * S)), (Offset(2), Offset(2), Offset(4)));
}
