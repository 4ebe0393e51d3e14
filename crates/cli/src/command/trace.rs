//! `writ trace`: the life of one event, or of all events of one subject.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An event id (a UUID), or a subject's internal id (32 hexadecimal digits)
    id: String,
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let client = Client::new(&loaded, Scope::Read)?;
    let is_event = arguments.id.contains('-');
    let answer = if is_event {
        client.get(&format!("/v1/events/{}", arguments.id)).await?
    } else {
        client.get(&format!("/v1/subjects/{}/events", arguments.id)).await?
    };
    if arguments.json {
        println!("{answer:#}");
    } else if let Some(events) = answer.get("events").and_then(Value::as_array) {
        events.iter().for_each(print);
    } else {
        print(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(event: &Value) {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    println!("event {} ({} {})", text("event_id"), text("change_type"), text("operation"));
    println!("  committed  {}  at source {}", text("time"), text("source"));
    println!(
        "  admitted   {}  offset {} sequence {}",
        text("recorded_at"),
        event["offset"],
        text("sequence")
    );
    println!("  decided    {} under {} against {}", text("class"), text("policy"), text("schema"));
    println!("  attested   intent leaf {}", event["intent_index"]);
    let settled = event.get("acknowledgements").and_then(Value::as_object);
    for name in event.get("routed_to").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        match settled.and_then(|settled| settled.get(name)) {
            Some(how) => println!(
                "  {name:<10} {} {} after {} attempts",
                how["settled"].as_str().unwrap_or_default(),
                how["at"].as_str().unwrap_or_default(),
                how["attempts"]
            ),
            None => println!("  {name:<10} not settled yet"),
        }
    }
}
