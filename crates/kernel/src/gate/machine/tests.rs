//! The gate from outside: facts in, effects out.

use proptest::prelude::*;
use writ_model::taxonomy::ChangeType;
use writ_model::value::Value;
use writ_model::verdict::Violation;

use super::*;
use crate::gate::fixtures::envelope;

const TIMEOUT: Duration = Duration::from_millis(50);

fn gate() -> Gate {
    Gate::new(Config { policy_version: version("p@1"), ask_timeout: TIMEOUT, card_hash_key: [3; 32] })
}

fn version(text: &str) -> PolicyVersion {
    PolicyVersion(text.into())
}

fn at(millis: u64) -> Now {
    Now { moment: Moment(millis * 1000), ..Now::default() }
}

fn checked(subject: u8) -> Checked {
    let mut envelope = envelope();
    envelope.header.subject_id = SubjectId([subject; 16]);
    Checked { envelope, schema: SchemaVerdict::Valid { version: "email.v1+sha256:00".into() } }
}

fn with_card(mut checked: Checked) -> Checked {
    let number = Value::Text("4111 1111 1111 1111".into());
    checked.envelope.private.data.after = Some([("note".to_owned(), number)].into());
    checked
}

fn invalid(mut checked: Checked) -> Checked {
    let violations = vec![Violation { path: "/after/email".into(), keyword: "format".into() }];
    checked.schema = SchemaVerdict::Invalid { version: "email.v1+sha256:00".into(), violations };
    checked
}

fn verdict(answer: PolicyAnswer) -> PolicyVerdict {
    PolicyVerdict { answer, class: None, deny_subscribers: vec![], withhold: vec![], version: version("p@2") }
}

fn submit(gate: &mut Gate, ticket: u64, checked: Checked) -> Vec<Effect> {
    let mut effects = Vec::new();
    gate.on(at(0), Fact::Submit(Ticket(ticket), Box::new(checked)), &mut effects);
    effects
}

fn answer(gate: &mut Gate, ticket: u64, verdict: PolicyVerdict) -> Vec<Effect> {
    let mut effects = Vec::new();
    gate.on(at(1), Fact::Verdict(Ticket(ticket), verdict), &mut effects);
    effects
}

/// Tickets that were decided, in order.
fn decided(effects: &[Effect]) -> Vec<u64> {
    let ticket = |effect: &Effect| match effect {
        Effect::Decided(ticket, _) => Some(ticket.0),
        Effect::Ask(..) => None,
    };
    effects.iter().filter_map(ticket).collect()
}

fn kept(effects: &[Effect]) -> &Kept {
    match effects {
        [Effect::Decided(_, Decided::Kept(kept))] => kept,
        other => panic!("expected one kept event, got {other:?}"),
    }
}

fn cleared(effects: &[Effect]) -> &Cleared {
    match effects {
        [Effect::Decided(_, Decided::Cleared(cleared))] => cleared,
        other => panic!("expected one cleared event, got {other:?}"),
    }
}

#[test]
fn a_clean_event_is_asked_about_and_cleared_under_the_verdict_s_version() {
    let mut gate = gate();
    assert!(matches!(submit(&mut gate, 1, checked(1))[..], [Effect::Ask(Ticket(1), _)]));
    let effects = answer(&mut gate, 1, verdict(PolicyAnswer::Clear));
    let decision = cleared(&effects).decision();
    assert_eq!((&decision.policy, decision.class), (&version("p@2"), PriorityClass::Standard));
    assert_eq!(decision.schema, "email.v1+sha256:00");
    assert_eq!(gate.next_deadline(), None);
}

#[test]
fn a_card_number_is_quarantined_unasked_with_nothing_left_of_the_payload() {
    let effects = submit(&mut gate(), 1, invalid(with_card(checked(1))));
    let kept = kept(&effects);
    assert_eq!((kept.as_what, kept.may_keep_payload), (WithheldAs::Quarantined, false));
    assert!(matches!(&kept.reason, Reason::CardNumber { findings } if findings.len() == 1));
    assert!(kept.envelope.private.data.after.is_none() && kept.envelope.private.key.0.is_empty());
}

#[test]
fn data_that_does_not_fit_its_schema_is_quarantined_and_may_be_kept() {
    let effects = submit(&mut gate(), 1, invalid(checked(1)));
    let kept = kept(&effects);
    assert_eq!((kept.as_what, kept.may_keep_payload), (WithheldAs::Quarantined, true));
    assert!(matches!(&kept.reason, Reason::Schema { violations, .. } if violations.len() == 1));
}

#[test]
fn an_event_of_an_erased_subject_is_held_without_its_payload() {
    let mut effects = Vec::new();
    gate().on(at(0), Fact::SubmitErased(Ticket(1), Box::new(checked(1))), &mut effects);
    let kept = kept(&effects);
    assert_eq!(
        (&kept.reason, kept.as_what, kept.may_keep_payload),
        (&Reason::ErasedSubject, WithheldAs::Held, false)
    );
}

#[test]
fn policy_holds_and_refuses() {
    for (given, as_what, may_keep) in [
        (PolicyAnswer::Hold("why".into()), WithheldAs::Held, true),
        (PolicyAnswer::Refuse("why".into()), WithheldAs::Refused, false),
    ] {
        let mut gate = gate();
        submit(&mut gate, 1, checked(1));
        let effects = answer(&mut gate, 1, verdict(given));
        let kept = kept(&effects);
        assert_eq!((kept.as_what, kept.may_keep_payload), (as_what, may_keep));
        assert_eq!(kept.reason, Reason::Policy { reason: "why".into() });
    }
}

#[test]
fn policy_raises_a_class_and_cannot_lower_one() {
    for (change_type, demanded, expected) in [
        (ChangeType::Email, Some(PriorityClass::Express), PriorityClass::Express),
        (ChangeType::Email, None, PriorityClass::Standard),
        (ChangeType::Consent, Some(PriorityClass::Standard), PriorityClass::Express),
    ] {
        let (mut gate, mut event) = (gate(), checked(1));
        event.envelope.header.change_type = change_type;
        submit(&mut gate, 1, event);
        let effects = answer(&mut gate, 1, PolicyVerdict { class: demanded, ..verdict(PolicyAnswer::Clear) });
        assert_eq!(cleared(&effects).decision().class, expected);
    }
}

#[test]
fn without_an_answer_in_time_the_event_is_held_and_a_late_answer_changes_nothing() {
    let mut gate = gate();
    submit(&mut gate, 1, checked(1));
    let mut effects = Vec::new();
    gate.on_time(at(49), &mut effects);
    assert!(effects.is_empty());
    assert_eq!(gate.next_deadline(), Some(Moment(50_000)));
    gate.on_time(at(50), &mut effects);
    assert_eq!((&kept(&effects).reason, kept(&effects).as_what), (&Reason::PolicyTimeout, WithheldAs::Held));
    assert!(answer(&mut gate, 1, verdict(PolicyAnswer::Clear)).is_empty());
}

#[test]
fn later_events_of_a_subject_wait_for_earlier_ones_and_other_subjects_do_not() {
    let mut gate = gate();
    submit(&mut gate, 1, checked(1));
    assert_eq!(decided(&submit(&mut gate, 2, with_card(checked(1)))), [0; 0]);
    assert_eq!(decided(&submit(&mut gate, 3, with_card(checked(2)))), [3]);
    submit(&mut gate, 4, checked(1));
    assert_eq!(decided(&answer(&mut gate, 4, verdict(PolicyAnswer::Clear))), [0; 0]);
    assert_eq!(decided(&answer(&mut gate, 1, verdict(PolicyAnswer::Clear))), [1, 2, 4]);
}

#[test]
fn an_event_beyond_the_bound_is_held_and_not_dropped() {
    let mut gate = gate();
    for ticket in 0..PENDING_MAX as u64 {
        submit(&mut gate, ticket, checked(1));
    }
    assert!(!gate.has_room());
    let effects = submit(&mut gate, PENDING_MAX as u64, checked(2));
    assert_eq!((&kept(&effects).reason, kept(&effects).as_what), (&Reason::PolicyTimeout, WithheldAs::Held));
}

#[test]
fn the_input_document_matches_the_golden() {
    let document = input::document(&checked(1));
    let golden = include_str!("../../../../../policies/input.example.json");
    let expected: serde_json::Value = serde_json::from_str(golden).expect("the golden is JSON");
    assert_eq!(document, expected);
}

proptest! {
    // Whatever the order of answers and time-outs, every event is decided once, in its subject's order.
    #[test]
    fn decisions_keep_each_subject_s_order(
        subjects in prop::collection::vec(0_u8..4, 1..40),
        answers in prop::collection::vec((0_u64..40, 0_u64..80), 0..80),
    ) {
        let (mut gate, mut effects) = (gate(), Vec::new());
        for (ticket, subject) in (0..).zip(&subjects) {
            let event = if ticket % 5 == 4 { with_card(checked(*subject)) } else { checked(*subject) };
            gate.on(at(0), Fact::Submit(Ticket(ticket), Box::new(event)), &mut effects);
        }
        for (ticket, millis) in answers {
            gate.on_time(at(millis), &mut effects);
            gate.on(at(millis), Fact::Verdict(Ticket(ticket), verdict(PolicyAnswer::Clear)), &mut effects);
        }
        gate.on_time(at(1000), &mut effects);
        let all = decided(&effects);
        for subject in 0..4 {
            let of = |ticket: &&u64| subjects[usize::try_from(**ticket).expect("small")] == subject;
            let told: Vec<u64> = all.iter().filter(of).copied().collect();
            prop_assert!(told.is_sorted());
        }
        let mut once = all.clone();
        once.sort_unstable();
        prop_assert_eq!(once, (0..subjects.len() as u64).collect::<Vec<_>>());
        prop_assert!(gate.next_deadline().is_none() && gate.has_room());
    }
}
