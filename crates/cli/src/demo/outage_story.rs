//! Story 5: a subscriber is dead throughout, the engine is killed twice, the log fills up: nothing is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use super::email_story::once_and_in_order;
use super::stage::Stage;
use super::story::{Outcome, Report, Telling, watch};
use crate::exit::Failure;
use crate::sandbox::{Delivery, Receiver};

/// Customers that are added while things fail.
const CUSTOMERS: i64 = 300;
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn tell(stage: &mut Stage, report: &Report) -> Result<Outcome, Failure> {
    let mut story = report.begin(5, "an outage: a dead subscriber, two kills, a full log");
    let third = CUSTOMERS / 3;
    kill_at_work(stage, 0..third).await?;
    story.happened("loyalty is dead; the engine is killed with SIGKILL while it works");
    stage.start(None).await?;
    story.happened("the engine is started again");
    kill_at_work(stage, third..2 * third).await?;
    story.happened("and killed again");
    fill_up(stage, &mut story, 2 * third..CUSTOMERS).await?;
    let outbox = watch(LONGEST, async || stage.shop.outbox_rows().ok().filter(|rows| *rows == 0)).await;
    story.claim(
        "the source holds nothing back for the dead subscriber",
        outbox.is_some(),
        "its change table is empty while loyalty is still dead",
    );
    stage.loyalty.come_up().await?;
    story.happened("loyalty comes up again");
    let expected: BTreeSet<String> = (0..CUSTOMERS).map(address).collect();
    for name in ["crm", "esp", "loyalty"] {
        let all = watch(LONGEST, async || has_all(stage.receiver(name), &expected).then_some(())).await;
        story.claim(
            &format!("{name} has every one of {CUSTOMERS} changes"),
            all.is_some(),
            counts(stage.receiver(name)),
        );
        check_order(&mut story, name, stage.receiver(name));
    }
    Ok(story.end())
}

/// Adds customers and kills the engine when a few of them, and not yet all, have arrived at crm.
async fn kill_at_work(stage: &mut Stage, customers: std::ops::Range<i64>) -> Result<(), Failure> {
    const A_FEW: usize = 5;
    let before = stage.crm.deliveries().len();
    let half = customers.start + (customers.end - customers.start) / 2;
    add(stage, customers.start..half)?;
    watch(LONGEST, async || (stage.crm.deliveries().len() >= before + A_FEW).then_some(())).await;
    add(stage, half..customers.end)?;
    stage.kill().await
}

/// Starts with a bound on the log that the next changes exceed, then lifts it.
async fn fill_up(
    stage: &mut Stage,
    story: &mut Telling<'_>,
    customers: std::ops::Range<i64>,
) -> Result<(), Failure> {
    stage.start(Some(stage.log_bytes()? + 4096)).await?;
    add(stage, customers)?;
    story.happened("started with room for 4 KiB more: the log fills up");
    let refused = watch(LONGEST, async || {
        let error = stage.source_error().await?;
        error.contains("WRIT-5001").then_some(error)
    })
    .await;
    story.claim(
        "a full log is one clear error, and the source waits",
        refused.is_some(),
        refused.unwrap_or_else(|| "no WRIT-5001 was seen".to_owned()),
    );
    stage.stop().await?;
    stage.start(None).await?;
    story.happened("room is made; the engine goes on by itself");
    Ok(())
}

fn add(stage: &Stage, customers: std::ops::Range<i64>) -> Result<(), Failure> {
    customers.into_iter().try_for_each(|number| stage.shop.add(1000 + number, &address(number)))
}

fn address(number: i64) -> String {
    format!("customer{number}@example.net")
}

fn has_all(receiver: &Receiver, expected: &BTreeSet<String>) -> bool {
    let deliveries = receiver.deliveries();
    let seen: BTreeSet<&str> = deliveries.iter().filter_map(|one| one.after("email")).collect();
    expected.iter().all(|address| seen.contains(address.as_str()))
}

fn counts(receiver: &Receiver) -> String {
    let deliveries = receiver.deliveries();
    let ids: BTreeSet<&str> = deliveries.iter().map(|one| one.event_id.as_str()).collect();
    format!("{} deliveries of {} events", deliveries.len(), ids.len())
}

/// At-least-once: a kill may repeat a delivery, under the same delivery id; without the repeats the order per
/// customer holds.
fn check_order(story: &mut Telling<'_>, name: &str, receiver: &Receiver) {
    let deliveries = receiver.deliveries();
    let mut ids = std::collections::BTreeMap::new();
    let stable = deliveries.iter().all(|one| {
        let id = ids.entry(one.event_id.clone()).or_insert_with(|| one.delivery_id.clone());
        *id == one.delivery_id
    });
    let mut seen = BTreeSet::new();
    let first: Vec<Delivery> =
        deliveries.into_iter().filter(|one| seen.insert(one.event_id.clone())).collect();
    let (_, ordered) = once_and_in_order(&first);
    story.claim(
        &format!("{name}: repeats carry the same delivery id, order per customer holds"),
        stable && ordered,
        format!("stable {stable}, ordered {ordered}"),
    );
}
