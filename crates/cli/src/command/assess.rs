//! `writ assess`: what the configuration leaves open, the worst first. Reads the configuration and the statute table; needs
//! no engine and connects to nothing.

mod facts;
mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use writ_connectors::secret::Secrets;
use writ_engine::assemble;
use writ_report::gap::Gap;

use super::ConfigPath;
use crate::exit::{BAD_INPUT, DOES_NOT_HOLD, Failure};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// A law that applies: an id or alias of `writ deadline list`; all of the table when none is given
    #[arg(long)]
    law: Vec<String>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
    /// Also write a page that prints well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let secrets = Secrets { base: loaded.base.clone() };
    let assembled = assemble::assemble(&loaded.config, &secrets).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::plain(format!("{}\n`writ check` says where", lines.join("\n")), BAD_INPUT)
    })?;
    let table = super::deadline::table(loaded.config.compliance.statutes.as_deref())?;
    let laws = facts::laws(&table, &arguments.law)?;
    let facts = facts::facts(&loaded.config, &assembled, facts::windows(&table, &laws)?);
    let gaps = writ_report::assess(&facts);
    let tenant = loaded.config.tenant.to_string();
    match (arguments.json, arguments.csv) {
        (true, _) => println!("{:#}", print::json(&tenant, &gaps)),
        (false, true) => print!("{}", print::csv(&gaps)),
        (false, false) => println!("{}", print::words(&gaps)),
    }
    if let Some(path) = &arguments.html {
        std::fs::write(path, print::html(&tenant, &gaps))?;
    }
    Ok(verdict(&gaps))
}

fn verdict(gaps: &[Gap]) -> ExitCode {
    if gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) }
}
