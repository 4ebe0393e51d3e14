//! `writ retention`: what would leave the log now, and why each other segment stays. The running engine shortens the
//! log by itself; this command only shows.

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
    /// Said or not: this command never drops anything
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let report = Client::new(&arguments.config.load()?, Scope::Read)?.get("/v1/retention").await?;
    if arguments.json {
        println!("{report:#}");
    } else {
        println!("{}", described(&report));
    }
    Ok(ExitCode::SUCCESS)
}

fn described(report: &Value) -> String {
    let mut text = match report["would_start"].as_u64() {
        Some(start) => format!("the log begins at {} and would begin at {start}", report["log_start"]),
        None => format!("the log begins at {}; nothing would go", report["log_start"]),
    };
    for segment in report["segments"].as_array().into_iter().flatten() {
        let why: Vec<&str> =
            segment["why"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fate = if why.is_empty() { "goes".to_owned() } else { format!("stays: {}", why.join("; ")) };
        text += &format!(
            "\n{:>6}  {}..{}  {} bytes  {} to {}  {fate}",
            segment["number"].to_string(),
            segment["from"],
            segment["to"],
            segment["bytes"],
            segment["oldest"].as_str().unwrap_or("-"),
            segment["newest"].as_str().unwrap_or("-"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_segment_says_whether_it_goes_or_why_it_stays() {
        let segment = |number: u64, why: &[&str]| {
            json!({
                "number": number, "from": 0, "to": 9, "bytes": 7, "oldest": null, "newest": null, "why": why,
            })
        };
        let segments = [segment(1, &[]), segment(2, &["a", "b"])];
        let text = described(&json!({ "log_start": 0, "would_start": 9, "segments": segments }));
        assert!(text.starts_with("the log begins at 0 and would begin at 9"), "{text}");
        assert!(text.contains("goes") && text.contains("stays: a; b"), "{text}");
    }
}
