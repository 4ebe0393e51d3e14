//! Story 1: a customer changes the e-mail address; one subscriber throttles, one is down.

use std::time::{Duration, Instant};

use super::shop::ADA;
use super::stage::Stage;
use super::story::{Outcome, Report, watch};
use crate::exit::Failure;
use crate::sandbox::{Delivery, Receiver};

const NEW: &str = "ada@new.example.org";
const OLD: &str = "ada@example.org";
const LONGEST: Duration = Duration::from_secs(20);

pub(super) async fn tell(stage: &mut Stage, report: &Report) -> Result<Outcome, Failure> {
    let mut story = report.begin(1, "a customer changes the e-mail address");
    stage.throttle_esp(2);
    let changed = Instant::now();
    stage.shop.set(ADA, "email", NEW)?;
    story.happened_at(changed, "UPDATE customers SET email = ... WHERE id = 1");

    let crm = arrival(&stage.crm).await;
    let esp = arrival(&stage.esp).await;
    let refusals = stage.esp.refusals();
    if let Some(crm) = &crm {
        story.happened_at(crm.at, "crm has the new address");
    }
    for refusal in &refusals {
        story.happened_at(*refusal, "esp answers 429, Retry-After: 1; its lane waits, the others do not");
    }
    if let Some(esp) = &esp {
        story.happened_at(esp.at, "esp has the new address");
    }
    let crm_at = crm.as_ref().map(|delivery| delivery.at);
    let took = crm_at.map(|at| at.saturating_duration_since(changed));
    story.claim(
        "crm saw the change while esp throttled",
        crm_before(crm_at, esp.as_ref()),
        format!("{took:?}"),
    );
    story.claim(
        "esp was asked to wait and was waited for",
        refusals.len() >= 2 && waited(&refusals, esp.as_ref()),
        format!("{} refusals, then delivered", refusals.len()),
    );
    let archived = watch(LONGEST, async || stage.archived(crm.as_ref()?).then_some(())).await;
    story.claim("the archive file has it too", archived.is_some(), "one line, the same event id");
    for (name, receiver) in [("crm", &stage.crm), ("esp", &stage.esp)] {
        let (once, ordered) = once_and_in_order(&receiver.deliveries());
        story.claim(
            &format!("{name} saw it once and in order"),
            once && ordered,
            format!("once {once}, ordered {ordered}"),
        );
        story.claim(
            &format!("no message to {name} names the old address after it"),
            quiet(receiver),
            "checked every delivery",
        );
    }
    if let Some(crm) = &crm {
        let trace = stage.trace_until(&crm.event_id, &["archive", "crm", "esp"], LONGEST).await?;
        story.claim(
            "one trace shows its whole life",
            trace.is_some(),
            format!("writ trace {}", crm.event_id),
        );
    }
    let lane = stage.lane("loyalty").await?;
    let breaker = lane["breaker"].as_str().unwrap_or_default().to_owned();
    story.claim(
        "loyalty is down and holds nobody up",
        lane["lag"].as_u64() > Some(0),
        format!("lag {}, breaker {breaker}", lane["lag"]),
    );
    Ok(story.end())
}

async fn arrival(receiver: &Receiver) -> Option<Delivery> {
    watch(LONGEST, async || receiver.deliveries().into_iter().find(|one| one.after("email") == Some(NEW)))
        .await
}

fn crm_before(crm: Option<Instant>, esp: Option<&Delivery>) -> bool {
    matches!((crm, esp), (Some(crm), Some(esp)) if crm < esp.at)
}

/// The delivery came no earlier than a second after the last refusal, as the subscriber had asked.
fn waited(refusals: &[Instant], delivered: Option<&Delivery>) -> bool {
    let asked = Duration::from_secs(1);
    match (refusals.last(), delivered) {
        (Some(last), Some(delivered)) => delivered.at.saturating_duration_since(*last) >= asked,
        _ => false,
    }
}

/// No delivery id twice, no event id twice, sequences of the subject ascending.
pub(super) fn once_and_in_order(deliveries: &[Delivery]) -> (bool, bool) {
    let mut ids: Vec<&str> = deliveries.iter().map(|one| one.event_id.as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    let mut last = std::collections::BTreeMap::new();
    let ordered = deliveries.iter().all(|one| {
        let before = last.insert(one.subject.as_str(), one.sequence.as_str());
        before.is_none_or(|before| before <= one.sequence.as_str())
    });
    (ids.len() == all, ordered)
}

/// After the new address, nothing says that the present address is the old one.
fn quiet(receiver: &Receiver) -> bool {
    let deliveries = receiver.deliveries();
    let mut after = deliveries.iter().skip_while(|one| one.after("email") != Some(NEW));
    after.all(|one| one.after("email") != Some(OLD) || one.subject != "customer/1")
}
