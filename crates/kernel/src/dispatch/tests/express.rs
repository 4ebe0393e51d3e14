//! Express events: earliest due date first, and past an earlier event of their subject only where both
//! commute.

use super::*;
use crate::dispatch::due::Times;

const MINUTE: Duration = Duration::from_secs(60);

fn of(change_type: ChangeType, class: PriorityClass, offset: u64, subject: u8) -> Item {
    Item { change_type, class, operation: Operation::Update, ..item(offset, subject) }
}

fn consent(offset: u64, subject: u8) -> Item {
    of(ChangeType::Consent, PriorityClass::Express, offset, subject)
}

fn tier(offset: u64, subject: u8) -> Item {
    of(ChangeType::Tier, PriorityClass::Standard, offset, subject)
}

fn one_at_a_time() -> Config {
    let due = Times::default().but(ChangeType::Consent, MINUTE).but(ChangeType::Erasure, 10 * MINUTE);
    Config { in_flight_max: 1, due, ..config() }
}

/// The order in which a lane that sends one at a time delivers these.
fn check(items: Vec<Item>, expected: &[u64]) {
    let mut bench = bench(one_at_a_time());
    bench.offer(items);
    assert_eq!(bench.answer_all(&http(200)).concat(), expected);
}

#[test]
fn express_events_go_earliest_due_date_first() {
    let erasure = |offset, subject| of(ChangeType::Erasure, PriorityClass::Express, offset, subject);
    let merge = |offset, subject| of(ChangeType::IdentityMerge, PriorityClass::Express, offset, subject);
    check(vec![item(1, 1), merge(2, 2), erasure(3, 3), consent(4, 4)], &[4, 3, 2, 1]);
    let late = Item { recorded_at: Timestamp(1), ..consent(1, 1) };
    check(vec![late, consent(2, 2)], &[2, 1]);
}

#[test]
fn what_stands_before_an_urgent_event_of_its_subject_is_as_urgent() {
    let merge = of(ChangeType::IdentityMerge, PriorityClass::Express, 2, 2);
    check(vec![item(1, 1), merge, consent(3, 1)], &[1, 3, 2]);
}

#[test]
fn an_express_event_goes_past_an_earlier_one_of_its_subject_only_where_both_commute() {
    check(vec![tier(1, 1), consent(2, 1)], &[2, 1]);
    check(vec![item(1, 1), consent(2, 1)], &[1, 2]);
    check(vec![tier(1, 1), item(2, 1), tier(3, 1), consent(4, 1)], &[1, 2, 4, 3]);
    check(vec![tier(1, 1), consent(2, 1), consent(3, 1)], &[2, 3, 1]);
    let created = Item { operation: Operation::Insert, ..tier(1, 1) };
    check(vec![created, consent(2, 1)], &[1, 2]);
}

#[test]
fn a_standard_event_never_goes_past_anything_of_its_subject() {
    check(vec![consent(1, 1), tier(2, 1)], &[1, 2]);
}

#[test]
fn per_partition_and_in_flight_nothing_is_overtaken() {
    let mut bench = bench(Config { order: line::Order::Partition, ..one_at_a_time() });
    bench.offer(vec![tier(1, 1), consent(2, 1)]);
    assert_eq!(bench.answer_all(&http(200)).concat(), [1, 2]);
    let mut bench = super::bench(one_at_a_time());
    bench.offer(vec![tier(1, 1)]);
    let flying = bench.sent();
    bench.tell(Fact::Offered(LANE, vec![consent(2, 1)], Offset(3)));
    assert_eq!(bench.sent(), [], "one attempt per subject at a time");
    bench.tell(Fact::Answered(flying[0].0, http(200)));
    assert_eq!(bench.offsets(), [[2]]);
}

#[test]
fn an_opt_out_does_not_wait_for_the_retry_of_what_it_overtakes_and_does_not_shorten_it() {
    let mut bench = bench(one_at_a_time());
    bench.offer(vec![item(1, 9)]);
    bench.answer_all(&http(200));
    bench.tell(Fact::Offered(LANE, vec![tier(2, 1)], Offset(3)));
    let (id, _) = bench.sent()[0];
    let wait = HttpAnswer { status: 503, ..HttpAnswer::default() };
    bench.tell(Fact::Answered(id, Answer::Http(wait)));
    let retry = bench.dispatch.next_deadline().expect("a retry is planned");
    bench.tell(Fact::Offered(LANE, vec![consent(3, 1)], Offset(4)));
    assert_eq!(bench.answer_all(&http(200)), [[3]]);
    assert!(bench.now < retry);
    bench.pass(MINUTE);
    assert_eq!(bench.answer_all(&http(200)), [[2]]);
}

#[test]
fn an_opt_out_that_fails_for_good_parks_what_it_overtook_and_a_redrive_goes_in_log_order() {
    let mut bench = bench(one_at_a_time());
    bench.offer(vec![tier(1, 1), consent(2, 1)]);
    let (id, _) = bench.sent()[0];
    bench.tell(Fact::Answered(id, http(422)));
    assert_eq!(bench.dead(), [(2, "http_422".to_owned()), (1, "behind".to_owned())]);
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![tier(1, 1), consent(2, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[1], [2]]);
}
