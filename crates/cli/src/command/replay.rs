//! `writ replay`: deliver a stretch of the log to one subscriber again, beside its live lane, under the same
//! delivery ids. Shows the plan first; `--yes` starts it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The subscriber; without it the running replays are listed
    subscriber: Option<String>,
    #[command(flatten)]
    config: ConfigPath,
    /// First offset
    #[arg(long, conflicts_with = "from_time")]
    from_offset: Option<u64>,
    /// First time, RFC 3339
    #[arg(long)]
    from_time: Option<String>,
    /// First offset after the stretch; the log's end if not given
    #[arg(long)]
    to_offset: Option<u64>,
    /// Events a second at most
    #[arg(long)]
    rate: Option<u32>,
    /// Cancel the replay of this id
    #[arg(long)]
    cancel: Option<String>,
    /// Start it; without this only the plan is shown
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let scope = if arguments.subscriber.is_some() || arguments.cancel.is_some() {
        Scope::Operate
    } else {
        Scope::Read
    };
    let client = Client::new(&loaded, scope)?;
    let answer = match (&arguments.cancel, &arguments.subscriber) {
        (Some(id), _) => client.delete(&format!("/v1/replays/{id}")).await?,
        (None, Some(subscriber)) => {
            client.post(&format!("/v1/subscribers/{subscriber}/replays"), &request(&arguments)).await?
        }
        (None, None) => client.get("/v1/replays").await?,
    };
    if arguments.json || arguments.subscriber.is_none() {
        println!("{answer:#}");
    } else {
        print(&answer, arguments.yes);
    }
    Ok(ExitCode::SUCCESS)
}

fn request(arguments: &Arguments) -> Value {
    json!({
        "from_offset": arguments.from_offset,
        "from_time": arguments.from_time,
        "to_offset": arguments.to_offset,
        "rate_per_second": arguments.rate,
        "dry_run": !arguments.yes,
    })
}

fn print(plan: &Value, is_started: bool) {
    let verb = if is_started { "replaying" } else { "would replay" };
    println!(
        "{verb} offsets {} to {} to {}",
        plan["from"],
        plan["to"],
        plan["subscriber"].as_str().unwrap_or_default()
    );
    if is_started {
        println!(
            "replay {}; `writ replay` lists it, `writ replay --cancel {0}` stops it",
            plan["id"].as_str().unwrap_or_default()
        );
    } else {
        println!("nothing was sent; add --yes to start");
    }
}
