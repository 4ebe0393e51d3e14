//! The breaker's rules, one by one, and every short sequence of steps.

use super::*;

const FOR: Duration = Duration::from_secs(30);

fn policy() -> Policy {
    Policy {
        failures_in_a_row: 3,
        failure_share: 50,
        share_of: 8,
        open_for: FOR,
        probes_max: 2,
        close_after: 2,
    }
}

fn closed() -> Breaker {
    let mut breaker = Breaker::new(policy());
    breaker.close();
    breaker
}

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

#[test]
fn a_lane_starts_half_open_so_that_a_restart_probes_before_it_bursts() {
    let mut breaker = Breaker::new(policy());
    assert_eq!(breaker.state(), "half_open");
    let passes: Vec<_> = (0..10).filter_map(|_| breaker.admit()).collect();
    assert_eq!(passes, [Pass::Probe(0); 2]);
}

#[test]
fn half_open_admits_a_bounded_number_of_probes_and_no_more_until_they_end() {
    let mut breaker = closed();
    breaker.open(at(0));
    breaker.on_time(at(30));
    let first = breaker.admit().expect("first probe");
    let second = breaker.admit().expect("second probe");
    assert_eq!(breaker.admit(), None);
    breaker.record(at(31), first, Health::Unknown);
    assert!(breaker.admit().is_some());
    breaker.record(at(31), second, Health::Fails);
    assert_eq!((breaker.state(), breaker.admit()), ("open", None));
}

#[test]
fn an_open_breaker_turns_half_open_by_its_deadline_and_not_before() {
    let mut breaker = closed();
    breaker.open(at(0));
    breaker.on_time(at(29));
    assert_eq!(breaker.state(), "open");
    breaker.on_time(breaker.deadline().expect("open breakers have one"));
    assert_eq!(breaker.state(), "half_open");
}

#[test]
fn a_share_of_failures_opens_even_when_successes_stand_between() {
    let mut breaker = closed();
    for n in 0..8 {
        assert_eq!(breaker.state(), "closed", "after {n}");
        let health = if n % 2 == 0 { Health::Works } else { Health::Fails };
        breaker.record(at(n), Pass::Normal, health);
    }
    assert_eq!(breaker.state(), "open");
}

#[test]
fn a_failure_while_not_closed_is_not_charged_to_the_event() {
    let mut breaker = closed();
    assert!(breaker.charges(Pass::Normal));
    breaker.open(at(0));
    assert!(!breaker.charges(Pass::Normal));
    assert!(!breaker.charges(Pass::Probe(0)));
}

/// Every sequence of seven steps over the whole alphabet, checked against the rules as stated.
#[test]
fn in_a_small_space_no_sequence_breaks_the_rules() {
    const STEPS: usize = 7;
    const ALPHABET: usize = 5;
    for code in 0..ALPHABET.pow(STEPS as u32) {
        let mut breaker = Breaker::new(policy());
        let (mut flying, mut second) = (Vec::new(), 0);
        for step in 0..STEPS {
            let before = breaker.state();
            match code / ALPHABET.pow(step as u32) % ALPHABET {
                0 => flying.extend(breaker.admit()),
                1 => second += 31,
                n => {
                    let health = [Health::Works, Health::Fails, Health::Unknown][n - 2];
                    if let Some(pass) = flying.pop() {
                        breaker.record(at(second), pass, health);
                    }
                }
            }
            breaker.on_time(at(second));
            let round = breaker.round;
            let probes = flying.iter().filter(|p| **p == Pass::Probe(round)).count();
            if breaker.state() == "half_open" {
                assert!(probes <= 2, "{code}: {probes} probes");
            }
            assert_eq!(breaker.state() == "open", breaker.deadline().is_some());
            assert!(!(before == "open" && breaker.state() == "closed"), "{code}: open to closed");
            assert_eq!(breaker.admits(), breaker.clone().admit().is_some());
        }
    }
}
