//! An erasure overtakes what it makes void: in the queue, in retry, in flight, in the dead letters.

use writ_model::delivery::SettledAs;

use super::*;
use crate::dispatch::line::Order;

fn erasure(offset: u64, of: u8) -> Item {
    Item { change_type: ChangeType::Erasure, ..express(offset, of) }
}

fn consent(offset: u64, of: u8) -> Item {
    Item { change_type: ChangeType::Consent, ..express(offset, of) }
}

/// A lane whose breaker is closed, and that has read up to offset 1.
fn open(order: Order) -> Bench {
    let mut bench = bench(Config { order, ..config() });
    offer(&mut bench, vec![item(0, 9)]);
    bench.answer_all(&http(200));
    bench.cursor();
    bench.effects.clear();
    bench
}

/// One request at a time.
fn narrow(order: Order) -> Bench {
    bench(Config { order, in_flight_max: 1, ..config() })
}

fn settled(bench: &mut Bench) -> Vec<(u64, SettledAs)> {
    bench.cursor();
    let all = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::Settled(batch) => Some(batch.items),
        _ => None,
    });
    all.flatten().map(|(offset, how)| (offset.0, how.settled)).collect()
}

fn voided(bench: &Bench) -> Vec<(u64, u64)> {
    let facts = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::Voided(voided) => Some((voided.offset.0, voided.by.0)),
        _ => None,
    });
    facts.collect()
}

fn offer(bench: &mut Bench, items: Vec<Item>) {
    let next = items.last().map_or(Offset(1), |item| item.offset.next());
    bench.tell(Fact::Offered(LANE, items, next));
}

#[test]
fn queued_updates_are_not_sent_and_a_queued_opt_out_goes_first() {
    for order in [Order::Subject, Order::Partition, Order::Unordered] {
        let mut bench = narrow(order);
        offer(&mut bench, vec![item(1, 9), item(2, 1), consent(3, 1), item(4, 1), erasure(5, 1), item(6, 1)]);
        let sent: Vec<u64> = bench.answer_all(&http(200)).concat();
        assert!(!sent.contains(&2) && !sent.contains(&4), "{order:?}: {sent:?}");
        let place = |offset| sent.iter().position(|sent| *sent == offset);
        assert!(place(5).is_some() && place(6).is_some(), "{order:?}: {sent:?}");
        if order != Order::Unordered {
            assert!(place(3) < place(5) && place(5) < place(6), "{order:?}: {sent:?}");
        }
        assert_eq!(voided(&bench), [(2, 5), (4, 5)], "{order:?}");
        let withheld = [(2, SettledAs::Withheld), (4, SettledAs::Withheld)];
        assert!(withheld.iter().all(|one| settled(&mut bench).contains(one)), "{order:?}");
        assert_eq!(bench.cursor().watermark, Offset(7), "{order:?}");
    }
}

#[test]
fn an_update_in_flight_is_waited_for_and_not_tried_again() {
    for order in [Order::Subject, Order::Partition, Order::Unordered] {
        let mut bench = open(order);
        offer(&mut bench, vec![item(1, 1)]);
        let sent = bench.sent();
        offer(&mut bench, vec![erasure(2, 1)]);
        assert_eq!(bench.offsets(), Vec::<Vec<u64>>::new(), "{order:?}: the erasure waits");
        bench.tell(Fact::Answered(sent[0].0, http(503)));
        assert_eq!(bench.answer_all(&http(200)), [[2]], "{order:?}");
        bench.pass(Duration::from_secs(3600));
        assert_eq!(bench.offsets(), Vec::<Vec<u64>>::new(), "{order:?}");
        assert_eq!(
            settled(&mut bench),
            [(1, SettledAs::Attempted), (2, SettledAs::Acknowledged)],
            "{order:?}"
        );
        assert_eq!(bench.cursor().watermark, Offset(3));
    }
}

#[test]
fn an_update_in_flight_that_arrives_is_acknowledged_and_the_erasure_follows() {
    for order in [Order::Subject, Order::Partition, Order::Unordered] {
        let mut bench = open(order);
        offer(&mut bench, vec![item(1, 1)]);
        let sent = bench.sent();
        offer(&mut bench, vec![erasure(2, 1)]);
        bench.tell(Fact::Answered(sent[0].0, http(200)));
        assert_eq!(bench.answer_all(&http(200)), [[2]], "{order:?}");
        assert_eq!(settled(&mut bench), [(1, SettledAs::Acknowledged), (2, SettledAs::Acknowledged)]);
        assert!(voided(&bench).is_empty(), "{order:?}");
    }
}

#[test]
fn an_update_in_retry_gives_way_at_once() {
    for order in [Order::Subject, Order::Partition, Order::Unordered] {
        let mut bench = open(order);
        offer(&mut bench, vec![item(1, 1)]);
        for (id, _) in bench.sent() {
            bench.tell(Fact::Answered(id, http(503)));
        }
        offer(&mut bench, vec![erasure(2, 1)]);
        assert_eq!(bench.answer_all(&http(200)), [[2]], "{order:?}: without waiting for the retry");
        assert_eq!(
            settled(&mut bench),
            [(1, SettledAs::Attempted), (2, SettledAs::Acknowledged)],
            "{order:?}"
        );
    }
}

#[test]
fn a_refused_update_does_not_drag_the_erasure_into_the_dead_letters() {
    let mut bench = bench(config());
    offer(&mut bench, vec![item(1, 1)]);
    let sent = bench.sent();
    offer(&mut bench, vec![erasure(2, 1)]);
    bench.tell(Fact::Answered(sent[0].0, http(422)));
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
    assert!(bench.dead().is_empty(), "{:?}", bench.dead());
}

#[test]
fn an_erasure_of_a_parked_subject_is_redriven_at_once_without_what_it_makes_void() {
    for order in [Order::Subject, Order::Unordered] {
        let mut bench = bench(Config { order, ..config() });
        offer(&mut bench, vec![item(1, 1)]);
        bench.answer_all(&http(422));
        offer(&mut bench, vec![erasure(2, 1)]);
        let sent = bench.answer_all(&http(200));
        let mut letters = vec![item(1, 1)];
        letters.extend((order == Order::Subject).then(|| erasure(2, 1)));
        bench.tell(Fact::DeadLettersRead(LANE, subject(1), letters));
        let all = [sent, bench.answer_all(&http(200))].concat();
        assert_eq!(all, [[2]], "{order:?}");
        assert_eq!(voided(&bench), [(1, 2)], "{order:?}");
        assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::parked_subjects), Some(0), "{order:?}");
        offer(&mut bench, vec![item(3, 1)]);
        assert_eq!(bench.answer_all(&http(200)), [[3]], "{order:?}");
    }
}

#[test]
fn an_erasure_that_is_refused_itself_stays_parked_until_an_operator_acts() {
    let mut bench = bench(config());
    offer(&mut bench, vec![item(1, 1)]);
    bench.answer_all(&http(422));
    offer(&mut bench, vec![erasure(2, 1)]);
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), erasure(2, 1)]));
    assert_eq!(bench.answer_all(&http(422)), [[2]]);
    let reads =
        |bench: &Bench| bench.effects.iter().filter(|e| matches!(e, Effect::ReadDeadLetters(..))).count();
    assert_eq!(reads(&bench), 1, "it is not tried for ever");
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![erasure(2, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
}

#[test]
fn an_erasure_that_joins_during_a_redrive_gets_a_round_of_its_own_when_that_fails() {
    let mut bench = bench(config());
    offer(&mut bench, vec![item(1, 1)]);
    bench.answer_all(&http(422));
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1)]));
    let sent = bench.sent();
    offer(&mut bench, vec![erasure(2, 1)]);
    bench.tell(Fact::Answered(sent[0].0, http(422)));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), erasure(2, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
    assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::parked_subjects), Some(0));
}

#[test]
fn after_a_restart_an_erasure_behind_a_dead_letter_is_taken_up_again() {
    let stuck = Recovered {
        parked: vec![(subject(1), Offset(2))],
        stuck: [subject(1)].into(),
        begin: Offset(3),
        end: Offset(3),
        ..Recovered::default()
    };
    let mut bench = recovered(config(), stuck);
    offer(&mut bench, vec![item(3, 2)]);
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), erasure(2, 1)]));
    let mut sent = bench.answer_all(&http(200)).concat();
    sent.sort_unstable();
    assert_eq!(sent, [2, 3]);
}

#[test]
fn a_replay_sends_what_was_selected() {
    let mut bench = narrow(Order::Subject);
    offer(&mut bench, vec![erasure(1, 1), item(2, 1)]);
    assert_eq!(bench.answer_all(&http(200)).concat(), [1, 2], "what comes after an erasure is not void");
}

#[test]
fn what_was_looked_for_and_is_absent_is_not_sent_after_an_erasure_came() {
    let mut bench = bench(Config { probes: true, ..config() });
    offer(&mut bench, vec![item(1, 1)]);
    let [(id, _)] = bench.sent()[..] else { panic!("one attempt") };
    bench.tell(Fact::Answered(id, Answer::Failed(Fault::Timeout)));
    bench.pass(Duration::from_secs(3600));
    let probe = bench.effects.iter().find_map(|effect| match effect {
        Effect::Probe(attempt) => Some(attempt.id),
        _ => None,
    });
    offer(&mut bench, vec![erasure(2, 1)]);
    bench.tell(Fact::Probed(probe.expect("it is looked for"), writ_model::delivery::Presence::Absent));
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
    assert_eq!(settled(&mut bench), [(1, SettledAs::Attempted), (2, SettledAs::Acknowledged)]);
}

#[test]
fn a_refused_batch_is_split_without_what_is_void_by_then() {
    for order in [Order::Subject, Order::Unordered] {
        let batching = lane::Batching { items_max: 4, ..lane::Batching::default() };
        let mut bench = bench(Config { order, batching, ..config() });
        offer(&mut bench, vec![item(1, 1), item(2, 2)]);
        let [(id, _)] = bench.sent()[..] else { panic!("one batch") };
        offer(&mut bench, vec![erasure(3, 1), erasure(4, 2)]);
        bench.tell(Fact::Answered(id, http(422)));
        let mut sent = bench.answer_all(&http(200)).concat();
        sent.sort_unstable();
        assert_eq!(sent, [3, 4], "{order:?}");
    }
}
