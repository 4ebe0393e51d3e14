//! The two examples as processes of their own, against a real engine, killed between their effect and its
//! acknowledgement: their own records show that each effect happened once.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

mod stage;

use stage::Stage;
use stage::process::Process;
use stage::proxy::{Proxy, Swallows};

/// Kills in each test.
const KILLS: usize = 4;
const EVENTS: usize = 24;
const SUBJECTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_consumer_that_is_killed_before_it_acknowledges_applies_each_event_once() {
    let mut stage = Stage::empty();
    stage.start_pulled().await;
    stage.push(EVENTS, SUBJECTS).await;
    let mut proxy = Proxy::start(stage.api(), Swallows::Requests).await;
    for _ in 0..KILLS {
        proxy.swallow(true);
        let mut consumer = Process::consumer(&stage, proxy.address());
        // It acknowledges, so its effects are committed; the engine never hears of it.
        proxy.swallowed().await;
        consumer.kill().await;
    }
    proxy.swallow(false);
    let mut consumer = Process::consumer(&stage, proxy.address());
    stage.settled(EVENTS).await;
    consumer.kill().await;
    stage.each_effect_happened_once(EVENTS, SUBJECTS);
    assert!(stage.repeats() > 0, "nothing came twice, so nothing was shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_receiver_that_is_killed_before_it_answers_applies_each_event_once() {
    let mut stage = Stage::empty();
    let mut receiver = Process::webhook_receiver(&stage).await;
    let mut proxy = Proxy::start(receiver.address(), Swallows::Answers).await;
    stage.start_webhook(proxy.address()).await;
    stage.push(EVENTS, SUBJECTS).await;
    for _ in 0..KILLS {
        proxy.swallow(true);
        // It has answered, so its effect is committed; the engine never hears of it.
        proxy.swallowed().await;
        receiver.kill().await;
        receiver = Process::webhook_receiver(&stage).await;
        proxy.lead_to(receiver.address());
    }
    proxy.swallow(false);
    stage.settled(EVENTS).await;
    receiver.kill().await;
    stage.each_effect_happened_once(EVENTS, SUBJECTS);
    assert!(stage.repeats() > 0, "nothing came twice, so nothing was shown");
}
