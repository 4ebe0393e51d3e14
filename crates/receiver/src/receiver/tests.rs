//! Arrivals in every order, with commits and without.

use super::*;
use crate::cursor;

const WINDOW: Duration = Duration::from_secs(3600);

struct Desk {
    database: Connection,
    receiver: Receiver,
    now: SystemTime,
}

fn desk() -> Desk {
    let database = Connection::open_in_memory().expect("a database");
    let receiver = Receiver::create(&database, WINDOW).expect("tables");
    Desk { database, receiver, now: UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
}

/// Event number `sequence` of a subject.
fn event(subject: &str, sequence: u64) -> Event {
    Event {
        id: format!("{subject}-{sequence}"),
        source: "/writ/acme/shop".to_owned(),
        slot: "17".to_owned(),
        sequence: format!("{sequence:020}"),
        subject: subject.to_owned(),
        recorded: format!("2026-11-21T05:30:{sequence:02}.000000Z"),
        delivery: None,
    }
}

impl Desk {
    fn arrive(&mut self, delivery: &str, event: &Event, epoch: Option<u64>) -> Verdict {
        let transaction = self.database.transaction().expect("begins");
        let arrival = Arrival { delivery, event, epoch, now: self.now };
        let verdict = self.receiver.judge(&transaction, &arrival).expect("judged");
        transaction.commit().expect("commits");
        verdict
    }

    fn remembered(&self) -> i64 {
        self.database.query_row("SELECT count(*) FROM writ_received", [], |row| row.get(0)).expect("a count")
    }
}

#[test]
fn a_delivery_is_first_once() {
    let mut desk = desk();
    let event = event("a", 1);
    assert_eq!(desk.arrive("d1", &event, None), Verdict::First);
    assert_eq!(desk.arrive("d1", &event, None), Verdict::Repeated);
}

#[test]
fn what_is_rolled_back_was_not_received() {
    let mut desk = desk();
    let event = event("a", 1);
    let transaction = desk.database.transaction().expect("begins");
    let arrival = Arrival { delivery: "d1", event: &event, epoch: Some(3), now: desk.now };
    assert_eq!(desk.receiver.judge(&transaction, &arrival).expect("judged"), Verdict::First);
    drop(transaction);
    assert_eq!(desk.arrive("d1", &event, Some(2)), Verdict::First);
}

#[test]
fn an_earlier_event_does_not_undo_a_later_one_of_its_subject() {
    let mut desk = desk();
    assert_eq!(desk.arrive("d2", &event("a", 2), None), Verdict::First);
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::Stale);
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::Repeated, "it was received");
    assert_eq!(desk.arrive("d3", &event("b", 1), None), Verdict::First, "subjects are apart");
    assert_eq!(desk.arrive("d4", &event("a", 10), None), Verdict::First, "numbers, not texts of any length");
}

#[test]
fn what_an_operator_reissues_is_applied_again_but_undoes_nothing() {
    let mut desk = desk();
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::First);
    assert_eq!(desk.arrive("reissued", &event("a", 1), None), Verdict::First);
    assert_eq!(desk.arrive("reissued", &event("a", 1), None), Verdict::Repeated);
    assert_eq!(desk.arrive("d2", &event("a", 2), None), Verdict::First);
    assert_eq!(desk.arrive("reissued again", &event("a", 1), None), Verdict::Stale);
}

#[test]
fn sequences_of_another_slot_or_source_do_not_compare() {
    let mut desk = desk();
    let first = event("a", 9);
    assert_eq!(desk.arrive("d1", &first, None), Verdict::First);
    let slot = Event { slot: "18".to_owned(), ..event("a", 1) };
    assert_eq!(desk.arrive("d2", &slot, None), Verdict::First);
    let source = Event { source: "/writ/acme/till".to_owned(), ..event("a", 1) };
    assert_eq!(desk.arrive("d3", &source, None), Verdict::First);
}

#[test]
fn a_former_owner_is_fenced_and_leaves_no_trace() {
    let mut desk = desk();
    assert_eq!(desk.arrive("d1", &event("a", 1), Some(5)), Verdict::First);
    assert_eq!(desk.arrive("d2", &event("a", 2), Some(4)), Verdict::Fenced { highest: 5 });
    assert_eq!(desk.arrive("d2", &event("a", 2), Some(6)), Verdict::First);
    assert_eq!(desk.arrive("d1", &event("a", 1), Some(5)), Verdict::Fenced { highest: 6 });
    assert_eq!(desk.arrive("d3", &event("a", 3), None), Verdict::First, "no word on an epoch fences nobody");
}

#[test]
fn ids_are_forgotten_beyond_the_window_and_not_within() {
    let mut desk = desk();
    for number in 1..=40 {
        desk.arrive(&format!("d{number}"), &event("a", number), None);
    }
    desk.now += WINDOW;
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::Repeated);
    desk.now += Duration::from_secs(1);
    for number in 41..=43 {
        desk.arrive(&format!("d{number}"), &event("a", number), None);
    }
    assert_eq!(desk.remembered(), 3, "a few at each arrival, until all are gone");
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::Stale, "the subject's order still knows");
    desk.now += WINDOW * 2;
    assert_eq!(desk.arrive("d43", &event("a", 43), None), Verdict::Repeated, "of the last event too");
}

#[test]
fn the_cursor_is_the_highest_of_each_slot() {
    let mut desk = desk();
    assert_eq!(cursor::newest(&desk.database).expect("reads"), None);
    for (delivery, event) in [("d1", event("a", 2)), ("d2", event("b", 7)), ("d3", event("c", 3))] {
        desk.arrive(delivery, &event, None);
    }
    let marks = cursor::marks(&desk.database).expect("reads");
    let [mark] = marks.as_slice() else { panic!("{marks:?}") };
    assert_eq!((mark.slot.as_str(), &mark.sequence), ("17", &event("b", 7).sequence));
    assert_eq!(cursor::newest(&desk.database).expect("reads"), Some(event("b", 7).recorded));
}

#[test]
fn the_tables_are_created_once_and_kept() {
    let mut desk = desk();
    desk.arrive("d1", &event("a", 1), None);
    desk.receiver = Receiver::create(&desk.database, WINDOW).expect("again");
    assert_eq!(desk.arrive("d1", &event("a", 1), None), Verdict::Repeated);
}
