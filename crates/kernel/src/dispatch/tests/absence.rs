//! Consumers that are not there, and consumers that were.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn touchy() -> Config {
    let breaker = breaker::Policy { failures_in_a_row: 1, probes_max: 1, ..breaker::Policy::default() };
    let retry = retry::Policy { attempts_max: 2, age_max: DAY, ..config().retry };
    Config { breaker, retry, ..config() }
}

fn not_taken() -> Answer {
    Answer::Failed(Fault::NotTaken)
}

/// Offers what is sent to nobody, for so long.
fn nobody_is_there(bench: &mut Bench, offers: u32, each: Duration) {
    for _ in 0..offers {
        let sent = bench.sent();
        assert!(!sent.is_empty(), "an event that nobody took is offered again at once");
        bench.pass(each);
        for (id, _) in sent {
            bench.tell(Fact::Answered(id, not_taken()));
        }
    }
}

#[test]
fn an_absent_consumer_opens_no_breaker_and_exhausts_no_event() {
    let mut bench = bench(touchy());
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2)]);
    nobody_is_there(&mut bench, 50, DAY);
    assert_eq!(bench.dispatch.lane(LANE).expect("a lane").breaker(), "half_open");
    bench.answer_all(&Answer::Consumer(Word::Acknowledged));
    assert_eq!(bench.dead(), []);
    assert_eq!(bench.cursor().watermark, Offset(4));
}

#[test]
fn waiting_for_a_consumer_does_not_make_an_event_older() {
    let mut bench = bench(touchy());
    bench.offer(vec![item(1, 1)]);
    for _ in 0..2 {
        bench.answer_all(&Answer::Failed(Fault::LeaseExpired));
        bench.pass(Duration::from_secs(31));
        nobody_is_there(&mut bench, 3, DAY);
    }
    assert_eq!(bench.answer_all(&Answer::Consumer(Word::Acknowledged)), [[1]]);
    assert_eq!(bench.dead(), [], "three days without a consumer are no age");
}

#[test]
fn offers_to_nobody_are_no_attempts() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1)]);
    nobody_is_there(&mut bench, 9, DAY);
    let number = bench.effects.iter().find_map(|effect| match effect {
        Effect::Send(attempt) => Some(attempt.deliveries[0].number()),
        _ => None,
    });
    assert_eq!(number, Some(1));
}

#[test]
fn what_a_consumer_left_of_a_batch_comes_again_in_order_behind_what_it_took() {
    let batching = lane::Batching { items_max: 4, ..lane::Batching::default() };
    let mut bench = bench(Config { batching, ..config() });
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 1), item(4, 2)]);
    let (id, offsets) = bench.sent().remove(0);
    assert_eq!(offsets, [1, 2, 3, 4]);
    let taken = Answer::Consumer(Word::Acknowledged);
    bench.tell(Fact::Answered(id, Answer::PerItem(vec![taken.clone(), not_taken(), not_taken(), taken])));
    assert_eq!(bench.offsets(), [[2, 3]]);
}

#[test]
fn leases_that_expire_in_a_row_open_the_breaker_and_spend_no_further_attempts() {
    let mut bench = bench(touchy());
    bench.offer(vec![item(1, 1), item(2, 2)]);
    for _ in 0..20 {
        bench.answer_all(&Answer::Failed(Fault::LeaseExpired));
        assert_eq!(bench.dispatch.lane(LANE).expect("a lane").breaker(), "open");
        bench.pass(Duration::from_secs(31));
    }
    assert_eq!(bench.dead(), [], "a consumer that hangs exhausts no event");
}

#[test]
fn what_a_consumer_rejects_is_parked_with_its_word() {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 1)]);
    bench.answer_all(&Answer::Consumer(Word::Rejected(Objection::Invalid)));
    assert_eq!(bench.dead(), [(1, "rejected_invalid".to_owned()), (2, "behind".to_owned())]);
}
