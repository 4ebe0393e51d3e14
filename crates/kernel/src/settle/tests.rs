//! Settlement, fact by fact.

use super::*;

fn how(settled: SettledAs) -> Acknowledgement {
    Acknowledgement { settled, at: Timestamp(1), attempts: 1, answer_sha256: None }
}

fn acknowledged() -> Acknowledgement {
    how(SettledAs::Acknowledged)
}

fn open(offset: u64, lanes: &[u16]) -> Open {
    Open {
        offset: Offset(offset),
        event_id: "019a0000-0000-7000-8000-000000000001".parse().expect("an id"),
        intent_index: offset,
        settle_by: Timestamp(1_000_000),
        lanes: lanes.iter().copied().map(LaneId).collect(),
        settled: Vec::new(),
    }
}

fn settled(lane: u16, offset: u64, how: Acknowledgement) -> Fact {
    Fact::Settled(LaneId(lane), vec![(Offset(offset), how)])
}

fn at(micros: i64) -> Now {
    Now { moment: Moment(micros.unsigned_abs()), wall: Timestamp(micros) }
}

fn run(settlement: &mut Settlement, fact: Fact) -> Vec<Effect> {
    let mut effects = Vec::new();
    settlement.on(at(0), fact, &mut effects);
    effects
}

fn finals(effects: &[Effect]) -> Vec<u64> {
    let finished = effects.iter().filter_map(|effect| match effect {
        Effect::Final(finished) => Some(finished.offset.0),
        Effect::Load { .. } => None,
    });
    finished.collect()
}

fn settlement() -> Settlement {
    let mut effects = Vec::new();
    let mut settlement = Settlement::start(&mut effects);
    assert_eq!(effects, [Effect::Load { from: Offset::ZERO, limit: WINDOW }]);
    assert_eq!(run(&mut settlement, Fact::Loaded { open: Vec::new(), more: false }), []);
    settlement
}

#[test]
fn an_event_is_final_when_its_last_lane_settles_it_and_only_once() {
    let mut settlement = settlement();
    run(&mut settlement, Fact::Stored(vec![open(1, &[1, 0])]));
    assert_eq!(run(&mut settlement, settled(0, 1, acknowledged())), []);
    assert_eq!(run(&mut settlement, settled(0, 1, acknowledged())), []);
    let effects = run(&mut settlement, settled(1, 1, how(SettledAs::DeadLettered)));
    let [Effect::Final(finished)] = effects.as_slice() else { panic!("{effects:?}") };
    let lanes: Vec<_> =
        finished.acknowledgements.iter().map(|(lane, how)| (lane.0, how.settled.as_str())).collect();
    assert_eq!(lanes, [(0, "acknowledged"), (1, "dead_lettered")]);
    assert_eq!(run(&mut settlement, settled(1, 1, acknowledged())), []);
}

#[test]
fn an_event_that_nobody_wants_is_final_at_once() {
    assert_eq!(finals(&run(&mut settlement(), Fact::Stored(vec![open(4, &[])]))), [4]);
}

#[test]
fn lanes_that_have_not_settled_in_time_are_pending() {
    let mut settlement = settlement();
    run(&mut settlement, Fact::Stored(vec![open(1, &[0, 1])]));
    run(&mut settlement, settled(1, 1, acknowledged()));
    assert_eq!(settlement.next_deadline(), Some(Moment(1_000_000)));
    let mut effects = Vec::new();
    settlement.on_time(at(1_000_000), &mut effects);
    let [Effect::Final(finished)] = effects.as_slice() else { panic!("{effects:?}") };
    let words: Vec<_> = finished.acknowledgements.iter().map(|(_, how)| how.settled.as_str()).collect();
    assert_eq!(words, ["pending", "acknowledged"]);
    assert_eq!(run(&mut settlement, settled(0, 1, acknowledged())), []);
    assert_eq!(settlement.next_deadline(), None);
}

#[test]
fn what_settles_or_arrives_during_a_load_is_not_lost() {
    let mut effects = Vec::new();
    let mut settlement = Settlement::start(&mut effects);
    run(&mut settlement, settled(0, 1, acknowledged()));
    run(&mut settlement, Fact::Stored(vec![open(2, &[0])]));
    run(&mut settlement, settled(0, 2, acknowledged()));
    let effects = run(&mut settlement, Fact::Loaded { open: vec![open(1, &[0])], more: false });
    assert_eq!(finals(&effects), [1, 2]);
}

#[test]
fn an_event_that_is_both_loaded_and_newly_stored_is_final_once() {
    let mut effects = Vec::new();
    let mut settlement = Settlement::start(&mut effects);
    run(&mut settlement, Fact::Stored(vec![open(1, &[0])]));
    run(&mut settlement, Fact::Loaded { open: vec![open(1, &[0])], more: false });
    assert_eq!(finals(&run(&mut settlement, settled(0, 1, acknowledged()))), [1]);
    assert_eq!(settlement.open_count(), 0);
}

#[test]
fn the_window_is_bounded_and_the_rest_is_loaded_when_room_frees_up() {
    let mut settlement = settlement();
    let all = (0..WINDOW as u64 + 10).map(|n| open(n, &[0])).collect();
    assert_eq!(run(&mut settlement, Fact::Stored(all)), []);
    assert_eq!(settlement.open_count(), WINDOW);
    let mut loads = Vec::new();
    for n in 0..WINDOW as u64 {
        let effects = run(&mut settlement, settled(0, n, acknowledged()));
        loads.extend(effects.into_iter().filter(|effect| matches!(effect, Effect::Load { .. })));
    }
    assert_eq!(loads, [Effect::Load { from: Offset(WINDOW as u64), limit: WINDOW / 2 }]);
}

#[test]
fn acknowledgements_of_newer_events_never_keep_a_load_from_being_taken() {
    let mut effects = Vec::new();
    let mut settlement = Settlement::start(&mut effects);
    run(&mut settlement, settled(0, 0, acknowledged()));
    for n in 100..100 + 3 * EARLY_MAX as u64 {
        run(&mut settlement, settled(0, n, acknowledged()));
    }
    let newest = 100 + 3 * EARLY_MAX as u64 - 1;
    let open = [0, 1, 100, newest].map(|n| open(n, &[0])).into();
    let effects = run(&mut settlement, Fact::Loaded { open, more: false });
    assert_eq!(finals(&effects), [0, 100], "their acknowledgements were kept");
    assert_eq!(settlement.open_count(), 1);
    let load = Effect::Load { from: Offset(101), limit: WINDOW - 1 };
    assert!(effects.contains(&load), "the newest comes with the next load, and its acknowledgement too");
}

#[test]
fn a_wall_clock_that_jumps_is_noticed() {
    let mut settlement = settlement();
    let late = Open { settle_by: Timestamp(3_600_000_000), ..open(1, &[0]) };
    run(&mut settlement, Fact::Stored(vec![late]));
    let look = settlement.next_deadline().expect("something is open");
    assert!(look <= Moment(30_000_000));
    let mut effects = Vec::new();
    settlement.on_time(Now { moment: look, wall: Timestamp(7_200_000_000) }, &mut effects);
    assert_eq!(finals(&effects), [1]);
}
