//! The contract of subscribers that can be shown without knowing how they talk: bounds, answers, cancelling.
//! That one delivery is one request is shown by each connector against a peer of its own kind.

use std::sync::Arc;

use writ_model::cloudevent::CloudEvent;
use writ_model::delivery::{Answer, Word};
use writ_model::id::{DeliveryId, Epoch, Offset, StoreId, SubjectId};
use writ_model::time::Timestamp;
use writ_schema::cloudevents::View;

use crate::subscriber::{Parcel, ParcelItem, Sender, Subscriber};

/// Deliveries made at the same time.
const CONCURRENT: u8 = 8;

/// Puts a subscriber, whose other side takes everything, through its contract.
///
/// # Panics
/// With what is broken.
pub async fn subscriber(subject: Arc<dyn Subscriber>) {
    subject.check().await.expect("the other side can be reached");
    assert!(subject.batch_max() >= 1, "a request holds an event");
    taken(&subject.deliver(parcel(1, 1)).await);
    taken(&subject.deliver(parcel(2, subject.batch_max())).await);
    taken(&subject.deliver(parcel(1, 1)).await);
    dropping_an_attempt_breaks_nothing(&subject).await;
    attempts_run_side_by_side(&subject).await;
}

fn taken(answer: &Answer) {
    match answer {
        Answer::Durable | Answer::Consumer(Word::Acknowledged) => {}
        Answer::Http(answer) => assert!((200..300).contains(&answer.status), "status {}", answer.status),
        Answer::PerItem(answers) => answers.iter().for_each(taken),
        Answer::Consumer(word) => panic!("not acknowledged: {word:?}"),
        Answer::Failed(fault) => panic!("the attempt failed: {}", fault.as_str()),
    }
}

async fn dropping_an_attempt_breaks_nothing(subject: &Arc<dyn Subscriber>) {
    let mut attempt = subject.deliver(parcel(3, 1));
    std::future::poll_fn(|context| {
        let _early = attempt.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    drop(attempt);
    taken(&subject.deliver(parcel(3, 1)).await);
}

async fn attempts_run_side_by_side(subject: &Arc<dyn Subscriber>) {
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..CONCURRENT {
        let subject = Arc::clone(subject);
        attempts.spawn(async move { subject.deliver(parcel(number, 1)).await });
    }
    while let Some(answer) = attempts.join_next().await {
        taken(&answer.expect("an attempt does not panic"));
    }
}

fn parcel(number: u8, count: usize) -> Parcel {
    let item = |index: usize| {
        let mut id = [number; 16];
        id[8..].copy_from_slice(&(index as u64).to_be_bytes());
        let event = CloudEvent {
            id: format!("{number}-{index}"),
            source: "/writ/contract/suite".to_owned(),
            event_type: "writ.customer.email.v1".to_owned(),
            subject: Some("customer/1".to_owned()),
            time: None,
            data_content_type: None,
            data_schema: None,
            extensions: std::collections::BTreeMap::new(),
            data: Some(
                serde_json::json!({"key": ["1"], "before": null, "after": {"email": "ada@example.org"}}),
            ),
            is_base64: false,
        };
        ParcelItem {
            view: Arc::new(View::new(&event)),
            delivery_id: DeliveryId(id),
            attempt: 1,
            offset: Offset(index as u64),
            subject_id: SubjectId(id),
        }
    };
    Parcel {
        items: (0..count).map(item).collect(),
        at: Timestamp(1_700_000_000_000_000),
        sender: Sender { store: StoreId([7; 8]), epoch: Epoch(1) },
        settled_below: Offset::ZERO,
    }
}
