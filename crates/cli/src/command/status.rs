//! `writ status`: sources, lanes, breakers, findings, open sagas and privacy cases, as they are now.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let report = Client::new(&loaded, Scope::Read)?.get("/v1/status").await?;
    if arguments.json {
        println!("{report:#}");
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Value) {
    println!(
        "tenant {}   log end {}   state {}",
        text(report, "tenant"),
        report["log_end"],
        report["state_applied"]
    );
    println!("\n{:<20} {:<12} {:<11} {:<24} error", "SOURCE", "KIND", "PHASE", "POSITION");
    for source in list(report, "sources") {
        let columns =
            [text(source, "source"), text(source, "kind"), text(source, "phase"), text(source, "position")];
        println!(
            "{:<20} {:<12} {:<11} {:<24} {}",
            columns[0],
            columns[1],
            columns[2],
            columns[3],
            text(source, "error")
        );
    }
    println!(
        "\n{:<20} {:<9} {:<8} {:<10} {:>8} {:>8} {:>9} {:>12}  last failure",
        "SUBSCRIBER", "KIND", "STATE", "BREAKER", "LAG", "WAITING", "IN FLIGHT", "DEAD LETTERS"
    );
    for lane in list(report, "subscribers") {
        println!(
            "{:<20} {:<9} {:<8} {:<10} {:>8} {:>8} {:>9} {:>12}  {}",
            text(lane, "subscriber"),
            text(lane, "kind"),
            text(lane, "state"),
            text(lane, "breaker"),
            lane["lag"].to_string(),
            lane["waiting"].to_string(),
            lane["in_flight"].to_string(),
            lane["dead_letters"].to_string(),
            text(lane, "last_failure")
        );
    }
    println!("\n{:<20} guarantee, where it is not at-least-once", "SUBSCRIBER");
    for lane in list(report, "subscribers") {
        println!("{:<20} {}", text(lane, "subscriber"), promises(lane));
    }
    println!();
    super::findings::print(list(report, "findings"));
    let sagas = list(report, "sagas");
    if !sagas.is_empty() {
        println!("\nopen sagas");
        sagas.iter().for_each(|saga| println!("{}", super::saga::line(saga)));
    }
    let cases = list(report, "cases");
    if !cases.is_empty() {
        println!("\nopen privacy cases");
        cases.iter().for_each(|case| println!("{}", super::requests::line(case)));
    }
}

/// The change types that are promised more, or less, than at-least-once.
fn promises(lane: &Value) -> String {
    let promised = lane["guarantees"].as_object().into_iter().flatten();
    let words = promised.filter_map(|(change_type, promise)| {
        let mechanism = promise["mechanism"].as_str().map(|word| format!(" ({word})")).unwrap_or_default();
        let guarantee = text(promise, "guarantee");
        (guarantee != "at-least-once").then(|| format!("{change_type}: {guarantee}{mechanism}"))
    });
    words.collect::<Vec<_>>().join("; ")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
