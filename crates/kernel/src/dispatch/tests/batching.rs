//! Batches: how they fill, wait, split, and keep order.

use super::*;
use crate::dispatch::lane::Batching;

fn batched(items_max: usize, linger: Duration, subject_repeats: bool) -> Bench {
    let batching = Batching { items_max, linger, subject_repeats, ..Batching::default() };
    bench(Config { batching, in_flight_max: 1, ..config() })
}

#[test]
fn a_batch_may_hold_a_subject_twice_in_order_only_where_allowed() {
    let items = || vec![item(1, 1), item(2, 1), item(3, 2)];
    let mut repeating = batched(10, Duration::ZERO, true);
    repeating.offer(items());
    assert_eq!(repeating.answer_all(&http(200)), [vec![1, 2, 3]]);
    let mut single = batched(10, Duration::ZERO, false);
    single.offer(items());
    assert_eq!(single.answer_all(&http(200)), [vec![1, 3], vec![2]]);
}

#[test]
fn a_batch_takes_what_a_line_has_near_so_that_other_lines_are_left_to_other_requests() {
    let mut bench = batched(2, Duration::ZERO, true);
    bench.offer(vec![item(1, 1), item(2, 2), item(3, 1), item(4, 2)]);
    assert_eq!(bench.answer_all(&http(200)), [vec![1, 3], vec![2, 4]]);
}

#[test]
fn a_batch_takes_what_is_far_only_when_nothing_near_is_left() {
    let far = || vec![item(1, 1), item(2, 2), item(3, 3), item(100_000, 1)];
    let mut bench = batched(3, Duration::ZERO, true);
    bench.offer(far());
    assert_eq!(bench.answer_all(&http(200)), [vec![1, 2, 3], vec![100_000]]);
    let mut roomy = batched(10, Duration::ZERO, true);
    roomy.offer(far());
    assert_eq!(roomy.answer_all(&http(200)), [[1, 100_000, 2, 3]]);
}

#[test]
fn a_refused_batch_is_halved_until_the_event_to_blame_is_alone() {
    let mut bench = batched(8, Duration::ZERO, true);
    bench.offer((1..=8).map(|n| item(n, n as u8)).collect());
    for _ in 0..40 {
        for (id, offsets) in bench.sent() {
            let answer = if offsets.contains(&5) { http(400) } else { http(200) };
            bench.tell(Fact::Answered(id, answer));
        }
    }
    assert_eq!(bench.dead(), [(5, "http_400".to_owned())]);
    assert_eq!(bench.cursor().watermark, Offset(9));
}

#[test]
fn a_standard_batch_waits_for_company_and_an_express_one_does_not() {
    let linger = Duration::from_millis(50);
    let mut bench = batched(4, linger, true);
    bench.offer(vec![item(1, 1)]);
    assert_eq!(bench.sent(), []);
    bench.pass(linger);
    assert_eq!(bench.answer_all(&http(200)), [[1]]);
    bench.tell(Fact::Offered(LANE, vec![express(2, 2)], Offset(3)));
    assert_eq!(bench.offsets(), [[2]]);
}

#[test]
fn what_was_sent_behind_a_failed_item_of_its_subject_goes_again_behind_it() {
    let mut bench = batched(3, Duration::ZERO, true);
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 1)]);
    let (id, _) = bench.sent()[0];
    bench.tell(Fact::Answered(id, Answer::PerItem(vec![http(200), http(500), http(200)])));
    bench.pass(Duration::from_secs(4));
    assert_eq!(bench.offsets(), [[2, 3]]);
    assert_eq!(bench.cursor().watermark, Offset(2));
}
