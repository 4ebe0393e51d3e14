//! Story 2: an erasure over six recipients, each with a behaviour of its own. It is fulfilled only when policy says so;
//! the person who comes back survives a replay of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::Stage;
use super::story::{Outcome, Report, Telling, watch};
use crate::exit::Failure;
use crate::sandbox::{Behaviour, Delivery};

/// The customer who asks to be erased.
const EVE: i64 = 700;

const LONGEST: Duration = Duration::from_secs(30);

/// Long enough to see that nothing happens.
const A_WHILE: Duration = Duration::from_millis(600);

const RECIPIENTS: [&str; 6] = ["archive", "crm", "dialer", "esp", "loyalty", "sms"];

pub(super) async fn tell(stage: &mut Stage, report: &Report) -> Result<Outcome, Failure> {
    let mut story =
        report.begin(2, "an erasure reaches every recipient, or an approved exception says why not");
    let Some(subject) = known(stage, &mut story).await? else { return Ok(story.end()) };
    stage.loyalty.go_down();
    stage.sms.behave(Behaviour::AlreadyGone);
    stage.dialer.behave(Behaviour::Accepting);
    stage.esp.behave(Behaviour::SuppressFirst);
    story.happened(
        "loyalty is down; sms has erased her already; dialer answers 202; esp erases whom it suppresses",
    );
    let Some(case) = opened(stage, &mut story, &subject).await? else { return Ok(story.end()) };
    act(stage, &case, "verify", "she answered the letter").await?;
    story.happened("who asks is verified");
    told(stage, &mut story, &case).await?;
    word_and_exception(stage, &mut story, &case).await?;
    fulfilled(stage, &mut story, &case).await?;
    comes_back(stage, &mut story, &subject).await?;
    [Behaviour::Healthy; 3].into_iter().zip(["sms", "dialer", "esp"]).for_each(|(how, name)| {
        stage.receiver(name).behave(how);
    });
    Ok(story.end())
}

/// Adds the customer and waits until data of her went to all six. Gives her subject.
async fn known(stage: &Stage, story: &mut Telling<'_>) -> Result<Option<String>, Failure> {
    stage.shop.add(EVE, "eve@example.org")?;
    stage.shop.set(EVE, "tier", "gold")?;
    let arrived = watch(LONGEST, async || of_eve(stage, "crm", "email")).await;
    let Some(delivery) = arrived else {
        story.claim("a customer is known", false, "nothing of her arrived at crm");
        return Ok(None);
    };
    let subject = delivery.partition_key;
    let path = format!("/v1/subjects/{subject}/recipients");
    let all = watch(LONGEST, async || {
        let known = stage.api.get(&path).await.ok()?;
        names(&known["disclosed_to"]).eq(RECIPIENTS).then_some(known)
    })
    .await;
    story.claim(
        "the ledger knows all six to whom data of her went",
        all.is_some(),
        all.map_or_else(|| "not all six".to_owned(), |known| known["disclosed_to"].to_string()),
    );
    Ok(Some(subject))
}

/// Opens the case; nothing is sent before who asks is verified.
async fn opened(stage: &Stage, story: &mut Telling<'_>, subject: &str) -> Result<Option<String>, Failure> {
    let request = json!({
        "right": "erasure",
        "subject": subject,
        "law": "gdpr",
        "received_at": jiff::Timestamp::now().to_string(),
        "zone": "Europe/Vienna",
        "intake": "letter",
        "reference": "2026-118",
        "observe": "1s",
        "note": "by letter",
    });
    let case = stage.api.post("/v1/cases", &request).await?;
    let again = stage.api.post("/v1/cases", &request).await?;
    let id = case["id"].as_str().unwrap_or_default().to_owned();
    story.happened(&format!("{id} is opened: Art. 17 GDPR"));
    story.claim("the same letter opens one case", again["id"] == case["id"], format!("{} twice", case["id"]));
    let clocks = case["clocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let day = |clock: &Value, which: &str| clock[which]["day"].as_str().unwrap_or("none").to_owned();
    let dates: Vec<String> = clocks
        .iter()
        .map(|clock| {
            let (duty, law) = (clock["duty"].as_str().unwrap_or_default(), clock["citation"].as_str());
            let (legal, policy) = (day(clock, "legal"), day(clock, "policy"));
            format!("{duty} ({}): legal {legal}, policy {policy}", law.unwrap_or_default())
        })
        .collect();
    // Article 19 sets no date for telling recipients: none is made up.
    let has_both = clocks.iter().any(|clock| clock["legal"].is_object())
        && clocks.iter().any(|clock| clock["legal"].is_null() && clock["duty"] == "tell-recipients");
    story.claim("each duty has the dates that the law gives, and no other", has_both, dates.join("; "));
    tokio::time::sleep(A_WHILE).await;
    let is_quiet = RECIPIENTS[1..].iter().all(|name| erasures(stage, name) == 0);
    story.claim(
        "nothing is sent before who asks is verified",
        is_quiet,
        format!("for {} ms", A_WHILE.as_millis()),
    );
    Ok((!id.is_empty()).then_some(id))
}

/// What each recipient did with it, as far as each can get.
async fn told(stage: &Stage, story: &mut Telling<'_>, case: &str) -> Result<(), Failure> {
    let expected = [
        ("crm", "outcome_reported", "says that it is done"),
        ("esp", "outcome_reported", "was told to suppress, and then to erase"),
        ("sms", "outcome_reported", "says that she is gone already, and that is as good"),
        ("dialer", "received", "has the request: a receipt is not an erasure"),
        ("archive", "received", "has the request, and cannot take lines out of a file"),
        ("loyalty", "sent", "is down"),
    ];
    for (name, state, what) in expected {
        let so = until(stage, case, |case| (case["recipients"][name]["state"] == state).then_some(())).await;
        let seen = stage.api.get(&format!("/v1/cases/{case}")).await?;
        let seen = format!("{}, {}", seen["recipients"][name]["state"], seen["recipients"][name]["grade"]);
        story.claim(&format!("{name} {what}"), so.is_some(), seen);
    }
    let order: Vec<String> =
        stage.esp.deliveries().iter().filter(|one| one.subject == eve()).map(kind).collect();
    let at = |kind: &str| order.iter().position(|one| one == kind);
    let is_so = at("suppression").is_some_and(|first| at("erasure").is_some_and(|then| first < then));
    story.claim("esp heard of the suppression first", is_so, order.join(", "));
    let seen = stage.api.get(&format!("/v1/cases/{case}")).await?;
    story.claim(
        "so the case is not fulfilled, and says why",
        seen["state"] == "dispatched" && seen["why"].is_string(),
        seen["why"].as_str().unwrap_or("no reason"),
    );
    Ok(())
}

/// dialer signs what came of it; the archive is excepted, by two persons.
async fn word_and_exception(stage: &Stage, story: &mut Telling<'_>, case: &str) -> Result<(), Failure> {
    let path = format!("/v1/cases/{case}/recipients/dialer");
    let statement = stage.api.get(&format!("{path}/statement?outcome=completed")).await?;
    let signature = stage.sign_as_dialer(statement["statement"].as_str().unwrap_or_default());
    let forged = json!({ "outcome": "not_found", "signature": signature, "note": "by its API" });
    let refused = stage.api.post(&format!("{path}/reports"), &forged).await.err();
    story.claim(
        "a signature over another outcome is refused",
        refused.as_ref().is_some_and(|error| error.to_string().contains("WRIT-9012")),
        refused.map_or_else(|| "it was taken".to_owned(), |error| error.to_string()),
    );
    let report = json!({ "outcome": "completed", "signature": signature, "note": "by its API" });
    let seen = stage.api.post(&format!("{path}/reports"), &report).await?;
    let dialer = &seen["recipients"]["dialer"];
    story.claim(
        "dialer's signed word is evidence",
        dialer["state"] == "outcome_evidenced" && dialer["grade"] == "E4",
        format!("{}, {}", dialer["state"], dialer["grade"]),
    );
    let path = format!("/v1/cases/{case}/recipients/archive/exception");
    let until = jiff::Timestamp::now().saturating_add(jiff::SignedDuration::from_hours(24 * 30));
    let asked = json!({ "until": until.unwrap_or_default().to_string(), "note": "sealed; shredded with its medium in 30 days" });
    stage.api.post(&path, &asked).await?;
    let approval = json!({ "note": "seen and agreed" });
    let alone = stage.api.post(&format!("{path}/approve"), &approval).await.err();
    story.claim(
        "nobody approves an exception of their own",
        alone.as_ref().is_some_and(|error| error.to_string().contains("WRIT-9011")),
        alone.map_or_else(|| "it was taken".to_owned(), |error| error.to_string()),
    );
    stage.counsel.post(&format!("{path}/approve"), &approval).await?;
    let excepted = until_state(stage, case, "archive", "excepted").await;
    story.claim(
        "counsel approves it; it ends by itself",
        excepted.is_some(),
        excepted.map_or_else(
            || "it does not count".to_owned(),
            |case| case["recipients"]["archive"]["exception"]["until"].to_string(),
        ),
    );
    Ok(())
}

/// loyalty comes up; the case is fulfilled then and not before, the keys go, the person is told.
async fn fulfilled(stage: &mut Stage, story: &mut Telling<'_>, case: &str) -> Result<(), Failure> {
    let waits = stage.api.get(&format!("/v1/cases/{case}")).await?;
    story.claim(
        "it waits for loyalty alone",
        waits["state"] == "dispatched" && waits["settled"]["recipients"] == 5,
        format!(
            "{}; {} of {} are where policy demands",
            waits["why"], waits["settled"]["recipients"], waits["settled"]["of"]
        ),
    );
    stage.loyalty.come_up().await?;
    story.happened("loyalty comes up again");
    let done = until(stage, case, |case| (case["state"] == "fulfilled").then(|| case.clone())).await;
    let is_late = done.as_ref().and_then(|case| case["clocks"].as_array()).is_none_or(|clocks| {
        clocks.iter().any(|clock| {
            ["at_risk", "overdue", "met_late"].contains(&clock["standing"].as_str().unwrap_or_default())
        })
    });
    story.claim(
        "the case is fulfilled, inside every date",
        done.is_some() && !is_late,
        done.as_ref().map_or_else(
            || "it is not".to_owned(),
            |case| format!("all six, the least grade {}; {}", case["grade"], case["fulfilled_at"]),
        ),
    );
    act(stage, case, "answer", "letter of the same day").await?;
    let closed = until(stage, case, |case| (case["state"] == "closed").then(|| case.clone())).await;
    let saga = stage.api.get(&format!("/v1/sagas/{}", case.replace("case-", "saga-"))).await?;
    story.claim(
        "the keys are destroyed when the time to notice a mistake is over, and the case is closed when she was told",
        closed.is_some() && saga["state"] == "done",
        format!("{}; saga {}", closed.map_or(Value::Null, |case| case["answered"]["at"].clone()), saga["state"]),
    );
    Ok(())
}

/// She comes back: not by herself, only for a new reason; and no replay of the erasure reaches her new life.
async fn comes_back(stage: &Stage, story: &mut Telling<'_>, subject: &str) -> Result<(), Failure> {
    stage.shop.set(EVE, "email", "eve@restored.example")?;
    let held = watch(LONGEST, async || {
        let withheld = stage.api.get("/v1/withheld?limit=1000").await.ok()?;
        let of_her = |one: &&Value| one["subject_id"] == subject && one["withheld"] == "held";
        withheld["withheld"].as_array()?.iter().find(of_her).cloned()
    })
    .await;
    story.claim(
        "a change of hers that reappears is held",
        held.is_some(),
        held.map_or_else(|| "it was not".to_owned(), |one| one["reason"].to_string()),
    );
    let basis = json!({ "basis": "consent", "evidence": "form 4711 of today" });
    let again = stage.api.post(&format!("/v1/subjects/{subject}/readmit"), &basis).await?;
    story.happened(&format!("she is a customer again, by consent: generation {}", again["generation"]));
    stage.shop.set(EVE, "email", "eve@example.net")?;
    let arrived =
        watch(LONGEST, async || stage.crm.find(|one| one.after("email") == Some("eve@example.net"))).await;
    story.claim("her changes are delivered again", arrived.is_some(), "at crm");
    let before = erasures(stage, "crm");
    let order = json!({ "subscriber": "crm", "subjects": [subject], "change_types": ["erasure"], "ids": "new-id", "rate_per_second": "max" });
    let replay = stage.api.post("/v1/replays", &order).await?;
    let path = format!("/v1/replays/{}", replay["id"].as_str().unwrap_or_default());
    let ended = watch(LONGEST, async || {
        let replay = stage.api.get(&path).await.ok()?;
        (replay["state"] == "done").then_some(replay)
    })
    .await;
    let is_kept = ended.as_ref().is_some_and(|replay| replay["withheld"] == 1 && replay["delivered"] == 0);
    story.claim(
        "a replay of the old erasure does not reach her new life",
        is_kept && erasures(stage, "crm") == before,
        ended.map_or_else(
            || "it did not end".to_owned(),
            |replay| {
                format!(
                    "selected {}, withheld {}, delivered {}",
                    replay["selected"], replay["withheld"], replay["delivered"]
                )
            },
        ),
    );
    Ok(())
}

async fn act(stage: &Stage, case: &str, act: &str, note: &str) -> Result<Value, Failure> {
    stage.api.post(&format!("/v1/cases/{case}/acts"), &json!({ "act": act, "note": note })).await
}

async fn until<T>(stage: &Stage, case: &str, is_so: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let path = format!("/v1/cases/{case}");
    watch(LONGEST, async || stage.api.get(&path).await.ok().and_then(|case| is_so(&case))).await
}

async fn until_state(stage: &Stage, case: &str, recipient: &str, state: &str) -> Option<Value> {
    until(stage, case, |case| (case["recipients"][recipient]["state"] == state).then(|| case.clone())).await
}

fn eve() -> String {
    format!("customer/{EVE}")
}

/// The change type of a delivery.
fn kind(delivery: &Delivery) -> String {
    delivery.event_type.split('.').nth(2).unwrap_or_default().to_owned()
}

fn of_eve(stage: &Stage, receiver: &str, what: &str) -> Option<Delivery> {
    stage.receiver(receiver).find(|one| one.subject == eve() && kind(one) == what)
}

/// How often a receiver took an erasure of hers.
fn erasures(stage: &Stage, receiver: &str) -> usize {
    let taken = stage.receiver(receiver).deliveries();
    taken.iter().filter(|one| one.subject == eve() && kind(one) == "erasure").count()
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
