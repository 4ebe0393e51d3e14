//! `writ hold`: legal holds. A segment of the log with events in a hold's scope stays until the hold is released.

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
    /// Place a hold; everything that is given must hold for an event to be in its scope
    Add(Add),
    /// List the holds that are not released
    List(Common),
    /// Release a hold
    Release(Release),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    common: Common,
    /// The matter's number, as the lawyers know it; no personal data
    #[arg(long)]
    matter: String,
    /// Why; no personal data
    #[arg(long)]
    reason: String,
    /// Events of this subject; may be given several times
    #[arg(long = "subject")]
    subjects: Vec<String>,
    /// Events of this change type; may be given several times
    #[arg(long = "change-type")]
    change_types: Vec<String>,
    /// Events that Writ recorded at this time or later, RFC 3339
    #[arg(long)]
    from_time: Option<String>,
    /// Events that Writ recorded before this time, RFC 3339
    #[arg(long)]
    to_time: Option<String>,
}

#[derive(Debug, Args)]
struct Release {
    /// The hold's id
    id: String,
    #[command(flatten)]
    common: Common,
    /// Why; no personal data
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.act {
        Act::Add(add) => {
            let body = json!({
                "matter": add.matter,
                "reason": add.reason,
                "subjects": add.subjects,
                "change_types": add.change_types,
                "from_time": add.from_time,
                "to_time": add.to_time,
            });
            let hold = client(&add.common, Scope::Operate)?.post("/v1/holds", &body).await?;
            tell(&hold, add.common.json, line);
        }
        Act::List(common) => {
            let listed = client(&common, Scope::Read)?.get("/v1/holds").await?;
            tell(&listed, common.json, lines);
        }
        Act::Release(release) => {
            let path = format!("/v1/holds/{}/release", release.id);
            let body = json!({ "reason": release.reason });
            let released = client(&release.common, Scope::Operate)?.post(&path, &body).await?;
            tell(&released, release.common.json, |_| format!("{} is released", release.id));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn client(common: &Common, scope: Scope) -> Result<Client, Failure> {
    Client::new(&common.config.load()?, scope)
}

fn line(hold: &Value) -> String {
    let text = |name: &str| hold[name].as_str().unwrap_or_default();
    let (id, matter, actor, at) = (text("id"), text("matter"), text("actor"), text("at"));
    format!("{id}  matter {matter}, placed by {actor} at {at}: {}", hold["scope"])
}

fn lines(listed: &Value) -> String {
    let holds = listed["holds"].as_array().map(Vec::as_slice).unwrap_or_default();
    if holds.is_empty() {
        return "no legal holds".to_owned();
    }
    holds.iter().map(line).collect::<Vec<_>>().join("\n")
}
