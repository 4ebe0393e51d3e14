//! What every form of [`State`] must do about replays.

#![expect(clippy::unwrap_used, reason = "a suite panics on a breach, and an error is one")]

use writ_model::control::{ControlFact, ReplayProgress};
use writ_model::id::Offset;
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};
use writ_model::time::Timestamp;

use super::state::{apply, fact, subject, subscriber};
use crate::log::Record;
use crate::state::{ENDED_KEPT, State};

/// Runs every clause.
pub(super) fn all<S: State>(fresh: &impl Fn() -> S) {
    a_replay_is_listed_until_it_is_done(&fresh());
    a_replay_is_found_by_its_request_and_counted(&fresh());
    the_last_replays_that_ended_are_kept(&fresh());
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
    fact(offset, ControlFact::ReplayOrdered(order))
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
