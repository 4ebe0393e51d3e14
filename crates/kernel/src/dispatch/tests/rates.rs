//! An operator's limits in a lane: kept whatever the answers are, and never a reason to stand still.

use proptest::prelude::*;

use super::*;
use crate::dispatch::lane::Batching;
use crate::dispatch::rate::{Limit, Meter, Policy, Tariff};

const SECOND: Duration = Duration::from_secs(1);

fn limited(meter: Meter, tariff: Tariff) -> Config {
    Config { rate: Policy { limits: vec![Limit { meter, tariff }] }, ..config() }
}

fn window(most: u32, per: Duration) -> Meter {
    Meter::Window { most, per }
}

fn many(count: u64) -> Vec<Item> {
    (1..=count).map(|n| item(n, n as u8)).collect()
}

#[test]
fn a_window_of_requests_is_filled_and_filled_again_when_it_is_over() {
    let mut bench = bench(limited(window(5, SECOND), Tariff::requests()));
    bench.offer(many(12));
    let mut sent = vec![bench.answer_all(&http(200)).len()];
    for _ in 0..2 {
        bench.pass(SECOND);
        sent.push(bench.answer_all(&http(200)).len());
    }
    assert_eq!(sent, [5, 5, 2]);
}

#[test]
fn retries_are_paid_for_like_first_attempts() {
    let mut bench = bench(limited(window(4, Duration::from_secs(60)), Tariff::requests()));
    bench.offer(vec![item(1, 9)]);
    bench.answer_all(&http(200));
    bench.tell(Fact::Offered(LANE, vec![item(2, 1), item(3, 2)], Offset(4)));
    bench.answer_all(&failed());
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.answer_all(&failed()).len(), 1, "four: three first attempts and one retry");
    bench.pass(Duration::from_secs(3));
    assert_eq!(bench.answer_all(&http(200)).len(), 2);
}

#[test]
fn a_limit_outlives_a_retry_after_and_the_wait_outlives_the_limit() {
    let mut bench = bench(limited(window(2, Duration::from_secs(10)), Tariff::requests()));
    bench.offer(many(4));
    let wait = HttpAnswer { status: 429, retry_after: Some("15".into()), ..HttpAnswer::default() };
    let sent = bench.sent();
    assert_eq!(sent.len(), 2);
    for (id, _) in sent {
        bench.tell(Fact::Answered(id, Answer::Http(wait.clone())));
    }
    bench.pass(Duration::from_secs(14));
    assert_eq!(bench.sent(), [], "the window is over, the wait is not");
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.answer_all(&http(200)).len(), 2, "the wait is over, and the limit still holds");
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.answer_all(&http(200)).len(), 2);
}

#[test]
fn a_dear_event_waits_for_its_budget_and_no_cheaper_one_goes_before_it_meanwhile() {
    let tariff = Tariff::of(1, 0).but(ChangeType::Erasure, 9);
    let mut bench = bench(limited(Meter::Bucket { capacity: 10, refill: 1, per: SECOND }, tariff));
    let dear = Item { change_type: ChangeType::Erasure, ..express(1, 1) };
    bench.offer(vec![dear, item(2, 2)]);
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.sent(), [], "10 are not there yet");
    bench.pass(SECOND);
    assert_eq!(bench.answer_all(&http(200)), [[1]]);
    bench.pass(SECOND);
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
}

#[test]
fn a_batch_is_as_large_as_the_limit_on_events_leaves_room_for() {
    let batching = Batching { items_max: 10, ..Batching::default() };
    let mut bench = bench(Config { batching, ..limited(window(4, SECOND), Tariff::events()) });
    bench.offer(many(6));
    assert_eq!(bench.answer_all(&http(200)), [vec![1, 2, 3, 4]]);
    bench.pass(SECOND);
    assert_eq!(bench.answer_all(&http(200)), [vec![5, 6]]);
}

#[test]
fn events_in_flight_are_bounded_over_all_requests() {
    let batching = Batching { items_max: 4, ..Batching::default() };
    let mut bench = bench(Config { batching, events_in_flight_max: 6, ..config() });
    bench.offer(many(12));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|(_, offsets)| offsets.len()).collect::<Vec<_>>(), [4, 2]);
    bench.tell(Fact::Answered(sent[1].0, http(200)));
    assert_eq!(bench.offsets(), [[7, 8]]);
}

#[test]
fn a_replay_and_the_live_lane_spend_from_the_same_limit() {
    let mut bench = bench(limited(window(5, SECOND), Tariff::requests()));
    let now = bench.clock();
    let order = replaying::order("again", 1, 9);
    let replay = bench.dispatch.replay(now, LANE, order, &mut bench.effects).expect("starts");
    bench.tell(Fact::Offered(replay, many(8), Offset(9)));
    bench.tell(Fact::Offered(LANE, many(8), Offset(9)));
    let mut sent = vec![bench.answer_all(&http(200)).len()];
    while sent.iter().sum::<usize>() < 16 {
        bench.pass(SECOND);
        sent.push(bench.answer_all(&http(200)).len());
    }
    assert_eq!(sent, [5, 5, 5, 1]);
}

/// A step of the world: events come, an answer comes, or time passes.
#[derive(Debug, Clone)]
enum Step {
    Offer(u8),
    Answer(u8),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1_u8..20).prop_map(Step::Offer),
        any::<u8>().prop_map(Step::Answer),
        (0_u64..1_500).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What comes back: taken, failed, told to wait.
fn answers(kind: u8) -> Answer {
    match kind % 4 {
        0 => failed(),
        1 => Answer::Http(HttpAnswer { status: 429, retry_after: Some("1".into()), ..HttpAnswer::default() }),
        _ => http(200),
    }
}

/// Takes the steps and notes when each request started and how many events were in it.
fn play(bench: &mut Bench, steps: &[Step]) -> Vec<(Moment, u64)> {
    let (mut next, mut flying, mut starts) = (1, Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Offer(count) => {
                let items = (next..next + u64::from(*count)).map(|n| item(n, (n % 7) as u8)).collect();
                next += u64::from(*count);
                bench.tell(Fact::Offered(LANE, items, Offset(next)));
            }
            Step::Answer(kind) if !flying.is_empty() => {
                let id = flying.swap_remove(usize::from(*kind) % flying.len());
                bench.tell(Fact::Answered(id, answers(*kind)));
            }
            Step::Answer(_) => {}
            Step::Pass(millis) => {
                let end = bench.now.after(Duration::from_millis(*millis));
                while let Some(due) = bench.dispatch.next_deadline().filter(|due| *due <= end) {
                    let due = due.max(bench.now);
                    bench.pass(due.since(bench.now));
                    note(bench, &mut flying, &mut starts);
                }
                bench.pass(end.since(bench.now));
            }
        }
        note(bench, &mut flying, &mut starts);
    }
    starts
}

fn note(bench: &mut Bench, flying: &mut Vec<AttemptId>, starts: &mut Vec<(Moment, u64)>) {
    for (id, offsets) in bench.sent() {
        starts.push((bench.now, offsets.len() as u64));
        flying.push(id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_comes_back_no_window_of_requests_or_events_is_ever_overdrawn(
        requests in 1_u32..6,
        events in 4_u32..12,
        steps in steps(),
    ) {
        let limits = vec![
            Limit { meter: window(requests, SECOND), tariff: Tariff::requests() },
            Limit { meter: window(events, 3 * SECOND), tariff: Tariff::events() },
        ];
        let batching = Batching { items_max: 3, ..Batching::default() };
        let mut bench = bench(Config { rate: Policy { limits }, batching, ..config() });
        let starts = play(&mut bench, &steps);
        for (at, _) in &starts {
            let within = |length: Duration| starts.iter().filter(move |(other, _)| {
                other >= at && other.since(*at) < length
            });
            prop_assert!(within(SECOND).count() <= requests as usize);
            prop_assert!(within(3 * SECOND).map(|(_, count)| count).sum::<u64>() <= u64::from(events));
        }
    }

    #[test]
    fn a_limited_lane_with_events_and_a_working_subscriber_delivers_them_all(
        most in 1_u32..6,
        count in 1_u64..40,
    ) {
        let mut bench = bench(limited(window(most, SECOND), Tariff::requests()));
        bench.offer((1..=count).map(|n| item(n, (n % 7) as u8)).collect());
        for _ in 0..count {
            bench.answer_all(&http(200));
            bench.pass(SECOND);
        }
        prop_assert_eq!(bench.cursor().watermark, Offset(count + 1));
    }
}
