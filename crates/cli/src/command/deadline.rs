//! `writ deadline`: when the duties under a law are due, as three dates with the reasons for each. Counts only; needs no
//! configuration and no engine.

mod given;
mod list;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use writ_model::code;
use writ_statutes::deadline::{Question, Unanswerable, answer};
use writ_statutes::law::{Duty, Law};
use writ_statutes::table::{Table, Unknown};

use crate::exit::{BAD_INPUT, Failure};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Option<Act>,
    /// The law: an id or alias of `writ deadline list`
    #[arg(long, required = true)]
    law: Option<String>,
    /// The right that is exercised; every duty of the law that serves it is counted
    #[arg(long, required_unless_present = "duty")]
    right: Option<String>,
    /// Only this duty of the law
    #[arg(long)]
    duty: Option<String>,
    /// When the clock starts, RFC 3339: 2026-03-31T10:00:00+02:00
    #[arg(long, required = true)]
    received: Option<String>,
    /// Whose days are counted, as an IANA name, in place of the law's
    #[arg(long)]
    zone: Option<String>,
    /// Whose holidays are counted, in place of the law's
    #[arg(long)]
    calendar: Option<String>,
    /// The person was told on DATE that the period is extended, because of REASON
    #[arg(long, num_args = 2, value_names = ["DATE", "REASON"])]
    extend: Vec<String>,
    /// The clock stood still from FROM until it ran again on TO; may be given several times
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pause: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List laws and their duties, and which of them can carry a legal date
    List(list::Arguments),
}

#[derive(Debug, Args)]
struct Common {
    /// A file of your own decisions, laid over the table
    #[arg(long)]
    overlay: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.act {
        Some(Act::List(list)) => list::run(list),
        None => count(arguments),
    }
}

fn count(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let table = table(arguments.common.overlay.as_deref())?;
    let law = table.law(arguments.law.as_deref().unwrap_or_default()).map_err(unknown)?;
    let right = arguments.right.as_deref();
    let duties = duties(&table, law, right, arguments.duty.as_deref())?;
    let right =
        right.map(|word| table.right(word).map(|right| right.id.as_str())).transpose().map_err(unknown)?;
    let start = given::moment(arguments.received.as_deref().unwrap_or_default())?;
    let acts = given::acts(&arguments.extend, &arguments.pause)?;
    let mut answered = Vec::new();
    for duty in duties {
        let question = Question {
            law,
            duty,
            right,
            start,
            zone: arguments.zone.as_deref(),
            calendar: arguments.calendar.as_deref(),
            acts: acts.clone(),
        };
        answered.push((duty, answer(&table, &question).map_err(unanswerable)?));
    }
    if arguments.common.json {
        let duties: Vec<Value> = answered.iter().map(|(duty, answer)| report::json(duty, answer)).collect();
        let document = json!({
            "law": law.id,
            "name": law.name,
            "right": right,
            "table": table.edition.as_of.to_string(),
            "overlay": table.overlay,
            "zones": writ_statutes::zone::release(),
            "duties": duties,
        });
        println!("{document:#}");
    } else {
        println!("{}", report::head(&table, law, right));
        answered.iter().for_each(|(duty, answer)| println!("\n{}", report::words(duty, answer)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The duty that was named, or every one that serves the right.
fn duties<'a>(
    table: &'a Table,
    law: &'a Law,
    right: Option<&str>,
    duty: Option<&str>,
) -> Result<Vec<&'a Duty>, Failure> {
    let serving = right.map(|right| table.duties(law, right)).transpose().map_err(unknown)?;
    let Some(name) = duty else { return Ok(serving.unwrap_or_default()) };
    let duty = law.duty(name).map_err(unknown)?;
    match serving {
        Some(serving) if !serving.iter().any(|known| known.id == duty.id) => {
            let known: Vec<&str> = serving.iter().map(|known| known.id.as_str()).collect();
            let text =
                format!("the duty {name} of {} does not serve this right; {} do", law.id, known.join(", "));
            Err(Failure::coded(code::STATUTE_UNKNOWN, text, BAD_INPUT))
        }
        Some(_) | None => Ok(vec![duty]),
    }
}

/// The table that Writ comes with, under an operator's decisions if there are any.
pub(crate) fn table(overlay: Option<&Path>) -> Result<Table, Failure> {
    let unusable = |text| Failure::coded(code::OVERLAY_UNUSABLE, text, BAD_INPUT);
    writ_engine::statutes::table(overlay).map_err(unusable)
}

pub(crate) fn unknown(unknown: Unknown) -> Failure {
    Failure::coded(code::STATUTE_UNKNOWN, unknown, BAD_INPUT)
}

pub(crate) fn unanswerable(error: Unanswerable) -> Failure {
    match error {
        Unanswerable::Calendar(word) => unknown(word),
        other => Failure::coded(code::DEADLINE_UNANSWERABLE, other, BAD_INPUT),
    }
}

#[cfg(test)]
mod tests;
