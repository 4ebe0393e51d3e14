//! At most once: the journal before the socket, no second attempt, and what a crash leaves.

use writ_model::delivery::SettledAs;
use writ_model::guarantee::{Guarantee, Promise};

use super::*;
use crate::guarantee::Promises;

fn once() -> Config {
    let promise = Promise { guarantee: Guarantee::AtMostOnce, mechanism: None };
    Config {
        promises: Promises::default().with(ChangeType::Email, promise),
        expires_after: Some(Duration::from_secs(60)),
        batching: lane::Batching { items_max: 10, ..lane::Batching::default() },
        ..config()
    }
}

fn confirms(bench: &mut Bench) -> Vec<AttemptId> {
    let effects = std::mem::take(&mut bench.effects);
    let ids = effects.iter().filter_map(|effect| match effect {
        Effect::Confirm(id) => Some(*id),
        _ => None,
    });
    let ids = ids.collect();
    bench.effects = effects.into_iter().filter(|effect| !matches!(effect, Effect::Confirm(_))).collect();
    ids
}

fn settled(bench: &mut Bench) -> Vec<(u64, SettledAs)> {
    let settled = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Settled(_, batch) => Some(batch.items.iter().map(|(offset, how)| (offset.0, how.settled))),
        _ => None,
    });
    settled.flatten().collect()
}

#[test]
fn nothing_is_sent_before_the_cursor_behind_it_is_durable() {
    let mut bench = bench(once());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    assert_eq!(bench.sent(), []);
    let cursor = bench.cursor();
    assert_eq!((cursor.watermark, cursor.done.is_empty()), (Offset(3), true));
    let ids = confirms(&mut bench);
    let [id] = ids[..] else { panic!("{ids:?}") };
    bench.tell(Fact::Durable(id));
    bench.tell(Fact::Durable(id));
    bench.tell(Fact::Durable(AttemptId(99)));
    assert_eq!(bench.offsets(), [[1, 2]], "sent once, though told twice");
}

#[test]
fn the_cursor_is_journaled_before_its_confirmation_is_asked_for() {
    let mut bench = bench(once());
    bench.offer(vec![item(1, 1)]);
    let place = |wanted: fn(&Effect) -> bool| bench.effects.iter().position(wanted).expect("emitted");
    let settled = place(|effect| matches!(effect, Effect::Journal(ControlFact::Settled(_))));
    let cursor = place(|effect| matches!(effect, Effect::Journal(ControlFact::Cursor(_))));
    let confirm = place(|effect| matches!(effect, Effect::Confirm(_)));
    assert!(settled < cursor && cursor < confirm);
}

#[test]
fn after_a_crash_a_spent_event_is_not_offered_to_the_subscriber_again() {
    let mut before = bench(once());
    before.offer(vec![item(1, 1), item(2, 2)]);
    let cursor = before.cursor();
    let mut after = recovered(once(), Recovered { cursor: Some(cursor), ..Recovered::default() });
    after.offer(vec![item(1, 1), item(2, 2), item(3, 3)]);
    for id in confirms(&mut after) {
        after.tell(Fact::Durable(id));
    }
    assert_eq!(after.offsets(), [[3]]);
}

#[test]
fn a_failed_attempt_is_the_last_one_and_says_so() {
    for (answer, expected) in [
        (http(204), SettledAs::Acknowledged),
        (http(422), SettledAs::Attempted),
        (http(503), SettledAs::Attempted),
        (Answer::Failed(Fault::Timeout), SettledAs::Attempted),
    ] {
        let mut bench = bench(once());
        bench.offer(vec![item(1, 1), item(2, 2)]);
        for id in confirms(&mut bench) {
            bench.tell(Fact::Durable(id));
            bench.tell(Fact::Answered(id, answer.clone()));
        }
        bench.sent();
        bench.pass(Duration::from_secs(3600));
        assert_eq!(bench.sent(), [], "{answer:?}");
        assert_eq!(settled(&mut bench), [(1, expected), (2, expected)], "{answer:?}");
        assert_eq!(bench.dispatch.lane(LANE).expect("a lane").parked_subjects(), 0);
    }
}

#[test]
fn what_may_be_repeated_shares_no_request_with_what_may_not() {
    let mut bench = bench(once());
    let removal = Item { operation: Operation::Delete, ..item(2, 1) };
    let later = Item { operation: Operation::Update, ..item(3, 2) };
    bench.offer(vec![item(1, 1), removal, later, item(4, 2)]);
    for id in confirms(&mut bench) {
        bench.tell(Fact::Durable(id));
        bench.tell(Fact::Answered(id, http(422)));
    }
    let mut sent = bench.offsets();
    sent.sort();
    assert_eq!(sent, [vec![1], vec![2], vec![3]]);
}

#[test]
fn an_event_whose_time_is_over_is_not_sent_and_its_successor_is() {
    let mut bench = bench(once());
    bench.tell(Fact::Pause(LANE));
    let fresh = Item { recorded_at: Timestamp(90_000_000), ..item(2, 1) };
    bench.tell(Fact::Resume(LANE));
    bench.pass(Duration::from_secs(100));
    bench.offer(vec![item(1, 1), fresh]);
    for id in confirms(&mut bench) {
        bench.tell(Fact::Durable(id));
        bench.tell(Fact::Answered(id, http(204)));
    }
    assert_eq!(bench.offsets(), [[2]]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(settled(&mut bench), [(1, SettledAs::Withheld), (2, SettledAs::Acknowledged)]);
}

#[test]
fn an_answer_that_comes_before_the_confirmation_ends_the_attempt() {
    let mut bench = bench(once());
    bench.offer(vec![item(1, 1)]);
    for id in confirms(&mut bench) {
        bench.tell(Fact::Answered(id, http(204)));
        bench.tell(Fact::Durable(id));
    }
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_replay_passes_over_what_is_sent_at_most_once() {
    let mut bench = bench(once());
    let now = bench.clock();
    let order = super::replaying::order("again", 1, 3);
    let lane = bench.dispatch.replay(now, LANE, order, &mut bench.effects).expect("starts");
    bench.effects.clear();
    let update = Item { operation: Operation::Update, ..item(2, 2) };
    bench.tell(Fact::Offered(lane, vec![item(1, 1), update], Offset(3)));
    assert_eq!((bench.offsets(), confirms(&mut bench)), (vec![vec![2]], vec![]));
}

#[test]
fn what_nobody_took_has_had_no_attempt_yet_and_what_was_taken_has_had_its_only_one() {
    let mut bench = bench(Config { expires_after: None, ..once() });
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2)]);
    let not_taken = || Answer::Failed(Fault::NotTaken);
    for _ in 0..2 {
        confirms(&mut bench).into_iter().for_each(|id| bench.tell(Fact::Durable(id)));
        let (id, offsets) = bench.sent().remove(0);
        assert_eq!(offsets, [1, 2, 3]);
        bench.tell(Fact::Answered(id, not_taken()));
    }
    confirms(&mut bench).into_iter().for_each(|id| bench.tell(Fact::Durable(id)));
    let (id, _) = bench.sent().remove(0);
    let expired = Answer::Failed(Fault::LeaseExpired);
    bench.tell(Fact::Answered(id, Answer::PerItem(vec![expired, not_taken(), not_taken()])));
    // A lease that ran out opens the breaker of a lane that has not delivered yet.
    bench.pass(Duration::from_secs(60));
    confirms(&mut bench).into_iter().for_each(|id| bench.tell(Fact::Durable(id)));
    assert_eq!(bench.offsets(), [[2, 3]]);
}
