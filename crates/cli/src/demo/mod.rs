//! `writ demo`: the acceptance stories on the embedded default. A SQLite master record, receivers over real
//! HTTP, the engine as a process of its own so that it can be killed; then the audit log is verified.
//!
//! Nothing is canned: every line that is printed was observed at a receiver, in the engine's API or on disk.

mod card_story;
mod email_story;
mod erasure_story;
mod optout_story;
mod outage_story;
mod shop;
mod stage;
mod story;

use std::process::ExitCode;

use clap::Args;

use self::stage::Stage;
pub(crate) use self::story::{Audit, watch};
use self::story::{Outcome, Report};
use crate::exit::{DOES_NOT_HOLD, Failure};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print the outcome of each story as JSON
    #[arg(long)]
    json: bool,
    /// Keep the demo's folder and print where it is
    #[arg(long)]
    keep: bool,
}

/// The stories of the product, and which of them this version tells.
const ABSENT: [(u8, &str); 1] = [(6, "four years later one command gives a bundle that a stranger verifies")];

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let report = Report::new(arguments.json);
    report.line("Writ demo: one customer's changes, from a database to every subscriber, with proof.");
    let mut stage = Stage::set(&report).await?;
    let mut outcomes = vec![email_story::tell(&mut stage, &report).await?];
    outcomes.extend(ABSENT.iter().map(|(number, title)| Outcome::absent(*number, title)));
    outcomes.push(card_story::tell(&mut stage, &report).await?);
    outcomes.push(outage_story::tell(&mut stage, &report).await?);
    outcomes.push(optout_story::tell(&mut stage, &report).await?);
    outcomes.push(erasure_story::tell(&mut stage, &report).await?);
    outcomes.sort_by_key(|outcome| outcome.number);
    let audit = stage.verify(&report).await?;
    let holds = audit.holds() && outcomes.iter().all(Outcome::holds_or_absent);
    report.summary(&outcomes, &audit, holds);
    if arguments.keep {
        report.line(&format!("kept {}", stage.keep().display()));
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}
