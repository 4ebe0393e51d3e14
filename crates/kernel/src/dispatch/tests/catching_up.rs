//! Lanes that have fallen behind: how fast they read on.

use super::*;

/// Items from an offset on, written so many milliseconds apart.
fn written(from: u64, count: u64, apart_ms: i64) -> Vec<Item> {
    let at = |n: u64| Timestamp(i64::try_from(n).expect("small") * apart_ms * 1000);
    (from..from + count).map(|n| Item { recorded_at: at(n), ..item(n, (n % 200) as u8) }).collect()
}

/// Whether the lane asks for more.
fn reads_on(bench: &mut Bench) -> bool {
    let effects = std::mem::take(&mut bench.effects);
    effects.iter().any(|effect| matches!(effect, Effect::Read { .. }))
}

fn cold(count: u64, apart_ms: i64) -> Bench {
    let mut bench = bench(config());
    bench.effects.clear();
    let items = written(0, count, apart_ms);
    bench.tell(Fact::OfferedCold(LANE, items, Offset(count)));
    bench
}

#[test]
fn a_stretch_from_disk_is_read_at_twice_the_speed_at_which_it_was_written() {
    // 100 events in 99 ms.
    let mut bench = cold(100, 1);
    assert!(!reads_on(&mut bench), "not at once");
    bench.pass(Duration::from_millis(49));
    assert!(!reads_on(&mut bench));
    bench.pass(Duration::from_millis(1));
    assert!(reads_on(&mut bench), "half of the time that it took");
}

#[test]
fn what_was_written_slowly_is_read_at_the_least_speed() {
    // 100 events in 99 s: 2,000 a second at least.
    let mut bench = cold(100, 1000);
    bench.pass(Duration::from_millis(49));
    assert!(!reads_on(&mut bench));
    bench.pass(Duration::from_millis(1));
    assert!(reads_on(&mut bench));
}

#[test]
fn a_stretch_from_memory_is_followed_at_once() {
    let mut bench = bench(config());
    bench.effects.clear();
    bench.tell(Fact::Offered(LANE, written(0, 100, 1), Offset(100)));
    assert!(reads_on(&mut bench));
}

#[test]
fn a_lane_that_waits_to_read_on_names_when() {
    let bench = cold(100, 1);
    assert!(bench.dispatch.next_deadline().is_some_and(|deadline| deadline <= Moment(49_500)));
}
