//! `writ replay`: deliver selected events of the log to one subscriber again, beside its live lane. Starting one
//! counts first what would be sent, and asks; the running ones are listed, shown, paused, slowed and cancelled.

mod follow;
mod start;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use writ_engine::config::Scope;
use writ_model::replay::Speed;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Count what a replay would send, ask, and start it
    Start(Box<start::Arguments>),
    /// List the replays that run and the last that ended
    List(Common),
    /// Show one replay; on a terminal, follow it to its end
    Show(One),
    /// Send nothing new; requests under way end
    Pause(One),
    /// Go on
    Resume(One),
    /// Change how many events a second are sent at most
    Rate(Rate),
    /// End a replay; what it delivered stays delivered
    Cancel(One),
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
struct One {
    /// The replay's id
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Rate {
    #[command(flatten)]
    one: One,
    /// Events a second at most, or `max` for as fast as the subscriber takes them; `limits.replay_rate` if not given
    #[arg(long)]
    per_second: Option<Speed>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.act {
        Act::Start(arguments) => return start::run(*arguments).await,
        Act::List(common) => list(&common).await?,
        Act::Show(one) => show(&one).await?,
        Act::Pause(one) => post(&one, "pause", &json!({})).await?,
        Act::Resume(one) => post(&one, "resume", &json!({})).await?,
        Act::Rate(rate) => post(&rate.one, "rate", &json!({ "rate_per_second": rate.per_second })).await?,
        Act::Cancel(one) => {
            let client = client(&one.common, Scope::Operate)?;
            let answer = client.delete(&format!("/v1/replays/{}", one.id)).await?;
            tell(&answer, one.common.json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn client(common: &Common, scope: Scope) -> Result<Client, Failure> {
    Client::new(&common.config.load()?, scope)
}

async fn list(common: &Common) -> Result<(), Failure> {
    let answer = client(common, Scope::Read)?.get("/v1/replays").await?;
    if common.json {
        println!("{answer:#}");
        return Ok(());
    }
    let replays = answer["replays"].as_array().cloned().unwrap_or_default();
    if replays.is_empty() {
        println!("no replays");
    }
    replays.iter().for_each(|one| println!("{}", line(one)));
    Ok(())
}

async fn show(one: &One) -> Result<(), Failure> {
    let client = client(&one.common, Scope::Read)?;
    let status = client.get(&format!("/v1/replays/{}", one.id)).await?;
    tell(&status, one.common.json);
    if !one.common.json {
        follow::to_the_end(&client, &status).await?;
    }
    Ok(())
}

async fn post(one: &One, act: &str, body: &Value) -> Result<(), Failure> {
    let client = client(&one.common, Scope::Operate)?;
    let answer = client.post(&format!("/v1/replays/{}/{act}", one.id), body).await?;
    tell(&answer, one.common.json);
    Ok(())
}

fn tell(status: &Value, as_json: bool) {
    if as_json {
        println!("{status:#}");
    } else {
        println!("{}", line(status));
    }
}

/// One replay in one line.
fn line(status: &Value) -> String {
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let rate = status["rate_per_second"].as_u64().map_or("unlimited".to_owned(), |rate| format!("{rate}/s"));
    let left = status["eta_seconds"].as_u64().map(|left| format!(", about {left} s left"));
    format!(
        "{} to {}: {}, at offset {} of {}..{}, {rate}; {} selected, {} delivered, {} withheld, {} failed{}",
        text("id"),
        text("subscriber"),
        text("state"),
        status["next"],
        status["from"],
        status["to"],
        status["selected"],
        status["delivered"],
        status["withheld"],
        status["failed"],
        left.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_fits_in_one_line() {
        let status = json!({
            "id": "replay-3", "subscriber": "crm", "state": "running", "from": 10, "to": 90, "next": 50,
            "rate_per_second": 5, "selected": 9, "delivered": 6, "withheld": 1, "failed": 0, "eta_seconds": 12,
        });
        assert_eq!(
            line(&status),
            "replay-3 to crm: running, at offset 50 of 10..90, 5/s; 9 selected, 6 delivered, 1 withheld, \
             0 failed, about 12 s left"
        );
    }
}
