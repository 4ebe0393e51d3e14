//! Order per subject, express before standard, and what does not matter.

use super::*;

#[test]
fn events_of_one_subject_go_one_after_another_and_others_beside_them() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2)]);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|(_, o)| o.clone()).collect::<Vec<_>>(), [[1], [3]]);
    bench.tell(Fact::Answered(sent[0].0, http(200)));
    assert_eq!(bench.offsets(), [[2]]);
}

#[test]
fn express_goes_first_but_never_past_an_earlier_event_of_its_subject() {
    let mut bench = bench(Config { in_flight_max: 1, ..config() });
    bench.offer(vec![item(1, 1), item(2, 2), item(3, 3), express(4, 3)]);
    assert_eq!(bench.answer_all(&http(200)), [[3], [4], [1], [2]]);
}

#[test]
fn a_poison_event_stops_its_own_subject_only() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2), item(4, 2)]);
    for (id, offsets) in bench.sent() {
        bench.tell(Fact::Answered(id, if offsets == [1] { http(422) } else { http(200) }));
    }
    assert_eq!(bench.answer_all(&http(200)), [[4]]);
    assert_eq!(bench.dead(), [(1, "http_422".to_owned()), (2, "behind".to_owned())]);
    assert_eq!(bench.cursor().watermark, Offset(5));
}

#[test]
fn late_duplicate_and_unknown_answers_change_nothing() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 1)]);
    let (first, _) = bench.sent()[0];
    bench.tell(Fact::Answered(AttemptId(999), http(410)));
    bench.tell(Fact::Answered(first, http(200)));
    bench.tell(Fact::Answered(first, http(422)));
    assert_eq!(bench.offsets(), [[2]]);
    assert_eq!(bench.dead(), []);
}

#[test]
fn order_of_a_subject_holds_when_the_breaker_closes_again() {
    let policy = breaker::Policy { failures_in_a_row: 1, probes_max: 1, ..breaker::Policy::default() };
    let mut bench = bench(Config { breaker: policy, ..config() });
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2)]);
    assert_eq!(bench.answer_all(&failed()), [[1]], "half-open lets one probe through");
    bench.pass(Duration::from_secs(29));
    assert_eq!(bench.sent(), []);
    bench.pass(Duration::from_secs(10));
    let all = bench.answer_all(&http(200)).concat();
    let of_one: Vec<u64> = all.iter().copied().filter(|offset| *offset < 3).collect();
    assert_eq!((of_one, all.len()), (vec![1, 2], 3));
}

#[test]
fn every_failed_attempt_is_one_attempt_and_repeats_keep_the_delivery_id() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 9)]);
    bench.answer_all(&http(200));
    bench.tell(Fact::Offered(LANE, vec![item(2, 1)], Offset(3)));
    let mut ids = Vec::new();
    for number in 1..=3 {
        let sends = bench.effects.iter().filter_map(|effect| match effect {
            Effect::Send(attempt) => Some((attempt.id, attempt.deliveries[0].clone())),
            _ => None,
        });
        let sends: Vec<_> = sends.collect();
        assert_eq!(sends.len(), 1);
        assert_eq!(sends[0].1.number(), number);
        ids.push(sends[0].1.delivery_id());
        bench.sent();
        bench.tell(Fact::Answered(sends[0].0, failed()));
        bench.pass(Duration::from_secs(4));
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(bench.dead(), [(2, "attempts_exhausted/connect".to_owned())]);
}
