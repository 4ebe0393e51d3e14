//! `writ saga`: changes of several steps. Each shows its steps first, and is ordered with `--yes`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;
use crate::out::tell;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Tell every subscriber that one record became part of another
    Merge(Merge),
    /// Tell every subscriber that a record came out of another
    Split(Split),
    /// Tell every subscriber to erase a person, and destroy the keys when all have
    Erase(Erase),
    /// List sagas
    List(Common),
    /// Show a saga and its steps
    Show(Show),
    /// Go on without a subscriber until a time
    Except(Except),
    /// Take back what a saga has announced
    Compensate(Compensate),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What every order has.
#[derive(Debug, Args)]
struct Order {
    #[command(flatten)]
    common: Common,
    /// Why; no personal data
    #[arg(long)]
    reason: String,
    /// Do it; without, only the steps are shown
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Merge {
    /// The record that stays: its subject, as events carry it in `partitionkey`
    survivor: String,
    /// The record that goes into it
    absorbed: String,
    #[command(flatten)]
    order: Order,
}

#[derive(Debug, Args)]
struct Split {
    /// The record that stays: its subject, as events carry it in `partitionkey`
    original: String,
    /// The record that comes out of it
    parted: String,
    #[command(flatten)]
    order: Order,
}

#[derive(Debug, Args)]
struct Erase {
    /// Who: the subject, as events carry it in `partitionkey`
    subject: String,
    #[command(flatten)]
    order: Order,
    /// Tell subscribers to suppress before they are told to erase
    #[arg(long)]
    suppress_first: bool,
    /// How long the keys stay when all have erased: time to notice a mistake
    #[arg(long, default_value = "24h")]
    keep_keys: String,
}

#[derive(Debug, Args)]
struct Show {
    /// The saga's id
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Except {
    /// The saga's id
    id: String,
    /// The subscriber that is not waited for
    subscriber: String,
    /// Until when, RFC 3339
    #[arg(long)]
    until: String,
    /// Why; no personal data
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Compensate {
    /// The saga's id
    id: String,
    #[command(flatten)]
    order: Order,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.act {
        Act::Merge(Merge { survivor, absorbed, order }) => {
            let body = json!({ "kind": "merge", "subject": survivor, "other": absorbed });
            ordered(&order, body).await?;
        }
        Act::Split(Split { original, parted, order }) => {
            let body = json!({ "kind": "split", "subject": original, "other": parted });
            ordered(&order, body).await?;
        }
        Act::Erase(Erase { subject, order, suppress_first, keep_keys }) => {
            let body = json!({
                "kind": "erasure",
                "subject": subject,
                "suppress_first": suppress_first,
                "keep_keys": keep_keys,
            });
            ordered(&order, body).await?;
        }
        Act::List(common) => {
            let listed = client(&common, Scope::Read)?.get("/v1/sagas?limit=1000").await?;
            tell(&listed, common.json, lines);
        }
        Act::Show(Show { id, common }) => {
            let saga = client(&common, Scope::Read)?.get(&format!("/v1/sagas/{id}")).await?;
            tell(&saga, common.json, whole);
        }
        Act::Except(Except { id, subscriber, until, reason, common }) => {
            let body = json!({ "subscriber": subscriber, "until": until, "reason": reason });
            let saga =
                client(&common, Scope::Operate)?.post(&format!("/v1/sagas/{id}/except"), &body).await?;
            tell(&saga, common.json, whole);
        }
        Act::Compensate(act) => compensate(&act).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn ordered(order: &Order, mut body: Value) -> Result<(), Failure> {
    body["reason"] = json!(order.reason);
    body["dry_run"] = json!(!order.yes);
    let saga = client(&order.common, Scope::Operate)?.post("/v1/sagas", &body).await?;
    tell(&saga, order.common.json, |saga| planned(saga, order.yes));
    Ok(())
}

/// Without `--yes` it shows what was announced, and so what would be taken back.
async fn compensate(act: &Compensate) -> Result<(), Failure> {
    let Compensate { id, order } = act;
    let saga = if order.yes {
        let body = json!({ "reason": order.reason });
        client(&order.common, Scope::Operate)?.post(&format!("/v1/sagas/{id}/compensate"), &body).await?
    } else {
        client(&order.common, Scope::Read)?.get(&format!("/v1/sagas/{id}")).await?
    };
    tell(&saga, order.common.json, |saga| planned(saga, order.yes));
    Ok(())
}

fn client(common: &Common, scope: Scope) -> Result<Client, Failure> {
    Client::new(&common.config.load()?, scope)
}

fn planned(saga: &Value, is_done: bool) -> String {
    let note = if is_done { "" } else { "\nnothing was done; add --yes to do it" };
    whole(saga) + note
}

/// One saga in a line.
pub(super) fn line(saga: &Value) -> String {
    let text = |name: &str| saga[name].as_str().unwrap_or_default();
    let (id, kind, state, actor, at) = (text("id"), text("kind"), text("state"), text("actor"), text("at"));
    let why = saga["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{id}  {kind}, ordered by {actor} at {at}, {state}{why}")
}

fn lines(listed: &Value) -> String {
    let sagas = listed["sagas"].as_array().map(Vec::as_slice).unwrap_or_default();
    if sagas.is_empty() {
        return "no sagas".to_owned();
    }
    sagas.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn whole(saga: &Value) -> String {
    let steps = saga["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let steps = steps.iter().enumerate().map(|(at, one)| step(at, one));
    let exceptions = saga["exceptions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let exceptions = exceptions.iter().map(|one| {
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        let (who, until, actor) = (text("subscriber"), text("until"), text("actor"));
        format!("  without {who} until {until}, by {actor}: {}", text("reason"))
    });
    [line(saga)].into_iter().chain(steps).chain(exceptions).collect::<Vec<_>>().join("\n")
}

fn step(at: usize, step: &Value) -> String {
    let action = &step["action"];
    let text = |name: &str| action[name].as_str().unwrap_or_default();
    let subject = text("subject");
    let what = match text("do") {
        "destroy" => format!("destroy the keys of {subject} after {} s", action["after_seconds"]),
        _ if action["is_lifted"] == true => format!("announce {} of {subject}, lifted", text("change_type")),
        _ => format!("announce {} of {subject}", text("change_type")),
    };
    let undoes = step["undoes"].as_u64().map(|of| format!(", taking back step {of}")).unwrap_or_default();
    let event = step["event_id"].as_str().map(|id| format!(", event {id}")).unwrap_or_default();
    format!("  step {at}: {what}{undoes}: {}{event}", step["state"].as_str().unwrap_or_default())
}
