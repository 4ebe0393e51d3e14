//! `writ findings`: what an operator has to deal with, and by when.

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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let answer = Client::new(&loaded, Scope::Read)?.get("/v1/findings").await?;
    if arguments.json {
        println!("{answer:#}");
    } else {
        print(answer["findings"].as_array().map_or(&[], Vec::as_slice));
    }
    Ok(ExitCode::SUCCESS)
}

/// The open findings as a table, the worst first.
pub(super) fn print(findings: &[Value]) {
    if findings.is_empty() {
        println!("no open findings");
        return;
    }
    println!("{:<4} {:<20} {:<15} {:>6}  {:<28} due", "", "SUBSCRIBER", "FINDING", "SEEN", "SINCE");
    for finding in findings {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        let overdue = if finding["is_overdue"] == true { "  OVERDUE" } else { "" };
        println!(
            "{:<4} {:<20} {:<15} {:>6}  {:<28} {}{overdue}",
            text("severity"),
            text("subscriber"),
            text("kind"),
            finding["seen"].to_string(),
            text("opened_at"),
            text("due"),
        );
    }
}
