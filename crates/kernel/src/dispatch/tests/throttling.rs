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

/// Thirty lanes and eight places for replays share 38,000 bytes: 1,000 each. An event has 100, and the last tenth is for
/// express events.
#[test]
fn twenty_nine_dead_subscribers_of_thirty_take_nothing_from_the_thirtieth() {
    const LANES: u16 = 30;
    const BYTES: usize = 38_000;
    const SHARE: usize = 1_000;
    let mut dispatch = Dispatch::new(vec![config(); usize::from(LANES)], settings(BYTES));
    let mut effects = Vec::new();
    dispatch.start(Now::default(), BTreeMap::new(), &mut effects);
    // The shell: every read is served from an endless log, every attempt but the first lane's fails.
    for second in 0..120 {
        let now = Now { moment: Moment(second * 1_000_000), wall: Timestamp(0) };
        dispatch.on_time(now, &mut effects);
        for _ in 0..50 {
            for effect in std::mem::take(&mut effects) {
                let fact = match effect {
                    Effect::Read { lane, from, items_max, bytes_max } => {
                        assert!(bytes_max <= SHARE);
                        let count = items_max.min(bytes_max / 100).max(1) as u64;
                        let items = (from.0..from.0 + count).map(|n| item(n, (n % 251) as u8)).collect();
                        Fact::Offered(lane, items, Offset(from.0 + count))
                    }
                    Effect::Send(attempt) if attempt.lane == LANE => Fact::Answered(attempt.id, http(200)),
                    Effect::Send(attempt) => Fact::Answered(attempt.id, failed()),
                    _ => continue,
                };
                dispatch.on(now, fact, &mut effects);
            }
        }
        let held: Vec<usize> = dispatch.lanes().map(|(_, lane)| lane.bytes()).collect();
        assert!(held.iter().all(|bytes| *bytes <= SHARE), "{held:?}");
    }
    let held: usize = dispatch.lanes().skip(1).map(|(_, lane)| lane.bytes()).sum();
    assert_eq!(held, 29 * (SHARE - 100), "every dead lane is full, and no fuller");
    let live = dispatch.lane(LANE).map(lane::Lane::watermark);
    assert!(live > Some(Offset(1_000)), "the live one goes on: {live:?}");
}

fn late_or_not(bench: &mut Bench) -> Vec<Note> {
    let notes = std::mem::take(&mut bench.effects).into_iter().filter_map(|effect| match effect {
        Effect::Note(_, note @ (Note::Late | Note::InTime | Note::Disorder | Note::Resumed)) => Some(note),
        _ => None,
    });
    notes.collect()
}

#[test]
fn a_lane_is_late_from_the_moment_its_oldest_event_is_too_old_until_it_is_settled() {
    let minute = Duration::from_secs(60);
    let mut bench = bench(Config { settled_within: Some(minute), ..config() });
    bench.offer(vec![item(1, 1), Item { recorded_at: Timestamp(30_000_000), ..item(2, 2) }]);
    let flying = bench.sent();
    assert_eq!(late_or_not(&mut bench), [Note::InTime]);
    bench.pass(minute - Duration::from_micros(1));
    assert_eq!(late_or_not(&mut bench), []);
    bench.pass(Duration::from_micros(1));
    assert_eq!(late_or_not(&mut bench), [Note::Late]);
    bench.tell(Fact::Answered(flying[0].0, http(200)));
    assert_eq!(late_or_not(&mut bench), [Note::InTime], "the other one has half a minute left");
    bench.tell(Fact::Pause(LANE));
    bench.pass(minute);
    assert_eq!(late_or_not(&mut bench), [Note::Late], "a paused lane is late all the same");
}

#[test]
fn a_lane_that_is_offered_events_out_of_order_takes_none_and_waits_for_an_operator() {
    let mut bench = bench(config());
    bench.offer(vec![item(2, 1), item(1, 1)]);
    assert_eq!(bench.sent(), []);
    assert_eq!(late_or_not(&mut bench), [Note::Disorder]);
    assert_eq!(
        bench.dispatch.lane(LANE).map(|lane| (lane.state(), lane.items())),
        Some((lane::State::Paused, 0))
    );
    bench.tell(Fact::Resume(LANE));
    bench.offer(vec![item(1, 1), item(2, 1)]);
    assert_eq!(bench.answer_all(&http(200)), [[1], [2]]);
}
