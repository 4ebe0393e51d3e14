//! Receivers that remember an id for a time only.

use writ_model::guarantee::{Guarantee, Mechanism, Promise};

use super::*;

/// Breaks at the first failure; what it is promised rests on `mechanism`.
fn promised(mechanism: Option<Mechanism>) -> Bench {
    let promise = Promise { guarantee: Guarantee::ExactlyOnce, mechanism };
    let open_for = Duration::from_secs(100);
    let breaker =
        breaker::Policy { failures_in_a_row: 1, probes_max: 1, open_for, ..breaker::Policy::default() };
    let retry = retry::Policy { age_max: Duration::from_secs(10), ..config().retry };
    let promises = crate::guarantee::Promises::default().with(ChangeType::Email, promise);
    bench(Config { breaker, retry, promises, ..config() })
}

#[test]
fn an_event_that_was_tried_is_not_sent_when_the_receiver_may_have_forgotten_it() {
    let mut bench = promised(Some(Mechanism::IdempotencyKey));
    bench.offer(vec![item(1, 1), item(2, 2), item(3, 1)]);
    let (id, offsets) = bench.sent().remove(0);
    assert_eq!(offsets, [1]);
    bench.tell(Fact::Answered(id, Answer::Failed(Fault::Timeout)));
    bench.pass(Duration::from_secs(300));
    assert_eq!(bench.answer_all(&http(200)), [[2]], "what was never tried");
    let dead = [(1, "age_exhausted/waited".to_owned()), (3, "behind".to_owned())];
    assert_eq!(bench.dead(), dead, "its subject waits with it");
}

#[test]
fn an_event_that_may_be_repeated_waits_for_a_breaker_as_long_as_it_takes() {
    for mechanism in [None, Some(Mechanism::Transactional)] {
        let mut bench = promised(mechanism);
        bench.offer(vec![item(1, 1)]);
        bench.answer_all(&Answer::Failed(Fault::Timeout));
        bench.pass(Duration::from_secs(300));
        assert_eq!(bench.answer_all(&http(200)), [[1]]);
        assert_eq!(bench.dead(), []);
    }
}

#[test]
fn an_event_that_was_never_tried_is_not_too_old_for_a_receiver_that_forgets() {
    let mut bench = promised(Some(Mechanism::IdempotencyKey));
    bench.tell(Fact::Pause(LANE));
    bench.offer(vec![item(1, 1)]);
    bench.pass(Duration::from_secs(300));
    bench.tell(Fact::Resume(LANE));
    assert_eq!(bench.answer_all(&http(200)), [[1]]);
}
