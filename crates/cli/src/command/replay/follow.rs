//! A bar that follows a replay to its end, on a terminal only. Whoever leaves it leaves the replay running.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::line;
use crate::client::Client;
use crate::exit::Failure;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Follows a replay until it is done, cancelled or paused.
pub(super) async fn to_the_end(client: &Client, started: &Value) -> Result<(), Failure> {
    if !std::io::stderr().is_terminal() || !is_running(started) {
        return Ok(());
    }
    let id = started["id"].as_str().unwrap_or_default();
    let (from, to) = (offset(started, "from"), offset(started, "to"));
    let bar = ProgressBar::new(to.saturating_sub(from));
    let style = ProgressStyle::with_template("[{bar:40}] {percent:>3} %  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut status = started.clone();
    while is_running(&status) {
        bar.set_position(offset(&status, "next").saturating_sub(from));
        let left = status["eta_seconds"].as_u64().map(|left| format!(", about {left} s left"));
        bar.set_message(format!("{} delivered{}", status["delivered"], left.unwrap_or_default()));
        tokio::time::sleep(LOOK_EVERY).await;
        status = client.get(&format!("/v1/replays/{id}")).await?;
    }
    bar.finish_and_clear();
    println!("{}", line(&status));
    Ok(())
}

fn is_running(status: &Value) -> bool {
    status["state"] == "running"
}

fn offset(status: &Value, name: &str) -> u64 {
    status[name].as_u64().unwrap_or_default()
}
