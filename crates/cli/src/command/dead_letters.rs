//! `writ dead-letters`: list them, redrive or discard one subject's sequence. Acts show what they would do
//! first; `--yes` does it.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The subscriber
    subscriber: String,
    #[command(flatten)]
    config: ConfigPath,
    /// Deliver this subject's sequence again, in order
    #[arg(long, value_name = "SUBJECT", conflicts_with = "discard")]
    redrive: Option<String>,
    /// Drop this subject's sequence; its events stay in the log
    #[arg(long, value_name = "SUBJECT")]
    discard: Option<String>,
    /// Do it; without this only the sequence is shown
    #[arg(long)]
    yes: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let act = arguments.redrive.as_ref().map(|subject| ("redrive", subject));
    let act = act.or_else(|| arguments.discard.as_ref().map(|subject| ("discard", subject)));
    let scope = if act.is_some() { Scope::Operate } else { Scope::Read };
    let client = Client::new(&loaded, scope)?;
    let base = format!("/v1/subscribers/{}/dead-letters", arguments.subscriber);
    if let (Some((act, subject)), true) = (act, arguments.yes) {
        client.post(&format!("{base}/{subject}/{act}"), &json!({})).await?;
        println!("{act} of subject {subject} at {} started", arguments.subscriber);
        return Ok(ExitCode::SUCCESS);
    }
    let answer = client.get(&format!("{base}?limit={}", arguments.limit)).await?;
    let subject = act.map(|(_, subject)| subject.as_str());
    let letters = answer["dead_letters"].as_array().cloned().unwrap_or_default();
    let letters: Vec<Value> =
        letters.into_iter().filter(|one| subject.is_none_or(|s| one["subject_id"] == *s)).collect();
    if arguments.json {
        println!("{:#}", json!({ "dead_letters": letters, "next": answer["next"] }));
    } else {
        print(&letters, act.map(|(act, _)| act));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(letters: &[Value], act: Option<&str>) {
    if letters.is_empty() {
        println!("no dead letters");
        return;
    }
    println!("{:<34} {:>10} {:<38} {:<16} {:>8} cause", "SUBJECT", "OFFSET", "EVENT", "CHANGE", "ATTEMPTS");
    for letter in letters {
        let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
        println!(
            "{:<34} {:>10} {:<38} {:<16} {:>8} {}",
            text("subject_id"),
            letter["offset"].to_string(),
            text("event_id"),
            text("change_type"),
            letter["attempts"].to_string(),
            text("cause")
        );
    }
    if let Some(act) = act {
        println!("nothing was done; add --yes to {act} these");
    }
}
