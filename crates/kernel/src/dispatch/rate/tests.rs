//! What a limit promises, over every interval, and that it never holds back what it allows.

use proptest::prelude::*;

use super::*;

const EMAIL: ChangeType = ChangeType::Email;
const ERASURE: ChangeType = ChangeType::Erasure;

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

fn bucket(capacity: u32, refill: u32, per: Duration) -> Meter {
    Meter::Bucket { capacity, refill, per }
}

fn window(most: u32, per: Duration) -> Meter {
    Meter::Window { most, per }
}

fn rate(limits: Vec<(Meter, Tariff)>) -> Rate {
    let limits = limits.into_iter().map(|(meter, tariff)| Limit { meter, tariff }).collect();
    Rate::new(&Policy { limits }, Moment(0))
}

/// Sends requests of one event while the limits allow, and says how many.
fn burst(rate: &mut Rate, now: Moment, change_type: ChangeType) -> usize {
    let mut count = 0;
    while rate.deadline(now, change_type).is_none() && count < 10_000 {
        let mut purse = rate.purse(now);
        assert!(purse.take(change_type), "the deadline said now");
        let spent = purse.spent();
        rate.spend(now, spent);
        count += 1;
    }
    count
}

#[test]
fn a_bucket_begins_empty_so_that_a_restart_grants_no_second_burst() {
    let mut rate = rate(vec![(bucket(5, 1, Duration::from_secs(1)), Tariff::requests())]);
    assert_eq!(burst(&mut rate, at(0), EMAIL), 0);
    assert_eq!(burst(&mut rate, at(3), EMAIL), 3);
    assert_eq!(burst(&mut rate, at(3600), EMAIL), 5, "never more than its capacity");
}

#[test]
fn a_window_gives_back_what_was_spent_in_one_moment_exactly_when_it_is_over() {
    let mut rate = rate(vec![(window(100, Duration::from_secs(10)), Tariff::requests())]);
    assert_eq!(burst(&mut rate, at(1), EMAIL), 100);
    assert_eq!(rate.deadline(at(1), EMAIL), Some(at(11)));
    assert_eq!(burst(&mut rate, Moment(at(11).0 - 1), EMAIL), 0);
    assert_eq!(burst(&mut rate, at(11), EMAIL), 100);
}

#[test]
fn a_short_and_a_long_window_hold_together() {
    let day = Duration::from_secs(24 * 3600);
    let limits = vec![(window(10, Duration::from_secs(1)), Tariff::requests())];
    let mut rate = rate([limits, vec![(window(25, day), Tariff::requests())]].concat());
    let sent: Vec<usize> = (0..5).map(|second| burst(&mut rate, at(second), EMAIL)).collect();
    assert_eq!(sent, [10, 10, 5, 0, 0]);
    assert_eq!(rate.deadline(at(5), EMAIL), Some(at(24 * 3600 + 2)), "spent within one grain");
}

#[test]
fn a_budget_is_spent_by_what_each_event_costs() {
    let tariff = Tariff::of(2, 1).but(ERASURE, 10);
    let mut rate = rate(vec![(window(24, Duration::from_secs(60)), tariff)]);
    let mut purse = rate.purse(at(0));
    assert_eq!([EMAIL, ERASURE, EMAIL, ERASURE].map(|each| purse.take(each)), [true, true, true, true]);
    assert!(!purse.take(EMAIL), "2 + 1 + 10 + 1 + 10 is the whole budget");
    let spent = purse.spent();
    rate.spend(at(0), spent);
    assert_eq!(rate.deadline(at(0), EMAIL), Some(at(60)));
}

#[test]
fn a_limit_that_can_never_be_kept_is_known_beforehand() {
    let check = |meter, tariff| Limit { meter, tariff }.check();
    let second = Duration::from_secs(1);
    assert_eq!(check(bucket(0, 1, second), Tariff::requests()), Err(Unkept::Nothing));
    assert_eq!(check(bucket(1, 0, second), Tariff::requests()), Err(Unkept::Nothing));
    assert_eq!(check(window(1, Duration::ZERO), Tariff::events()), Err(Unkept::Nothing));
    let dear = Tariff::of(1, 1).but(ERASURE, 9);
    assert_eq!(check(window(9, second), dear.clone()), Err(Unkept::TooDear { cost: 10, most: 9 }));
    assert_eq!(check(window(10, second), dear), Ok(()));
}

#[test]
fn what_costs_more_than_there_ever_is_takes_all_of_it_instead_of_waiting_for_ever() {
    let mut rate = rate(vec![(bucket(3, 1, Duration::from_secs(1)), Tariff::of(9, 0))]);
    assert_eq!(rate.deadline(at(0), EMAIL), Some(at(3)));
    assert_eq!(burst(&mut rate, at(3), EMAIL), 1);
}

#[test]
fn what_is_reserved_is_nobody_elses_however_long_it_takes_and_is_spent_when_it_starts() {
    let mut rate = rate(vec![(window(2, Duration::from_secs(1)), Tariff::requests())]);
    let mut purse = rate.purse(at(0));
    assert!(purse.take(EMAIL));
    let spent = purse.spent();
    rate.reserve(spent);
    assert_eq!(burst(&mut rate, at(0), EMAIL), 1);
    assert_eq!(burst(&mut rate, at(10), EMAIL), 1, "the other one is still reserved");
    rate.release(spent);
    rate.spend(at(10), spent);
    assert_eq!(rate.deadline(at(10), EMAIL), Some(at(11)));
}

fn meters() -> impl Strategy<Value = Meter> {
    let per = (1_u64..5_000).prop_map(Duration::from_micros);
    prop_oneof![
        (1_u32..20, 1_u32..20, per.clone()).prop_map(|(capacity, refill, per)| bucket(capacity, refill, per)),
        (1_u32..20, per).prop_map(|(most, per)| window(most, per)),
    ]
}

fn tariffs() -> impl Strategy<Value = Tariff> {
    (0_u32..4, 0_u32..4, 0_u32..8).prop_map(|(request, event, dear)| {
        Tariff::of(request.max(u32::from(event == 0)), event).but(ERASURE, dear)
    })
}

/// One request: how long after the one before, and its events.
fn requests() -> impl Strategy<Value = Vec<(u64, Vec<ChangeType>)>> {
    let events = proptest::collection::vec(prop_oneof![Just(EMAIL), Just(ERASURE)], 1..5);
    proptest::collection::vec((0_u64..2_000, events), 1..120)
}

/// What one request costs at a limit.
fn cost(limit: &Limit, taken: &[ChangeType]) -> u64 {
    let events: u64 = taken.iter().map(|each| limit.tariff.event(*each)).sum();
    (u64::from(limit.tariff.request) + events).min(limit.meter.most())
}

/// Every interval between two sends, against the meter's own words.
fn is_kept(meter: &Meter, sent: &[(Moment, u64)]) -> bool {
    (0..sent.len()).all(|first| {
        (first..sent.len()).all(|last| {
            let total: u64 = sent[first..=last].iter().map(|(_, cost)| cost).sum();
            let apart = sent[last].0.0 - sent[first].0.0;
            match meter {
                Meter::Bucket { capacity, refill, per } => {
                    let back = u128::from(apart) * u128::from(*refill) / u128::from(micros(*per));
                    u128::from(total) <= u128::from(*capacity) + back
                }
                Meter::Window { most, per } => apart >= micros(*per) || total <= u64::from(*most),
            }
        })
    })
}

proptest! {
    #[test]
    fn over_any_interval_no_more_than_allowed_is_ever_sent(
        limits in proptest::collection::vec((meters(), tariffs()), 1..4),
        requests in requests(),
    ) {
        let limits: Vec<Limit> =
            limits.into_iter().map(|(meter, tariff)| Limit { meter, tariff }).collect();
        let mut rate = Rate::new(&Policy { limits: limits.clone() }, Moment(0));
        let (mut now, mut sent) = (Moment(0), Vec::new());
        for (wait, events) in requests {
            now = Moment(now.0 + wait);
            let mut purse = rate.purse(now);
            let taken: Vec<ChangeType> = events.into_iter().take_while(|each| purse.take(*each)).collect();
            if !taken.is_empty() {
                let spent = purse.spent();
                rate.spend(now, spent);
                sent.push((now, taken));
            }
        }
        for limit in &limits {
            let costs: Vec<(Moment, u64)> =
                sent.iter().map(|(at, taken)| (*at, cost(limit, taken))).collect();
            prop_assert!(is_kept(&limit.meter, &costs), "{:?}: {:?}", limit, costs);
        }
    }

    #[test]
    fn a_deadline_is_the_first_moment_at_which_a_request_may_start(
        limits in proptest::collection::vec((meters(), tariffs()), 1..4),
        requests in requests(),
    ) {
        let mut rate = rate(limits);
        let mut now = Moment(0);
        for (wait, events) in requests {
            now = Moment(now.0 + wait);
            let first = events[0];
            if let Some(due) = rate.deadline(now, first) {
                prop_assert!(due > now, "a deadline that is not in the future spins");
                prop_assert!(rate.deadline(Moment(due.0 - 1), first).is_some(), "held back too long");
                prop_assert!(!rate.purse(Moment(due.0 - 1)).take(first));
                now = due;
            }
            prop_assert_eq!(rate.deadline(now, first), None);
            let mut purse = rate.purse(now);
            prop_assert!(purse.take(first), "stalled while allowed");
            let spent = purse.spent();
            rate.spend(now, spent);
        }
    }

    #[test]
    fn a_window_is_never_late_by_more_than_a_grain(
        most in 1_u32..20,
        per in 64_u64..5_000,
        waits in proptest::collection::vec(0_u64..500, 1..200),
    ) {
        let mut rate = rate(vec![(window(most, Duration::from_micros(per)), Tariff::requests())]);
        let (mut now, mut sent) = (Moment(0), Vec::<Moment>::new());
        for wait in waits {
            now = Moment(now.0 + wait);
            let recent = sent.iter().filter(|at| now.since(**at) < Duration::from_micros(per + per / 64));
            let is_allowed = recent.count() < most as usize;
            let may = rate.deadline(now, EMAIL).is_none();
            prop_assert!(may || !is_allowed, "held back although the window has room");
            if may {
                let mut purse = rate.purse(now);
                purse.take(EMAIL);
                let spent = purse.spent();
                rate.spend(now, spent);
                sent.push(now);
            }
        }
    }
}
