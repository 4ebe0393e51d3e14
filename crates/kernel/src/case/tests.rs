//! Cases told as they happen.

use std::collections::{BTreeMap, BTreeSet};

use writ_model::case::{
    Act, Case, CaseState, Clock, Due, Grade, Outcome, RecipientState, Report, Right, Says,
};
use writ_model::id::{EventId, Generation, SubjectId};
use writ_model::time::Timestamp;

use super::clock::{self, Standing};
use super::recipient::{self, Served, approve, except, report};
use super::{Fact, Next, Order, Refused, Seen, Step, Terms, act, count, grade, next, open, took};

const EVENT: EventId = EventId(uuid::Uuid::from_bytes([7; 16]));

fn by(actor: &str, at: i64) -> Act {
    Act { actor: actor.to_owned(), note: "because".to_owned(), at: Timestamp(at) }
}

fn clock(kind: &str, legal: Option<i64>, policy: i64) -> Clock {
    let due = |over| Due { day: "2026-12-24".to_owned(), over: Timestamp(over) };
    let (duty, citation) = (kind.to_owned(), "Art. 12(3)".to_owned());
    let policy = Some(due(policy));
    Clock { duty, kind: kind.to_owned(), citation, legal: legal.map(due), safe: None, policy }
}

fn opened(right: Right) -> Case {
    let text = str::to_owned;
    open(Order {
        id: text("case-1"),
        right,
        subject: SubjectId([1; 16]),
        generation: Generation::FIRST,
        law: text("gdpr"),
        statute_right: text("erasure"),
        zone: None,
        calendar: None,
        intake: text("api"),
        reference: None,
        received_at: Timestamp(0),
        clocks: vec![clock("respond", Some(100), 50), clock("propagate", None, 60)],
        observe_seconds: 0,
        suppress_first: true,
        event_id: None,
        opened: by("ada", 0),
    })
}

/// `says_*` answers with the outcome; `behind_*` stands behind `crm`.
fn terms(name: &str) -> Terms {
    let says = if name.starts_with("says") { Says::Outcome } else { Says::Receipt };
    let behind = name.starts_with("behind").then(|| "crm".to_owned());
    Terms { says, demand: Grade::E1, behind }
}

fn seen(served: &[(&str, Served)], disclosed: &[&str]) -> Fact {
    let served: BTreeMap<String, Served> =
        served.iter().map(|(name, how)| ((*name).to_owned(), *how)).collect();
    let disclosed: BTreeSet<String> = disclosed.iter().map(|name| (*name).to_owned()).collect();
    Fact::Looked(Seen { event_id: Some(EVENT), served, disclosed })
}

fn dispatched() -> Case {
    let mut case = opened(Right::Erasure);
    act(&mut case, Step::Verify, by("ada", 1)).expect("taken");
    assert_eq!(next(&case), Next::Order);
    assert!(took(&mut case, Fact::Ordered("saga-1".to_owned()), &terms, Timestamp(2)));
    case
}

fn look(case: &mut Case, served: &[(&str, Served)], disclosed: &[&str], now: i64) -> bool {
    assert_eq!(next(case), Next::Look);
    took(case, seen(served, disclosed), &terms, Timestamp(now))
}

/// Recipients are looked at once more, and are as they were.
fn again(case: &mut Case, served: &[(&str, Served)], now: i64) {
    look(case, served, &[], now);
}

fn state(case: &Case, name: &str) -> RecipientState {
    case.recipients[name].state
}

fn said(outcome: Outcome, grade: Grade, at: i64) -> Report {
    Report { outcome, grade, act: by("esp", at) }
}

#[test]
fn nothing_is_sent_before_who_asks_is_verified() {
    let mut case = opened(Right::Erasure);
    assert_eq!((case.state, next(&case)), (CaseState::Received, Next::Nothing));
    let early = except(&mut case, "crm", Timestamp(9), by("ada", 1));
    assert_eq!(early, Err(Refused::Unverified));
    act(&mut case, Step::Verify, by("ada", 1)).expect("taken");
    assert_eq!(next(&case), Next::Order);
    assert_eq!(act(&mut case, Step::Verify, by("ada", 2)), Err(Refused::Already));
}

#[test]
fn a_receipt_is_not_an_erasure_and_an_outcome_is() {
    let mut case = dispatched();
    let served = [("says-done", Served::Acknowledged), ("esp", Served::Acknowledged)];
    assert!(look(&mut case, &served, &[], 3));
    assert_eq!(state(&case, "says-done"), RecipientState::OutcomeReported);
    assert_eq!((state(&case, "esp"), case.recipients["esp"].grade), (RecipientState::Received, Grade::E1));
    assert_eq!(case.why.as_deref(), Some("esp: received"));
    assert_eq!(count(&case, Timestamp(3)), (1, 2));
    report(&mut case, "esp", terms("esp"), said(Outcome::Accepted, Grade::E2, 4)).expect("taken");
    assert_eq!(state(&case, "esp"), RecipientState::Accepted);
    report(&mut case, "esp", terms("esp"), said(Outcome::NotFound, Grade::E4, 5)).expect("taken");
    assert_eq!((state(&case, "esp"), case.state), (RecipientState::OutcomeEvidenced, CaseState::Dispatched));
    again(&mut case, &served, 5);
    assert_eq!((case.state, case.fulfilled_at), (CaseState::Fulfilled, Some(Timestamp(5))));
    assert_eq!(grade(&case), Grade::E1, "the least of all");
}

#[test]
fn a_later_word_stands_over_an_earlier_one_and_over_the_wire() {
    let mut case = dispatched();
    look(&mut case, &[("esp", Served::Waits)], &[], 3);
    report(&mut case, "esp", terms("esp"), said(Outcome::Completed, Grade::E2, 4)).expect("taken");
    again(&mut case, &[("esp", Served::Waits)], 5);
    assert_eq!(case.state, CaseState::Fulfilled);
    let mut case = dispatched();
    look(&mut case, &[("says-done", Served::Acknowledged), ("esp", Served::Waits)], &[], 3);
    report(&mut case, "says-done", terms("says-done"), said(Outcome::Partially, Grade::E2, 4))
        .expect("taken");
    assert_eq!(state(&case, "says-done"), RecipientState::Refused);
    look(&mut case, &[("says-done", Served::Acknowledged), ("esp", Served::Waits)], &[], 5);
    assert_eq!(state(&case, "says-done"), RecipientState::Refused, "looked at again");
}

#[test]
fn whoever_had_the_data_is_a_recipient_whether_the_event_reaches_it_or_not() {
    let mut case = dispatched();
    look(&mut case, &[("says-done", Served::Acknowledged)], &["says-done", "former"], 3);
    assert_eq!(state(&case, "former"), RecipientState::Unreachable);
    assert_eq!(
        case.why.as_deref(),
        Some("former: unreachable (no subscriber of the event reaches it)"),
        "and holds the case up"
    );
}

#[test]
fn what_stands_behind_a_subscriber_is_done_by_its_own_word_only() {
    let mut case = dispatched();
    let served = [("crm", Served::Acknowledged)];
    look(&mut case, &served, &["behind-crm"], 3);
    assert_eq!(state(&case, "behind-crm"), RecipientState::Sent);
    let done = said(Outcome::Completed, Grade::E2, 4);
    report(&mut case, "behind-crm", terms("behind-crm"), done).expect("taken");
    assert_eq!(state(&case, "behind-crm"), RecipientState::OutcomeReported);
}

#[test]
fn an_exception_needs_a_second_person_and_ends_with_its_time() {
    let mut case = dispatched();
    look(&mut case, &[("crm", Served::DeadLettered)], &[], 3);
    assert_eq!(except(&mut case, "crm", Timestamp(4), by("ada", 4)), Err(Refused::Past));
    assert_eq!(except(&mut case, "x", Timestamp(9), by("ada", 4)), Err(Refused::NoRecipient("x".to_owned())));
    assert_eq!(approve(&mut case, "crm", false, by("ada", 4)), Err(Refused::NothingAsked("crm".to_owned())));
    except(&mut case, "crm", Timestamp(10), by("ada", 4)).expect("taken");
    again(&mut case, &[("crm", Served::DeadLettered)], 5);
    assert_eq!(case.why.as_deref(), Some("crm: its exception is to be approved"));
    assert_eq!(approve(&mut case, "crm", false, by("ada", 5)), Err(Refused::SamePerson("ada".to_owned())));
    assert_eq!(state(&case, "crm"), RecipientState::Refused);
    let mut late = case.clone();
    approve(&mut case, "crm", false, by("grace", 6)).expect("taken");
    again(&mut case, &[("crm", Served::DeadLettered)], 7);
    assert_eq!((state(&case, "crm"), case.state), (RecipientState::Excepted, CaseState::Fulfilled));
    approve(&mut late, "crm", false, by("grace", 10)).expect("taken");
    again(&mut late, &[("crm", Served::DeadLettered)], 10);
    assert_eq!(
        (state(&late, "crm"), late.state),
        (RecipientState::Refused, CaseState::Dispatched),
        "too late"
    );
}

#[test]
fn policy_may_demand_more_than_a_word() {
    let mut case = dispatched();
    let strict = |name: &str| Terms { demand: Grade::E4, ..terms(name) };
    took(&mut case, seen(&[("says-done", Served::Acknowledged)], &[]), &strict, Timestamp(3));
    assert_eq!(case.why.as_deref(), Some("says-done: E1 is shown, E4 is demanded"));
    report(&mut case, "says-done", strict("says-done"), said(Outcome::Completed, Grade::E4, 4))
        .expect("taken");
    took(&mut case, seen(&[("says-done", Served::Acknowledged)], &[]), &strict, Timestamp(5));
    assert_eq!(case.state, CaseState::Fulfilled);
}

#[test]
fn an_erasure_closes_when_keys_are_gone_and_the_person_was_told() {
    let mut case = dispatched();
    look(&mut case, &[("says-done", Served::Acknowledged)], &[], 3);
    assert_eq!(next(&case), Next::Release);
    assert!(took(&mut case, Fact::Ended, &terms, Timestamp(4)));
    assert_eq!(
        (case.state, case.why.as_deref()),
        (CaseState::Fulfilled, Some("the person is to be answered"))
    );
    assert!(!took(&mut case, Fact::Ended, &terms, Timestamp(5)), "told once");
    act(&mut case, Step::Answer, by("ada", 6)).expect("taken");
    took(&mut case, Fact::Ended, &terms, Timestamp(7));
    assert_eq!((case.state, next(&case)), (CaseState::Closed, Next::Nothing));
    assert_eq!(act(&mut case, Step::Withdraw, by("ada", 8)), Err(Refused::Ended));
}

#[test]
fn an_opt_out_closes_when_the_person_was_told_and_an_access_request_asks_for_nothing_else() {
    let mut case = opened(Right::OptOut);
    act(&mut case, Step::Verify, by("ada", 1)).expect("taken");
    took(&mut case, Fact::Ordered("saga-1".to_owned()), &terms, Timestamp(2));
    look(&mut case, &[("says-done", Served::Acknowledged)], &[], 3);
    assert_eq!((case.state, next(&case)), (CaseState::Fulfilled, Next::Nothing));
    act(&mut case, Step::Answer, by("ada", 4)).expect("taken");
    assert_eq!(case.state, CaseState::Closed);
    let mut case = opened(Right::Access);
    act(&mut case, Step::Verify, by("ada", 1)).expect("taken");
    took(&mut case, Fact::Looked(Seen::default()), &terms, Timestamp(2));
    assert_eq!(case.why.as_deref(), Some("the person is to be answered"));
    act(&mut case, Step::Answer, by("ada", 4)).expect("taken");
    took(&mut case, Fact::Looked(Seen::default()), &terms, Timestamp(4));
    assert_eq!((case.state, case.fulfilled_at), (CaseState::Closed, Some(Timestamp(4))));
}

#[test]
fn a_request_is_taken_back_or_denied_only_while_nobody_can_have_acted() {
    let mut case = opened(Right::Erasure);
    act(&mut case, Step::Withdraw, by("ada", 1)).expect("taken");
    assert_eq!((case.state, next(&case)), (CaseState::Withdrawn, Next::Nothing));
    let mut case = dispatched();
    assert_eq!(act(&mut case, Step::Deny, by("ada", 3)), Err(Refused::Irreversible));
}

#[test]
fn each_clock_is_met_by_what_its_duty_asks_for_and_by_nothing_else() {
    let mut case = dispatched();
    let standings = |case: &Case, now: i64| -> Vec<Standing> {
        case.clocks.iter().map(|each| clock::standing(case, each, Timestamp(now))).collect()
    };
    assert_eq!(standings(&case, 10), [Standing::Runs, Standing::Runs]);
    assert_eq!(clock::next_change(&case, Timestamp(10)), Some(Timestamp(50)));
    assert_eq!(standings(&case, 55), [Standing::AtRisk, Standing::Runs]);
    assert_eq!(standings(&case, 100), [Standing::Overdue, Standing::AtRisk]);
    assert_eq!(clock::worst(&case, Timestamp(100)), Some(Standing::Overdue));
    look(&mut case, &[("says-done", Served::Acknowledged)], &[], 40);
    assert_eq!(standings(&case, 100), [Standing::Overdue, Standing::Met], "the person was not answered");
    act(&mut case, Step::Answer, by("ada", 120)).expect("taken");
    assert_eq!(standings(&case, 130), [Standing::MetLate, Standing::Met]);
    assert_eq!(clock::next_change(&case, Timestamp(130)), None);
}

#[test]
fn an_extension_is_an_act_with_new_clocks() {
    let mut case = dispatched();
    let longer = vec![clock("respond", Some(300), 150)];
    act(&mut case, Step::Extend(longer), by("ada", 90)).expect("taken");
    assert_eq!((case.extensions.len(), clock::worst(&case, Timestamp(120))), (1, Some(Standing::Runs)));
}

#[test]
fn a_recipient_that_repeats_itself_does_not_fill_the_journal() {
    let mut case = dispatched();
    look(&mut case, &[("esp", Served::Acknowledged)], &[], 3);
    for at in 0..recipient::REPORTS_MAX as i64 {
        report(&mut case, "esp", terms("esp"), said(Outcome::Accepted, Grade::E2, at)).expect("taken");
    }
    let more = report(&mut case, "esp", terms("esp"), said(Outcome::Accepted, Grade::E2, 99));
    assert_eq!(more, Err(Refused::TooMany(recipient::REPORTS_MAX)));
    look(&mut case, &[("esp", Served::Acknowledged)], &[], 100);
    assert!(!look(&mut case, &[("esp", Served::Acknowledged)], &[], 101), "nothing new was seen");
}
