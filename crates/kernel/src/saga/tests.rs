//! Sagas run step by step, as a driver would.

use super::*;

const SURVIVOR: SubjectId = SubjectId([1; 16]);
const ABSORBED: SubjectId = SubjectId([2; 16]);

fn order(plan: Plan) -> Saga {
    let text = str::to_owned;
    let (reason, actor) = (text("matched"), text("ada"));
    begin(Order { id: text("saga-1"), plan, reason, actor, case: None }, Timestamp(0))
}

fn merge() -> Saga {
    order(Plan::Merge { survivor: SURVIVOR, absorbed: ABSORBED })
}

fn erasure(suppress_first: bool) -> Saga {
    let keep_keys = Duration::from_secs(10);
    order(Plan::Erasure { subject: SURVIVOR, generation: Generation::FIRST, suppress_first, keep_keys })
}

fn id(number: u8) -> EventId {
    EventId(uuid::Uuid::from_bytes([number; 16]))
}

fn lacking(who: &[(&str, Lacking)]) -> BTreeMap<String, Lacking> {
    who.iter().map(|(name, how)| ((*name).to_owned(), *how)).collect()
}

/// Everybody takes the event of the next step.
fn served(saga: &mut Saga, now: i64) {
    let Next::Announce(at) = next(saga, Timestamp(now)) else { panic!("{saga:?}") };
    assert!(took(saga, Fact::Announced(at, id(at as u8 + 1)), Timestamp(now)));
    // What is announced in the same stream right behind it does not wait for the look.
    assert!([Next::Look(at), Next::Announce(at + 1)].contains(&next(saga, Timestamp(now))));
    assert!(took(saga, Fact::Looked(at, BTreeMap::new()), Timestamp(now)));
}

fn announced(saga: &Saga) -> Vec<(SubjectId, ChangeType, bool)> {
    let announced = saga.steps.iter().filter(|step| step.event_id.is_some());
    let said = announced.filter_map(|step| match step.action {
        Action::Announce { subject, change_type, is_lifted, .. } => Some((subject, change_type, is_lifted)),
        Action::Destroy { .. } => None,
    });
    said.collect()
}

#[test]
fn a_merge_is_told_of_the_record_that_goes_before_the_one_that_stays() {
    let mut saga = merge();
    served(&mut saga, 1);
    assert_eq!(announced(&saga), [(ABSORBED, ChangeType::IdentityMerge, false)]);
    served(&mut saga, 2);
    assert_eq!(announced(&saga)[1], (SURVIVOR, ChangeType::IdentityMerge, false));
    assert_eq!((saga.state, next(&saga, Timestamp(3))), (SagaState::Done, Next::Nothing));
}

#[test]
fn a_step_waits_for_the_last_subscriber_and_a_dead_letter_makes_it_stuck_until_it_is_taken() {
    let mut saga = merge();
    took(&mut saga, Fact::Announced(0, id(1)), Timestamp(1));
    assert!(!took(&mut saga, Fact::Looked(0, lacking(&[("crm", Lacking::Waits)])), Timestamp(2)));
    assert_eq!((saga.state, next(&saga, Timestamp(2))), (SagaState::Running, Next::Look(0)));
    let dead = lacking(&[("crm", Lacking::DeadLettered), ("esp", Lacking::Waits)]);
    assert!(took(&mut saga, Fact::Looked(0, dead.clone()), Timestamp(3)));
    assert_eq!(saga.state, SagaState::Stuck);
    assert_eq!(saga.why.as_deref(), Some("step 0: crm has it in the dead letters"));
    assert!(!took(&mut saga, Fact::Looked(0, dead), Timestamp(4)), "told once");
    assert_eq!(next(&saga, Timestamp(4)), Next::Look(0), "a redrive is seen");
    assert!(took(&mut saga, Fact::Looked(0, lacking(&[("esp", Lacking::Waits)])), Timestamp(5)));
    assert_eq!((saga.state, saga.why), (SagaState::Running, None));
}

#[test]
fn an_exception_counts_until_its_time_and_for_its_subscriber_only() {
    let mut saga = merge();
    took(&mut saga, Fact::Announced(0, id(1)), Timestamp(1));
    let text = str::to_owned;
    let exception = |subscriber: &str, until| Exception {
        subscriber: text(subscriber),
        reason: text("contract ended"),
        until: Timestamp(until),
        actor: text("ada"),
        at: Timestamp(2),
    };
    assert_eq!(except(&mut saga, exception("crm", 2), Timestamp(2)), Err(Refused::Past));
    except(&mut saga, exception("crm", 10), Timestamp(2)).expect("taken");
    let both = lacking(&[("crm", Lacking::DeadLettered), ("esp", Lacking::Waits)]);
    took(&mut saga, Fact::Looked(0, both.clone()), Timestamp(3));
    assert_eq!((saga.state, saga.steps[0].state), (SagaState::Running, StepState::Announced));
    took(&mut saga, Fact::Looked(0, both), Timestamp(10));
    assert_eq!(saga.state, SagaState::Stuck, "it has run out");
    except(&mut saga, exception("crm", 20), Timestamp(11)).expect("taken");
    took(&mut saga, Fact::Looked(0, lacking(&[("crm", Lacking::DeadLettered)])), Timestamp(12));
    assert_eq!((saga.steps[0].state, next(&saga, Timestamp(12))), (StepState::Done, Next::Announce(1)));
}

#[test]
fn what_was_announced_is_taken_back_by_its_opposite_the_last_first() {
    let mut saga = merge();
    served(&mut saga, 1);
    took(&mut saga, Fact::Announced(1, id(2)), Timestamp(2));
    took(&mut saga, Fact::Looked(1, lacking(&[("crm", Lacking::DeadLettered)])), Timestamp(3));
    compensate(&mut saga, "crm refuses it".to_owned(), Timestamp(4)).expect("taken");
    assert_eq!(saga.state, SagaState::Compensating);
    served(&mut saga, 5);
    assert_eq!(compensate(&mut saga, String::new(), Timestamp(6)), Err(Refused::Compensating));
    served(&mut saga, 6);
    let back = &announced(&saga)[2..];
    assert_eq!(
        back,
        [(SURVIVOR, ChangeType::IdentitySplit, false), (ABSORBED, ChangeType::IdentitySplit, false)]
    );
    assert_eq!(saga.steps.iter().map(|step| step.undoes).collect::<Vec<_>>(), [None, None, Some(1), Some(0)]);
    assert_eq!(saga.state, SagaState::Compensated);
    assert_eq!(compensate(&mut saga, String::new(), Timestamp(7)), Err(Refused::Ended));
}

#[test]
fn a_saga_of_which_nothing_was_announced_is_taken_back_at_once() {
    let mut saga = merge();
    compensate(&mut saga, "a mistake".to_owned(), Timestamp(1)).expect("taken");
    assert_eq!((saga.state, next(&saga, Timestamp(2))), (SagaState::Compensated, Next::Nothing));
}

#[test]
fn keys_are_destroyed_when_all_have_erased_and_the_time_to_notice_is_over() {
    let mut saga = erasure(true);
    served(&mut saga, 1);
    assert_eq!(announced(&saga), [(SURVIVOR, ChangeType::Suppression, false)]);
    took(&mut saga, Fact::Announced(1, id(2)), Timestamp(2));
    took(&mut saga, Fact::Looked(1, lacking(&[("crm", Lacking::Waits)])), Timestamp(20_000_000));
    assert_eq!(next(&saga, Timestamp(20_000_000)), Next::Look(1), "one has not erased");
    took(&mut saga, Fact::Looked(1, BTreeMap::new()), Timestamp(21_000_000));
    assert_eq!(next(&saga, Timestamp(30_999_999)), Next::Wait(Timestamp(31_000_000)));
    assert_eq!(next(&saga, Timestamp(31_000_000)), Next::Destroy(2));
    assert!(took(
        &mut saga,
        Fact::Barred("hold hold-1 is on this subject".to_owned()),
        Timestamp(31_000_000)
    ));
    assert_eq!((saga.state, next(&saga, Timestamp(31_000_001))), (SagaState::Stuck, Next::Destroy(2)));
    took(&mut saga, Fact::Destroyed(2), Timestamp(40_000_000));
    assert_eq!((saga.state, saga.why), (SagaState::Done, None));
}

#[test]
fn an_erasure_is_taken_back_before_it_is_announced_and_never_after() {
    let mut saga = erasure(true);
    served(&mut saga, 1);
    let mut early = saga.clone();
    compensate(&mut early, "withdrawn".to_owned(), Timestamp(2)).expect("taken");
    served(&mut early, 3);
    assert_eq!(announced(&early).last(), Some(&(SURVIVOR, ChangeType::Suppression, true)));
    assert_eq!(early.state, SagaState::Compensated);
    let Next::Announce(at) = next(&saga, Timestamp(2)) else { panic!("{saga:?}") };
    took(&mut saga, Fact::Announced(at, id(9)), Timestamp(2));
    assert_eq!(compensate(&mut saga, "withdrawn".to_owned(), Timestamp(3)), Err(Refused::Irreversible));
}

#[test]
fn an_announcement_that_the_gate_keeps_out_is_stuck_and_can_be_taken_back() {
    let mut saga = merge();
    served(&mut saga, 1);
    took(&mut saga, Fact::Kept(1, "held".to_owned()), Timestamp(2));
    assert_eq!((saga.state, next(&saga, Timestamp(3))), (SagaState::Stuck, Next::Nothing));
    compensate(&mut saga, "held".to_owned(), Timestamp(4)).expect("taken");
    assert_eq!(saga.steps.len(), 3, "only what was announced");
    served(&mut saga, 5);
    assert_eq!(saga.state, SagaState::Compensated);
}

#[test]
fn a_subscriber_that_is_down_for_the_suppression_delays_the_erasure_of_nobody_else() {
    let mut saga = erasure(true);
    took(&mut saga, Fact::Announced(0, id(1)), Timestamp(1));
    assert_eq!(next(&saga, Timestamp(1)), Next::Announce(1), "in the same stream, behind it");
    took(&mut saga, Fact::Announced(1, id(2)), Timestamp(2));
    assert_eq!(next(&saga, Timestamp(2)), Next::Look(0));
    took(&mut saga, Fact::Looked(0, lacking(&[("crm", Lacking::Waits)])), Timestamp(3));
    assert_eq!(next(&saga, Timestamp(3)), Next::Look(0));
    took(&mut saga, Fact::Looked(0, BTreeMap::new()), Timestamp(4));
    assert_eq!(next(&saga, Timestamp(4)), Next::Look(1));
}

#[test]
fn keys_of_a_case_stay_until_the_case_lets_them_go() {
    let mut saga = erasure(false);
    saga.case = Some("case-1".to_owned());
    served(&mut saga, 1);
    assert_eq!(next(&saga, Timestamp(90_000_000)), Next::Nothing);
    assert!(release(&mut saga, Timestamp(90_000_000)));
    assert!(!release(&mut saga, Timestamp(91_000_000)), "once");
    assert_eq!(next(&saga, Timestamp(90_000_000)), Next::Wait(Timestamp(100_000_000)));
    assert_eq!(next(&saga, Timestamp(100_000_000)), Next::Destroy(1));
}

#[test]
fn an_opt_out_is_one_announcement_and_is_taken_back_by_lifting_it() {
    let mut saga = order(Plan::OptOut { subject: SURVIVOR });
    took(&mut saga, Fact::Announced(0, id(1)), Timestamp(1));
    let mut kept = saga.clone();
    took(&mut saga, Fact::Looked(0, BTreeMap::new()), Timestamp(2));
    assert_eq!(saga.state, SagaState::Done);
    compensate(&mut kept, "a mistake".to_owned(), Timestamp(2)).expect("taken");
    served(&mut kept, 3);
    assert_eq!(announced(&kept).last(), Some(&(SURVIVOR, ChangeType::Suppression, true)));
}
