//! `writ check`: everything that can be known before a start. Each finding names its place, cause and remedy.

use std::process::ExitCode;

use clap::Args;
use writ_connectors::secret::Secrets;
use writ_engine::assemble::{self, Assembled};

use super::ConfigPath;
use crate::exit::{BAD_INPUT, Failure};
use crate::finding::{self, Finding};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Also connect to the sources and subscribers
    #[arg(long)]
    connect: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    match arguments.config.load() {
        Ok(loaded) => {
            let place = arguments.config.config.display().to_string();
            findings.push(Finding::ok(&place, format!("tenant {}", loaded.config.tenant)));
            let secrets = Secrets { base: loaded.base.clone() };
            match assemble::assemble(&loaded.config, &secrets) {
                Ok(assembled) => inspect(assembled, arguments.connect, &mut findings).await,
                Err(errors) => findings.extend(errors.iter().map(|error| {
                    Finding::error(error.code.id, &error.tried, error.cause.clone(), &error.remedy)
                })),
            }
        }
        Err(failure) => {
            let text = failure.to_string();
            let (code, cause) = text.split_once(' ').unwrap_or(("", &text));
            let place = arguments.config.config.display().to_string();
            let code = writ_model::code::ALL.iter().find(|known| known.id == code).map_or("", |known| known.id);
            findings.push(Finding::error(code, &place, cause, "correct it, then check again"));
        }
    }
    let holds = finding::print(&findings, arguments.json);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

async fn inspect(assembled: Assembled, connects: bool, findings: &mut Vec<Finding>) {
    findings.push(Finding::ok("schemas", format!("{} schemas", assembled.registry.schemas().count())));
    findings.push(Finding::ok("policies", assembled.policy.version().0.clone()));
    for failed in &assembled.policy_test_failures {
        findings.push(Finding::error("WRIT-1007", "policies", failed.clone(), "correct the policy or its test"));
    }
    for (name, entry) in &assembled.push {
        findings.push(Finding::ok(&format!("sources.{name}"), format!("{} intake", entry.kind)));
    }
    for mut source in assembled.pull {
        let place = format!("sources.{}", source.name);
        if !connects {
            findings.push(Finding::ok(&place, source.kind));
            continue;
        }
        match source.source.check().await {
            Ok(notes) => {
                findings.push(Finding::ok(&place, "reached; the mapping fits"));
                findings.extend(notes.into_iter().map(|note| Finding::warning(&place, note, "")));
            }
            Err(error) => findings.push(Finding::error(
                error.code.id,
                &place,
                format!("{}: {}", error.tried, error.cause),
                &error.remedy,
            )),
        }
    }
    for lane in assembled.lanes {
        let place = format!("subscribers.{}", lane.name);
        match if connects { lane.subscriber.check().await } else { Ok(()) } {
            Ok(()) => findings.push(Finding::ok(&place, lane.kind)),
            Err(cause) => findings.push(Finding::warning(
                &place,
                cause,
                "start it before or after Writ: deliveries wait in the log",
            )),
        }
    }
}
