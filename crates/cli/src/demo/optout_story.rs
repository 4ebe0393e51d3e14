//! Story 3: an opt-out of marketing SMS overtakes a hundred thousand profile updates that wait for slow receivers.

use std::time::{Duration, Instant};

use writ_statutes::deadline::{Acts, Dated, Question, answer};

use super::shop::ADA;
use super::stage::Stage;
use super::story::{Outcome, Report, Telling, watch};
use crate::command::deadline;
use crate::exit::Failure;
use crate::sandbox::{Behaviour, Delivery};

/// Members of the loyalty programme, each of whom is updated so often.
const MEMBERS: i64 = 500;
const ROUNDS: i64 = 212;

/// Updates that wait at each list when somebody opts out, at least.
const WAITING_MIN: u64 = 100_000;

/// How long each list takes over a request of up to a hundred events, while they queue up.
const SLOW: Duration = Duration::from_millis(700);
const LONGEST: Duration = Duration::from_secs(300);

/// The receivers that keep a suppression list.
const LISTS: [&str; 2] = ["sms", "dialer"];

pub(super) async fn tell(stage: &mut Stage, report: &Report) -> Result<Outcome, Failure> {
    let mut story = report.begin(3, "an opt-out of marketing SMS overtakes what waits");
    LISTS.iter().for_each(|list| stage.receiver(list).behave(Behaviour::Slow(SLOW)));
    let before = LISTS.map(|list| stage.receiver(list).arrived());
    let updates = stage.shop.update_members(MEMBERS, ROUNDS)?;
    story.happened(&format!(
        "{updates} profile updates are written; sms and dialer take {SLOW:?} for a hundred"
    ));
    let taken = watch(LONGEST, async || stage.shop.outbox_rows().ok().filter(|rows| *rows == 0)).await;
    story.claim("all of them are in the log", taken.is_some(), "the shop's change table is empty");

    let (changed, received) = (Instant::now(), jiff::Timestamp::now());
    let waiting: Vec<u64> = LISTS
        .iter()
        .zip(before)
        .map(|(list, before)| updates.saturating_sub(stage.receiver(list).arrived() - before))
        .collect();
    stage.shop.set(ADA, "sms_status", "withdrawn")?;
    story.happened_at(changed, "UPDATE customers SET sms_status = 'withdrawn' WHERE id = 1");
    for ((list, waiting), before) in LISTS.iter().zip(waiting).zip(before) {
        let arrived = watch(LONGEST, async || opted_out(stage, list)).await;
        check_overtaking(&mut story, list, &Overtaking { arrived, waiting, updates, before, changed });
    }
    acknowledged(stage, &mut story).await?;
    in_time(&mut story, received)?;
    LISTS.iter().for_each(|list| stage.receiver(list).behave(Behaviour::Healthy));
    story.happened("sms and dialer answer at once again");
    for (list, before) in LISTS.iter().zip(before) {
        let expected = before + updates + 1;
        let all = watch(LONGEST, async || (stage.receiver(list).arrived() >= expected).then_some(())).await;
        let arrived = stage.receiver(list).arrived();
        story.claim(
            &format!("{list} has every update in the end"),
            all.is_some(),
            format!("{} of {} events", arrived - before, updates + 1),
        );
    }
    Ok(story.end())
}

fn opted_out(stage: &Stage, list: &str) -> Option<Delivery> {
    stage.receiver(list).find(|one| one.after("status") == Some("withdrawn"))
}

/// What one list saw of it.
struct Overtaking {
    arrived: Option<Delivery>,
    /// Updates that waited when the customer opted out.
    waiting: u64,
    updates: u64,
    /// Events that had arrived before the story.
    before: u64,
    changed: Instant,
}

fn check_overtaking(story: &mut Telling<'_>, list: &str, seen: &Overtaking) {
    let Overtaking { arrived, waiting, updates, before, changed } = seen;
    story.claim(
        &format!("{WAITING_MIN} updates and more wait for {list}"),
        *waiting >= WAITING_MIN,
        format!("{waiting} waited"),
    );
    let place =
        arrived.as_ref().map(|one| (one.position - before, one.at.saturating_duration_since(*changed)));
    if let Some(one) = arrived {
        story.happened_at(one.at, &format!("{list} has the opt-out"));
    }
    // What was under way when the customer opted out has gone before it: two requests of a hundred at most.
    let overtook = place.map(|(position, _)| (updates + 1).saturating_sub(position));
    story.claim(
        &format!("the opt-out goes before them at {list}"),
        overtook.is_some_and(|overtook| overtook + 200 >= *waiting),
        match place {
            Some((position, took)) => format!(
                "arrival {position} of {}, {} ms after the change, before {} updates",
                updates + 1,
                took.as_millis(),
                overtook.unwrap_or_default()
            ),
            None => "it did not arrive".to_owned(),
        },
    );
}

/// Every list has acknowledged it while updates of before it still wait.
async fn acknowledged(stage: &Stage, story: &mut Telling<'_>) -> Result<(), Failure> {
    let Some(delivery) = opted_out(stage, LISTS[0]) else { return Ok(()) };
    let trace = stage.trace_until(&delivery.event_id, &LISTS, LONGEST).await?;
    let mut lags = Vec::new();
    for list in LISTS {
        lags.push(stage.lane(list).await?["lag"].as_u64().unwrap_or_default());
    }
    story.claim(
        "both suppression lists have acknowledged it while the updates still wait",
        trace.is_some() && lags.iter().all(|lag| *lag > WAITING_MIN),
        format!("writ trace {}; lanes behind by {lags:?} offsets", delivery.event_id),
    );
    Ok(())
}

/// What the statute table says of an opt-out that was received then; whether the lists had it by the operator's date.
fn in_time(story: &mut Telling<'_>, received: jiff::Timestamp) -> Result<(), Failure> {
    let table = deadline::table(None)?;
    let law = table.law("tcpa").map_err(deadline::unknown)?;
    let duty = law.duty("stop").map_err(deadline::unknown)?;
    let (zone, calendar) = (None, None);
    let question =
        Question { law, duty, right: None, start: received, zone, calendar, acts: Acts::default() };
    let answer = answer(&table, &question).map_err(deadline::unanswerable)?;
    let day = |dated: &Dated| {
        dated.moment.as_ref().map_or_else(|| "none".to_owned(), |moment| moment.day().to_string())
    };
    let is_in_time =
        answer.policy.moment.as_ref().is_some_and(|due| jiff::Timestamp::now() < due.over().timestamp());
    story.claim(
        "that is inside the operator's window, half of what the law gives",
        is_in_time,
        format!(
            "{} ({}); clock starts {} in {}; legal date {}, safe {}, policy {}",
            answer.row.citation,
            law.name,
            answer.start.strftime("%Y-%m-%d %H:%M:%S"),
            answer.zone,
            day(&answer.legal),
            day(&answer.safe),
            day(&answer.policy)
        ),
    );
    Ok(())
}
