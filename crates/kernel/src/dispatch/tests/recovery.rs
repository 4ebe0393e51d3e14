//! Cursors over crashes, bounded windows, drains.

use super::replaying::order;
use super::*;

#[test]
fn unacknowledged_events_are_offered_again_after_a_crash_and_settled_ones_are_not() {
    let mut before = bench(config());
    before.offer((1..=4).map(|n| item(n, n as u8)).collect());
    for (id, offsets) in before.sent() {
        if offsets != [2] {
            before.tell(Fact::Answered(id, http(200)));
        }
    }
    let cursor = before.cursor();
    assert_eq!((cursor.watermark, cursor.done.clone()), (Offset(2), vec![(Offset(3), Offset(4))]));
    let mut after = recovered(config(), Recovered { cursor: Some(cursor), ..Recovered::default() });
    assert!(matches!(after.effects[0], Effect::Read { from: Offset(2), .. }));
    after.offer((2..=4).map(|n| item(n, n as u8)).collect());
    assert_eq!(after.offsets(), [[2]]);
}

#[test]
fn the_window_bounds_events_that_wait_for_a_retry_too() {
    let mut bench = bench(Config { window_items: 8, ..config() });
    bench.offer((1..=8).map(|n| item(n, n as u8)).collect());
    bench.effects.retain(|effect| matches!(effect, Effect::Send(_)));
    bench.answer_all(&failed());
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Read { .. })), "read on while full");
}

#[test]
fn an_idle_lane_that_reads_past_its_own_records_does_not_write_more_of_them() {
    let mut bench = bench(config());
    for next in 1..100 {
        bench.tell(Fact::Offered(LANE, Vec::new(), Offset(next)));
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.journal(), []);
}

#[test]
fn many_settlements_make_one_cursor() {
    let mut bench = bench(config());
    bench.offer((1..=200).map(|n| item(n, n as u8)).collect());
    bench.answer_all(&http(200));
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.journal().len(), 2, "one batch of settlements and one cursor");
}

#[test]
fn a_drain_sends_nothing_more_and_leaves_lanes_and_replays_running_for_the_next_start() {
    let mut bench = bench(config());
    let now = bench.clock();
    let order = order("again", 1, 9);
    let replay = bench.dispatch.replay(now, LANE, order, &mut bench.effects).expect("starts");
    bench.offer(vec![item(1, 1), item(2, 1)]);
    bench.tell(Fact::Offered(replay, vec![item(1, 1)], Offset(2)));
    let flying = bench.sent();
    bench.dispatch.drain(now, &mut bench.effects);
    bench.effects.clear();
    for (id, _) in flying {
        bench.tell(Fact::Answered(id, http(200)));
    }
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.offsets(), Vec::<Vec<u64>>::new(), "the next event of the subject waits");
    let states: Vec<String> = bench
        .journal()
        .into_iter()
        .filter_map(|fact| match fact {
            ControlFact::Replay(progress) => Some(progress.state),
            ControlFact::Lane(change) => Some(change.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, ["running"], "only the replay's progress, and it still runs");
    assert_eq!(bench.cursor().watermark, Offset(2));
}

fn fell(bench: &Bench) -> Vec<(u64, u64)> {
    let facts = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::BehindRetention(behind) => Some((behind.from.0, behind.to.0)),
        _ => None,
    });
    facts.collect()
}

#[test]
fn a_lane_that_the_log_waits_for_no_longer_goes_on_behind_the_gap() {
    let mut bench = bench(Config { in_flight_max: 1, ..config() });
    bench.offer((1..=6).map(|n| item(n, n as u8)).collect());
    let sent = bench.sent();
    bench.tell(Fact::Behind(LANE, Offset(5)));
    assert_eq!(fell(&bench), [(1, 5)]);
    assert_eq!(bench.cursor().watermark, Offset(5), "told at once");
    bench.tell(Fact::Answered(sent[0].0, http(422)));
    assert_eq!(bench.answer_all(&http(200)), [[5], [6]]);
    assert!(bench.dead().is_empty(), "what was in flight is not parked: its payload is about to go");
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.answer_all(&http(200)), Vec::<Vec<u64>>::new());
    bench.tell(Fact::Behind(LANE, Offset(3)));
    assert_eq!(fell(&bench), [(1, 5)], "a lane that is past it loses nothing");
}

#[test]
fn a_lane_that_never_read_the_gap_reads_on_behind_it() {
    let mut bench = bench(config());
    bench.tell(Fact::Behind(LANE, Offset(100)));
    assert_eq!(fell(&bench), [(0, 100)]);
    // What was asked for before comes, and is not taken.
    bench.offer(vec![item(7, 1)]);
    assert!(bench.offsets().is_empty());
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Read { from: Offset(100), .. })));
}
