//! Offers and leases at chosen times, and waiters that are woken. No test here waits for a clock.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use writ_model::cloudevent::CloudEvent;
use writ_model::delivery::{Fault, Objection, Word};
use writ_model::id::{DeliveryId, Offset, SubjectId};
use writ_schema::cloudevents::View;

use super::table::{CLOSING, LEASE_LONGEST, OFFER_LONGEST};
use super::*;

const LEASE: Duration = Duration::from_secs(60);
const EPOCH: Epoch = Epoch(7);
const TERMS: Terms = Terms { lease: LEASE, consumers_max: 2 };
const ACKNOWLEDGED: Answer = Answer::Consumer(Word::Acknowledged);

fn items(numbers: &[u8]) -> Vec<ParcelItem> {
    let item = |number: &u8| ParcelItem {
        view: Arc::new(View::new(&CloudEvent {
            id: number.to_string(),
            source: "/s".into(),
            event_type: "t".into(),
            subject: None,
            time: None,
            data_content_type: None,
            data_schema: None,
            extensions: Default::default(),
            data: None,
            is_base64: false,
        })),
        delivery_id: delivery(*number),
        attempt: 1,
        offset: Offset(u64::from(*number)),
        subject_id: SubjectId([0; 16]),
    };
    numbers.iter().map(item).collect()
}

fn delivery(number: u8) -> DeliveryId {
    DeliveryId([number; 16])
}

fn all(word: Word) -> Words {
    Words { items: Vec::new(), rest: Some(word) }
}

fn one(number: u8, word: Word) -> Words {
    Words { items: vec![(delivery(number), word)], rest: None }
}

fn table() -> (Table, Instant) {
    let mut table = Table::new(TERMS);
    table.open(EPOCH);
    (table, Instant::now())
}

fn over(answers: &[Answer]) -> Look {
    Look::Over(Answer::PerItem(answers.to_vec()))
}

fn failed(fault: Fault) -> Answer {
    Answer::Failed(fault)
}

fn take(table: &mut Table, now: Instant) -> Lease {
    table.take(now, usize::MAX).expect("open").expect("something is offered")
}

#[test]
fn the_oldest_offer_goes_to_one_consumer_and_to_no_other() {
    let (mut table, now) = table();
    table.offer(now, items(&[1, 2]));
    table.offer(now, items(&[3]));
    let (first, second) = (take(&mut table, now), take(&mut table, now));
    let ids = |lease: &Lease| lease.items.iter().map(|item| item.delivery_id.0[0]).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![1, 2], vec![3]));
    assert_ne!(first.id, second.id);
    assert!(table.take(now, 9).expect("open").is_none());
}

#[test]
fn every_event_ends_by_its_own_word() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1, 2, 3]));
    let lease = take(&mut table, now).id;
    let retry = Word::Retry(Some(Duration::from_secs(3)));
    assert_eq!(table.answer(now, lease, &one(2, Word::Rejected(Objection::Invalid))), Ok(2));
    assert_eq!(table.look(number, now), Look::Until(now + LEASE));
    assert_eq!(table.answer(now, lease, &one(1, retry)), Ok(1));
    assert_eq!(table.answer(now, lease, &all(Word::Acknowledged)), Ok(0));
    let rejected = Answer::Consumer(Word::Rejected(Objection::Invalid));
    assert_eq!(table.look(number, now), over(&[Answer::Consumer(retry), rejected, ACKNOWLEDGED]));
}

#[test]
fn a_word_after_the_end_of_a_lease_is_refused_and_changes_nothing() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1, 2]));
    let lease = take(&mut table, now).id;
    assert_eq!(table.answer(now, lease, &one(1, Word::Acknowledged)), Ok(1));
    // Nobody has looked since: it is the time that counts.
    let end = now + LEASE;
    assert_eq!(table.answer(end, lease, &all(Word::Acknowledged)), Err(Refused::Ended(lease)));
    assert_eq!(table.extend(end, lease), Err(Refused::Ended(lease)));
    assert_eq!(table.look(number, end), over(&[ACKNOWLEDGED, failed(Fault::LeaseExpired)]));
    assert_eq!(table.answer(now, lease, &all(Word::Acknowledged)), Err(Refused::Ended(lease)));
}

#[test]
fn the_same_events_under_a_later_lease_are_not_answered_by_a_word_on_the_former() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1]));
    let former = take(&mut table, now).id;
    let later = now + LEASE;
    assert!(matches!(table.look(number, later), Look::Over(_)));
    table.offer(later, items(&[1]));
    let lease = take(&mut table, later).id;
    assert_ne!(lease, former);
    assert_eq!(table.answer(later, former, &all(Word::Acknowledged)), Err(Refused::Ended(former)));
    assert_eq!(table.answer(later, lease, &all(Word::Acknowledged)), Ok(0));
}

#[test]
fn a_lease_of_another_epoch_is_told_as_such() {
    let (mut table, now) = table();
    table.offer(now, items(&[1]));
    let lease = take(&mut table, now).id;
    for epoch in [Epoch(6), Epoch(8)] {
        let other = LeaseId { epoch, ..lease };
        let fenced = Refused::Fenced { lease: other, epoch: EPOCH };
        assert_eq!(table.answer(now, other, &all(Word::Acknowledged)), Err(fenced));
        assert_eq!(table.extend(now, other), Err(fenced));
        table.give_back(other);
    }
    assert_eq!(table.answer(now, lease, &all(Word::Acknowledged)), Ok(0));
}

#[test]
fn of_words_that_do_not_fit_none_is_taken() {
    let (mut table, now) = table();
    table.offer(now, items(&[1, 2]));
    let lease = take(&mut table, now).id;
    let acknowledged = Word::Acknowledged;
    let stranger =
        Words { items: vec![(delivery(1), acknowledged), (delivery(9), acknowledged)], rest: None };
    assert_eq!(table.answer(now, lease, &stranger), Err(Refused::NotLeased(delivery(9))));
    assert_eq!(table.answer(now, lease, &one(1, Word::Retry(None))), Ok(1), "nothing was taken before");
    assert_eq!(table.answer(now, lease, &one(1, Word::Retry(None))), Ok(1), "the same word again is no harm");
    assert_eq!(table.answer(now, lease, &one(1, acknowledged)), Err(Refused::Answered(delivery(1))));
}

#[test]
fn what_is_over_a_consumers_bound_is_not_taken_and_not_answered_by_it() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1, 2, 3]));
    let lease = table.take(now, 2).expect("open").expect("offered");
    assert_eq!(lease.items.len(), 2);
    assert_eq!(
        table.answer(now, lease.id, &one(3, Word::Acknowledged)),
        Err(Refused::NotLeased(delivery(3)))
    );
    assert_eq!(table.answer(now, lease.id, &all(Word::Acknowledged)), Ok(0));
    assert_eq!(table.look(number, now), over(&[ACKNOWLEDGED, ACKNOWLEDGED, failed(Fault::NotTaken)]));
}

#[test]
fn an_offer_that_nobody_takes_goes_back_as_if_it_had_not_been_made() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1, 2]));
    assert_eq!(table.look(number, now), Look::Until(now + OFFER_LONGEST));
    let end = now + OFFER_LONGEST;
    assert!(table.take(end, 9).expect("open").is_none(), "an offer at its end is no longer taken");
    assert_eq!(table.look(number, end), over(&[failed(Fault::NotTaken), failed(Fault::NotTaken)]));
}

#[test]
fn a_lease_is_extended_from_now_on_but_not_for_ever() {
    let (mut table, start) = table();
    let (number, _) = table.offer(start, items(&[1]));
    let lease = take(&mut table, start).id;
    let mut now = start;
    while now < start + LEASE_LONGEST - LEASE {
        now += LEASE / 2;
        assert_eq!(table.extend(now, lease), Ok(LEASE.min(start + LEASE_LONGEST - now)));
    }
    now += LEASE / 2;
    assert_eq!(table.extend(now, lease), Ok(LEASE / 2));
    assert_eq!(table.look(number, start + LEASE_LONGEST), over(&[failed(Fault::LeaseExpired)]));
}

#[test]
fn what_is_given_back_may_have_been_processed() {
    let (mut table, now) = table();
    let (number, _) = table.offer(now, items(&[1, 2]));
    let lease = take(&mut table, now).id;
    table.answer(now, lease, &one(1, Word::Acknowledged)).expect("taken");
    table.give_back(lease);
    assert_eq!(table.answer(now, lease, &all(Word::Acknowledged)), Err(Refused::Ended(lease)));
    assert_eq!(table.look(number, now), over(&[ACKNOWLEDGED, failed(Fault::AnswerBroken)]));
}

#[test]
fn a_pause_takes_back_what_is_not_taken_and_leaves_leases_alone() {
    let (mut table, now) = table();
    table.offer(now, items(&[1]));
    let lease = take(&mut table, now).id;
    let (number, _) = table.offer(now, items(&[2]));
    table.withdraw();
    assert!(table.take(now, 9).expect("open").is_none());
    assert_eq!(table.look(number, now), over(&[failed(Fault::NotTaken)]));
    assert_eq!(table.answer(now, lease, &all(Word::Acknowledged)), Ok(0));
}

#[test]
fn closing_leaves_a_moment_for_answers_under_way_and_gives_nothing_more() {
    let (mut table, now) = table();
    let (leased, _) = table.offer(now, items(&[1, 2]));
    let (waiting, _) = table.offer(now, items(&[3]));
    let lease = take(&mut table, now).id;
    table.close(now);
    assert_eq!(table.look(waiting, now), over(&[failed(Fault::NotTaken)]));
    assert_eq!(table.take(now, 9).err(), Some(Refused::Closed));
    assert_eq!(table.enter(), Err(Refused::Closed));
    assert_eq!(table.answer(now, lease, &one(1, Word::Acknowledged)), Ok(1));
    assert_eq!(table.extend(now, lease), Ok(CLOSING), "a closing mailbox extends nothing");
    assert_eq!(table.look(leased, now), Look::Until(now + CLOSING));
    assert_eq!(table.look(leased, now + CLOSING), over(&[ACKNOWLEDGED, failed(Fault::LeaseExpired)]));
    let (late, _) = table.offer(now, items(&[4]));
    assert_eq!(table.look(late, now), over(&[failed(Fault::NotTaken)]));
}

#[test]
fn a_lease_has_one_name_and_no_other_text_is_one() {
    let lease = LeaseId { epoch: Epoch(3), number: 41 };
    assert_eq!(lease.to_string(), "3.41");
    assert_eq!("3.41".parse(), Ok(lease));
    for text in ["", "3", "3.", ".41", "3.41.1", "+3.41", "03.41", "3.041", "3.-1", "99999999999999999999.1"]
    {
        assert!(text.parse::<LeaseId>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn as_many_consumers_come_in_as_may_and_leaving_makes_room() {
    let mailbox = Arc::new(Mailbox::new(TERMS));
    let first = mailbox.enter().expect("room");
    let _second = mailbox.enter().expect("room");
    assert_eq!(mailbox.enter().err(), Some(Refused::Crowded(2)));
    drop(first);
    assert!(mailbox.enter().is_ok());
}

#[tokio::test]
async fn a_consumer_that_waits_gets_what_is_offered_next_and_the_offer_gets_its_word() {
    let mailbox = Arc::new(Mailbox::new(TERMS));
    let consumer = mailbox.enter().expect("room");
    let mut context = Context::from_waker(Waker::noop());
    let mut taking = pin!(consumer.take(9, LEASE));
    assert!(taking.as_mut().poll(&mut context).is_pending());
    let mut offer = pin!(mailbox.offer(items(&[1])));
    assert!(offer.as_mut().poll(&mut context).is_pending());
    let Poll::Ready(Ok(Some(lease))) = taking.as_mut().poll(&mut context) else { panic!("not woken") };
    assert_eq!(mailbox.answer(lease.id, &all(Word::Acknowledged)), Ok(0));
    assert_eq!(offer.as_mut().poll(&mut context), Poll::Ready(Answer::PerItem(vec![ACKNOWLEDGED])));
}

#[tokio::test]
async fn nobody_is_kept_longer_than_it_wants_to_wait() {
    let mailbox = Arc::new(Mailbox::new(TERMS));
    let consumer = mailbox.enter().expect("room");
    assert!(consumer.take(9, Duration::ZERO).await.expect("open").is_none());
}

#[tokio::test]
async fn the_end_of_a_lease_is_noticed_when_it_comes() {
    let short = Terms { lease: Duration::from_millis(1), ..TERMS };
    let mailbox = Arc::new(Mailbox::new(short));
    let consumer = mailbox.enter().expect("room");
    let mut context = Context::from_waker(Waker::noop());
    let mut offer = pin!(mailbox.offer(items(&[1])));
    assert!(offer.as_mut().poll(&mut context).is_pending());
    consumer.take(9, LEASE).await.expect("open").expect("offered");
    let answer =
        tokio::time::timeout(OFFER_LONGEST / 2, offer).await.expect("with the lease, not with the offer");
    assert_eq!(answer, Answer::PerItem(vec![failed(Fault::LeaseExpired)]));
}

#[tokio::test]
async fn closing_wakes_every_consumer() {
    let mailbox = Arc::new(Mailbox::new(TERMS));
    let consumer = mailbox.enter().expect("room");
    let mut context = Context::from_waker(Waker::noop());
    let mut taking = pin!(consumer.take(9, LEASE));
    assert!(taking.as_mut().poll(&mut context).is_pending());
    mailbox.close();
    assert!(matches!(taking.as_mut().poll(&mut context), Poll::Ready(Err(Refused::Closed))));
}

#[tokio::test]
async fn an_offer_that_is_dropped_takes_its_lease_with_it() {
    let mailbox = Arc::new(Mailbox::new(TERMS));
    let consumer = mailbox.enter().expect("room");
    let mut context = Context::from_waker(Waker::noop());
    let mut offer = Box::pin(mailbox.offer(items(&[1])));
    assert!(offer.as_mut().poll(&mut context).is_pending());
    let lease = consumer.take(9, LEASE).await.expect("open").expect("offered").id;
    let mut ended = pin!(consumer.ended(lease));
    assert!(ended.as_mut().poll(&mut context).is_pending());
    drop(offer);
    assert!(ended.as_mut().poll(&mut context).is_ready());
    assert_eq!(mailbox.answer(lease, &all(Word::Acknowledged)), Err(Refused::Ended(lease)));
}
