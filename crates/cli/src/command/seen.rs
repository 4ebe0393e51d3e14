//! `writ seen`: who has seen a write, by the causality token that the intake answered it with.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;
use writ_engine::config::{Period, Scope};

use super::ConfigPath;
use crate::client::Client;
use crate::exit::{DOES_NOT_HOLD, Failure};

/// Between two looks while it waits.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The token: the `writ-causality` header of the intake's answer
    token: String,
    /// Only this subscriber; several times for several
    #[arg(long = "subscriber", value_name = "NAME")]
    subscribers: Vec<String>,
    /// Wait so long at most (`30s`) until everything up to the write is settled
    #[arg(long, value_parser = period)]
    wait: Option<Period>,
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn period(text: &str) -> Result<Period, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let client = Client::new(&loaded, Scope::Read)?;
    let until = Instant::now() + arguments.wait.map(|wait| wait.0).unwrap_or_default();
    let seen = loop {
        let seen = chosen(look(&client, &arguments.token).await?, &arguments.subscribers)?;
        let left = until.saturating_duration_since(Instant::now());
        if is_settled(&seen) || left.is_zero() {
            break seen;
        }
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
    };
    if arguments.json {
        println!("{seen:#}");
    } else {
        print(&seen);
    }
    Ok(if is_settled(&seen) { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

async fn look(client: &Client, token: &str) -> Result<Value, Failure> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_plain || token.is_empty() {
        let text = "this is not a causality token; give the `writ-causality` header of the intake's answer";
        return Err(Failure::plain(text, crate::exit::BAD_INPUT));
    }
    client.get(&format!("/v1/causality/{token}")).await
}

/// Keeps the subscribers that were asked for.
fn chosen(mut seen: Value, names: &[String]) -> Result<Value, Failure> {
    let all = seen["subscribers"].as_array().cloned().unwrap_or_default();
    if names.is_empty() {
        return Ok(seen);
    }
    let of = |name: &String| all.iter().find(|one| one["subscriber"] == **name).cloned();
    if let Some(unknown) = names.iter().find(|name| of(name).is_none()) {
        let text = format!("there is no subscriber {unknown:?}; see `writ status` for the names");
        return Err(Failure::plain(text, crate::exit::BAD_INPUT));
    }
    seen["subscribers"] = names.iter().filter_map(of).collect();
    Ok(seen)
}

fn is_settled(seen: &Value) -> bool {
    let subscribers = seen["subscribers"].as_array().map_or(&[][..], Vec::as_slice);
    subscribers.iter().all(|one| one["settled"] == true)
}

fn print(seen: &Value) {
    let shown = if seen["applied"] == true { "reads show it" } else { "reads do not show it yet" };
    println!("everything below offset {}: {shown}", seen["through"]);
    println!("{:<20} {:<9} {:>12} {:>14}", "SUBSCRIBER", "SETTLED", "WATERMARK", "DEAD LETTERS");
    for one in seen["subscribers"].as_array().into_iter().flatten() {
        println!(
            "{:<20} {:<9} {:>12} {:>14}",
            one["subscriber"].as_str().unwrap_or_default(),
            if one["settled"] == true { "yes" } else { "not yet" },
            one["watermark"].to_string(),
            one["dead_letters"].to_string(),
        );
    }
}
