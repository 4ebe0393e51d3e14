//! Express events beyond what a lane has read.

use super::*;
use crate::dispatch::ahead::{AHEAD_ITEMS_MAX, BEYOND_MAX};
use crate::dispatch::line::Order;

/// A window of eight, one request of one event at a time.
fn narrow(order: Order) -> Config {
    Config { window_items: 8, in_flight_max: 1, order, ..config() }
}

/// A lane whose window is full of subject 1 to 8's events.
fn full(order: Order) -> Bench {
    let mut bench = bench(narrow(order));
    bench.offer((1..=8).map(|n| item(n, n as u8)).collect());
    bench
}

fn looks(bench: &Bench) -> Vec<(u64, u64)> {
    let look = |effect: &Effect| match effect {
        Effect::ReadExpress { behind, from, .. } => Some((behind.0, from.0)),
        _ => None,
    };
    bench.effects.iter().filter_map(look).collect()
}

fn ahead(bench: &mut Bench, items: Vec<Item>, next: u64) {
    bench.tell(Fact::OfferedExpress(LANE, items, Offset(next)));
}

#[test]
fn a_lane_looks_ahead_only_when_it_cannot_read_on() {
    let mut roomy = bench(Config { window_items: 64, ..narrow(Order::Subject) });
    roomy.offer((1..=8).map(|n| item(n, n as u8)).collect());
    assert_eq!(looks(&roomy), []);
    let mut bench = full(Order::Subject);
    assert_eq!(looks(&bench), [(9, 9)]);
    ahead(&mut bench, Vec::new(), 500);
    assert_eq!(looks(&bench), [(9, 9), (9, 500)], "it looks on where it stopped");
}

#[test]
fn an_express_event_far_along_goes_before_all_that_waits() {
    let mut bench = full(Order::Subject);
    ahead(&mut bench, vec![express(100_000, 77)], 100_001);
    assert_eq!(bench.answer_all(&http(200)).concat()[..3], [1, 100_000, 2]);
    assert_eq!(bench.cursor().done.last(), Some(&(Offset(100_000), Offset(100_000))));
}

#[test]
fn what_its_subject_has_before_it_goes_before_it() {
    let mut bench = full(Order::Subject);
    ahead(&mut bench, vec![item(400, 77), express(100_000, 77), item(100_000 - 1, 78)], 100_001);
    assert!(
        bench.effects.contains(&Effect::Note(LANE, Note::Disorder)),
        "an offer out of order is not taken"
    );
    let mut bench = full(Order::Subject);
    ahead(&mut bench, vec![item(400, 77), item(900, 77), express(100_000, 77)], 100_001);
    assert_eq!(bench.answer_all(&http(200)).concat()[..5], [1, 400, 900, 100_000, 2]);
}

#[test]
fn what_was_taken_before_its_turn_is_not_sent_again_when_the_lane_reads_on() {
    let mut bench = full(Order::Subject);
    ahead(&mut bench, vec![item(10, 77), express(12, 77)], 13);
    let first = bench.answer_all(&http(200)).concat();
    bench.tell(Fact::Offered(LANE, (9..=14).map(|n| item(n, 70 + n as u8)).collect(), Offset(15)));
    let then = bench.answer_all(&http(200)).concat();
    assert_eq!((first[1..3].to_vec(), then), (vec![10, 12], vec![9, 11, 13, 14]));
    assert_eq!((bench.cursor().watermark, bench.cursor().done), (Offset(15), Vec::new()));
}

#[test]
fn a_restart_remembers_what_was_delivered_before_its_turn() {
    let mut before = full(Order::Subject);
    ahead(&mut before, vec![express(50, 77)], 51);
    for expected in [1, 50] {
        let (id, offsets) = before.sent().remove(0);
        before.tell(Fact::Answered(id, http(200)));
        assert_eq!(offsets, [expected]);
    }
    before.pass(Duration::from_secs(1));
    let cursor = Some(before.cursor());
    let mut after = recovered(narrow(Order::Subject), Recovered { cursor, ..Recovered::default() });
    after.tell(Fact::Offered(LANE, (2..=8).chain([50]).map(|n| item(n, n as u8)).collect(), Offset(51)));
    let again = after.answer_all(&http(200)).concat();
    assert!(!again.contains(&50), "{again:?}");
    assert_eq!(after.cursor().watermark, Offset(51));
}

#[test]
fn in_a_partition_nothing_is_looked_for() {
    assert_eq!(looks(&full(Order::Partition)), []);
    assert_eq!(looks(&full(Order::Unordered)), [(9, 9)]);
}

#[test]
fn a_dead_subscriber_holds_so_many_express_events_and_no_more() {
    let mut bench = full(Order::Subject);
    let many = (0..AHEAD_ITEMS_MAX as u64).map(|n| express(1000 + n, 77)).collect();
    ahead(&mut bench, many, 5000);
    assert_eq!(looks(&bench).len(), 1, "it looks for more when some have settled");
}

#[test]
fn a_cursor_holds_so_many_events_that_were_delivered_before_their_turn_and_no_more() {
    let mut position = crate::dispatch::cursor::Position::new(Offset(1), Vec::new());
    for n in 0..BEYOND_MAX as u64 {
        assert!(position.open_ahead(Offset(10 + 2 * n), Timestamp(0)));
        position.settle(Offset(10 + 2 * n));
    }
    let cursor = Cursor {
        subscriber: config().subscriber,
        epoch: Epoch(1),
        watermark: position.watermark(),
        done: position.done(),
    };
    let mut bench =
        recovered(narrow(Order::Subject), Recovered { cursor: Some(cursor), ..Recovered::default() });
    bench.tell(Fact::Offered(LANE, (1..=8).map(|n| item(n, n as u8)).collect(), Offset(9)));
    assert_eq!(looks(&bench), []);
}
