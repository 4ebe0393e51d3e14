//! Reading back before any repeat.

use writ_model::delivery::Presence;
use writ_model::guarantee::{Guarantee, Mechanism, Promise};
use writ_model::replay::{DeliveryIds, ReplayOrder};

use super::replaying::given;
use super::*;
use crate::dispatch::replay::Order;
use crate::guarantee::Promises;

fn probing() -> Config {
    Config { probes: true, ..config() }
}

fn probes(bench: &mut Bench) -> Vec<(AttemptId, u64)> {
    let probes = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Probe(attempt) => Some((attempt.id, attempt.deliveries[0].offset().0)),
        _ => None,
    });
    let probes = probes.collect();
    bench.effects.retain(|effect| !matches!(effect, Effect::Probe(_)));
    probes
}

/// One event whose only attempt ended so, and an hour later.
fn after(answer: &Answer) -> Bench {
    let mut bench = bench(probing());
    bench.offer(vec![item(1, 1)]);
    let [(id, _)] = bench.sent()[..] else { panic!("one attempt") };
    bench.tell(Fact::Answered(id, answer.clone()));
    bench.pass(Duration::from_secs(3600));
    bench
}

#[test]
fn only_an_attempt_that_may_have_arrived_is_looked_for_before_it_is_repeated() {
    for fault in [Fault::Timeout, Fault::AnswerBroken] {
        let mut bench = after(&Answer::Failed(fault));
        assert_eq!(bench.sent(), [], "{fault:?}");
        assert_eq!(probes(&mut bench).len(), 1, "{fault:?}");
    }
    for answer in [http(503), Answer::Failed(Fault::SendBroken), Answer::Failed(Fault::Connect)] {
        let mut bench = after(&answer);
        assert_eq!((bench.offsets(), probes(&mut bench)), (vec![vec![1]], vec![]), "{answer:?}");
    }
}

#[test]
fn what_is_there_is_acknowledged_and_what_is_absent_is_sent() {
    let mut there = after(&failed_open());
    let [(id, 1)] = probes(&mut there)[..] else { panic!("one probe") };
    there.tell(Fact::Probed(id, Presence::There));
    there.tell(Fact::Probed(id, Presence::Absent));
    there.pass(Duration::from_secs(1));
    assert_eq!((there.sent(), there.cursor().watermark), (vec![], Offset(2)));

    let mut absent = after(&failed_open());
    let [(id, 1)] = probes(&mut absent)[..] else { panic!("one probe") };
    absent.tell(Fact::Probed(id, Presence::Absent));
    assert_eq!(absent.offsets(), [[1]]);
}

fn failed_open() -> Answer {
    Answer::Failed(Fault::Timeout)
}

#[test]
fn while_nobody_knows_nothing_is_sent() {
    let mut bench = after(&failed_open());
    let [(id, 1)] = probes(&mut bench)[..] else { panic!("one probe") };
    bench.tell(Fact::Probed(id, Presence::Unknown(Fault::Connect)));
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.sent(), []);
    assert_eq!(probes(&mut bench).len(), 1, "it is looked for again");
}

#[test]
fn after_a_restart_everything_that_may_have_been_attempted_is_looked_for() {
    let mut bench = super::recovered(probing(), Recovered { end: Offset(3), ..Recovered::default() });
    bench.offer(vec![item(1, 1), item(2, 2), item(3, 3)]);
    // The lane lets one probe through before it bursts.
    let first = probes(&mut bench);
    assert!(first.iter().all(|(_, offset)| *offset < 3), "{first:?}");
    for (id, _) in first {
        bench.tell(Fact::Probed(id, Presence::There));
    }
    for (id, _) in probes(&mut bench) {
        bench.tell(Fact::Probed(id, Presence::There));
    }
    assert_eq!(bench.offsets(), [[3]]);
}

#[test]
fn a_replay_under_the_same_ids_looks_first_where_one_effect_is_promised() {
    let promise = |guarantee| Promise { guarantee, mechanism: Some(Mechanism::Probe) };
    let replayed = |guarantee, ids| {
        let promises = ChangeType::ALL
            .iter()
            .fold(Promises::default(), |promises, each| promises.with(*each, promise(guarantee)));
        let mut bench = bench(Config { promises, ..probing() });
        let now = bench.clock();
        let order = Order::new(ReplayOrder { ids, ..given("replay-3", 1, 2) });
        let lane = bench.dispatch.replay(now, LANE, order, &mut bench.effects).expect("starts");
        bench.tell(Fact::Offered(lane, vec![item(1, 1)], Offset(2)));
        (probes(&mut bench).len(), bench.sent().len())
    };
    assert_eq!(replayed(Guarantee::ExactlyOnce, DeliveryIds::SameId), (1, 0));
    assert_eq!(replayed(Guarantee::ExactlyOnce, DeliveryIds::NewId), (0, 1), "it repeats on purpose");
    assert_eq!(replayed(Guarantee::AtLeastOnce, DeliveryIds::SameId), (0, 1));
}
