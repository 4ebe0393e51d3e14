//! Dead letters: sequences, redrive, discard; the live cursor stays out of it.

use super::*;

/// Subject 1 is parked with events 1 and 2; event 3 of subject 2 went through.
fn parked() -> Bench {
    let mut bench = bench(config());
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2)]);
    for (id, offsets) in bench.sent() {
        bench.tell(Fact::Answered(id, if offsets == [1] { http(422) } else { http(200) }));
    }
    bench
}

fn reads(bench: &Bench) -> usize {
    bench.effects.iter().filter(|effect| matches!(effect, Effect::ReadDeadLetters(..))).count()
}

fn closed(bench: &Bench) -> Vec<(u64, String)> {
    let closed = bench.journal().into_iter().filter_map(|fact| match fact {
        ControlFact::DeadLetterClosed(closed) => Some((closed.through.0, closed.how)),
        _ => None,
    });
    closed.collect()
}

#[test]
fn a_redrive_takes_the_sequence_in_order_and_never_moves_the_live_cursor() {
    let mut bench = parked();
    let before = bench.cursor();
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    assert_eq!(reads(&bench), 1);
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), item(2, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[1], [2]]);
    assert_eq!(closed(&bench), [(1, "redriven".to_owned()), (2, "redriven".to_owned())]);
    assert_eq!(bench.cursor().watermark, before.watermark);
    bench.tell(Fact::Offered(LANE, vec![item(4, 1)], Offset(5)));
    assert_eq!(bench.offsets(), [[4]], "the subject is not parked any more");
}

#[test]
fn new_events_of_a_parked_subject_join_its_dead_letters_and_are_redriven_after_them() {
    let mut bench = parked();
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), item(2, 1)]));
    bench.tell(Fact::Offered(LANE, vec![item(4, 1)], Offset(5)));
    assert_eq!(bench.answer_all(&http(200)), [[1], [2]]);
    assert_eq!(bench.dead().last(), Some(&(4, "behind".to_owned())));
    assert_eq!(reads(&bench), 2, "the round ended before the last dead letter");
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(4, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[4]]);
    assert_eq!(bench.dispatch.lane(LANE).map(lane::Lane::parked_subjects), Some(0));
}

#[test]
fn a_redrive_that_fails_again_leaves_the_rest_parked() {
    let mut bench = parked();
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), item(2, 1)]));
    assert_eq!(bench.answer_all(&http(422)), [[1]]);
    assert_eq!(closed(&bench), []);
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    assert_eq!(reads(&bench), 2, "it can be redriven again");
}

#[test]
fn a_dead_letter_is_asked_for_leave_again_when_it_is_redriven() {
    let mut bench = parked();
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    let denied = replaying::denied(1, 1, permit::Cause::PolicySubscriber);
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![denied, item(2, 1)]));
    assert_eq!(bench.answer_all(&http(200)), [[2]], "policy has come to deny the first");
    assert_eq!(closed(&bench), [(2, "redriven".to_owned())], "it leaves with the next that is delivered");
}

#[test]
fn a_discard_during_an_attempt_waits_for_its_end() {
    let mut bench = parked();
    bench.tell(Fact::Redrive(LANE, subject(1), "ada".into()));
    bench.tell(Fact::DeadLettersRead(LANE, subject(1), vec![item(1, 1), item(2, 1)]));
    let (id, _) = bench.sent()[0];
    bench.tell(Fact::Discard(LANE, subject(1), "bob".into()));
    assert_eq!(closed(&bench), []);
    bench.tell(Fact::Answered(id, http(500)));
    assert_eq!(closed(&bench), [(2, "discarded".to_owned())]);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_crash_between_redrive_and_cursor_loses_nothing_and_skips_nothing() {
    let parked = vec![(subject(1), Offset(2))];
    let mut bench = recovered(config(), Recovered { parked, ..Recovered::default() });
    bench.offer(vec![item(1, 1), item(2, 1), item(3, 2), item(4, 1)]);
    assert_eq!(bench.offsets(), [[3]]);
    assert_eq!(bench.dead(), [(4, "behind".to_owned())], "the older two are dead letters already");
}

#[test]
fn a_dead_letter_is_journaled_before_the_cursor_that_passes_it() {
    let mut bench = parked();
    bench.cursor();
    let journal = bench.journal();
    let dead = journal.iter().rposition(|fact| matches!(fact, ControlFact::DeadLettered(_)));
    let passing = journal.iter().position(|fact| match fact {
        ControlFact::Cursor(cursor) => cursor.watermark > Offset(1),
        _ => false,
    });
    assert!(dead < passing, "{dead:?} {passing:?}");
}
