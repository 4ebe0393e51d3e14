//! Waits that subscribers ask for, breakers, pauses and the end of a subscriber.

use super::*;

fn throttle(seconds: &str) -> Answer {
    Answer::Http(HttpAnswer { status: 429, retry_after: Some(seconds.into()), ..HttpAnswer::default() })
}

fn breaking() -> Config {
    let breaker = breaker::Policy { failures_in_a_row: 2, probes_max: 1, ..breaker::Policy::default() };
    Config { breaker, ..config() }
}

#[test]
fn retry_after_holds_the_whole_lane_and_is_not_charged_to_the_event() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    for _ in 0..20 {
        bench.answer_all(&throttle("10"));
        bench.pass(Duration::from_secs(9));
        assert_eq!(bench.sent(), [], "sent before the wait was over");
        bench.pass(Duration::from_secs(6));
    }
    assert_eq!(bench.dead(), []);
}

#[test]
fn a_huge_retry_after_is_bounded_by_policy_and_visible() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1)]);
    bench.answer_all(&throttle("99999999999"));
    let noted = bench
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Note(_, Note::Throttled { bounded: true, .. })));
    assert!(noted);
    bench.pass(config().retry.retry_after_max + Duration::from_secs(1));
    assert_eq!(bench.offsets(), [[1]]);
}

#[test]
fn while_the_breaker_is_open_nothing_is_sent_and_probes_cost_an_event_nothing() {
    let mut bench = bench(breaking());
    bench.offer((1..=20).map(|n| item(n, n as u8)).collect());
    for _ in 0..50 {
        assert!(bench.answer_all(&failed()).len() <= 1, "more than one probe");
        bench.pass(Duration::from_secs(31));
    }
    assert_eq!(bench.dead(), [], "a dead subscriber exhausts no event");
    bench.answer_all(&http(200));
    bench.pass(Duration::from_secs(60));
    bench.answer_all(&http(200));
    assert_eq!(bench.cursor().watermark, Offset(21));
}

#[test]
fn a_wrong_token_puts_nothing_into_the_dead_letters() {
    let mut bench = bench(breaking());
    bench.offer((1..=20).map(|n| item(n, n as u8)).collect());
    for _ in 0..50 {
        bench.answer_all(&http(401));
        bench.pass(Duration::from_secs(31));
    }
    assert_eq!(bench.dead(), []);
}

#[test]
fn a_paused_lane_with_queued_work_does_not_spin() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    bench.answer_all(&failed());
    bench.tell(Fact::Pause(LANE));
    bench.pass(Duration::from_secs(1));
    bench.effects.clear();
    assert_eq!(bench.dispatch.next_deadline(), None);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.effects, []);
    bench.tell(Fact::Resume(LANE));
    assert_eq!(bench.offsets().len(), 2);
}

#[test]
fn a_subscriber_that_is_gone_stops_its_lane_until_an_operator_resumes_it() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1)]);
    bench.answer_all(&http(410));
    let gone =
        bench.journal().into_iter().any(|fact| matches!(fact, ControlFact::Lane(l) if l.state == "gone"));
    assert!(gone);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.sent(), []);
    bench.tell(Fact::Resume(LANE));
    assert_eq!(bench.offsets(), [[1]]);
}

#[test]
fn twenty_nine_dead_subscribers_of_thirty_take_nothing_from_the_thirtieth() {
    const LANES: u16 = 30;
    const BYTES: usize = 38_000;
    let lanes = vec![config(); usize::from(LANES)];
    let mut dispatch = Dispatch::new(lanes, settings(BYTES));
    let now = Now::default();
    let mut effects = Vec::new();
    dispatch.start(now, BTreeMap::new(), &mut effects);
    for lane in 1..LANES {
        dispatch.on(
            now,
            Fact::Offered(LaneId(lane), (1..=10).map(|n| item(n, n as u8)).collect(), Offset(11)),
            &mut effects,
        );
    }
    effects.clear();
    dispatch.on(now, Fact::Offered(LANE, vec![item(1, 1)], Offset(2)), &mut effects);
    let is_read = effects.iter().any(|e| matches!(e, Effect::Read { lane: LANE, bytes_max: 900, .. }));
    assert!(is_read, "{effects:?}");
    assert!(dispatch.lanes().map(|(_, lane)| lane.bytes()).sum::<usize>() <= BYTES);
}
