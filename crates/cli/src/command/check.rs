//! `writ check`: everything that can be known before a start. Each finding names its place, cause and remedy.

use std::process::ExitCode;

use clap::Args;
use writ_connectors::secret::Secrets;
use writ_engine::assemble::{self, Assembled};
use writ_engine::error::EngineError;

use super::ConfigPath;
use crate::config_file::{self, Loaded, Mistake};
use crate::exit::{BAD_INPUT, Failure};
use crate::finding::{self, Finding};

/// What to do where a default is not proven.
const FALLBACK_REMEDY: &str =
    "make the receiver drop repeated delivery ids, or see docs/reference/delivery.md";

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
    match config_file::read(&arguments.config.config) {
        Ok(loaded) => check(&arguments, &loaded, &mut findings).await,
        Err(mistake) => findings.push(of_mistake(&mistake)),
    }
    let holds = finding::print(&findings, arguments.json);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

async fn check(arguments: &Arguments, loaded: &Loaded, findings: &mut Vec<Finding>) {
    let place = arguments.config.config.display().to_string();
    findings.push(Finding::ok(&place, format!("tenant {}", loaded.config.tenant)));
    findings.extend(config_file::mistakes(loaded).iter().map(of_mistake));
    let secrets = Secrets { base: loaded.base.clone() };
    for token in &loaded.config.api.tokens {
        if let Err(error) = secrets.resolve("secret", &token.secret) {
            let cause = format!("token {:?}: {}", token.name, error.cause);
            let place = loaded.places.of("api.tokens");
            findings.push(Finding::error(error.code.id, &place, cause, &error.remedy));
        }
    }
    match assemble::assemble(&loaded.config, &secrets) {
        Ok(assembled) => inspect(assembled, arguments.connect, findings).await,
        Err(errors) => errors.iter().for_each(|error| add(findings, of_error(error, loaded))),
    }
}

fn of_mistake(mistake: &Mistake) -> Finding {
    Finding::error(mistake.code.id, &mistake.place, mistake.cause.clone(), &mistake.remedy)
}

fn of_error(error: &EngineError, loaded: &Loaded) -> Finding {
    Finding::error(error.code.id, &loaded.places.of(&error.tried), error.cause.clone(), &error.remedy)
}

/// The file's own reading of an unknown key, which knows the nearest one, stands before the connector's.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    let is_known = |known: &Finding| known.place == finding.place && known.code == finding.code;
    if !findings.iter().any(is_known) {
        findings.push(finding);
    }
}

async fn inspect(assembled: Assembled, connects: bool, findings: &mut Vec<Finding>) {
    findings.push(Finding::ok("schemas", format!("{} schemas", assembled.registry.schemas().count())));
    findings.push(Finding::ok("policies", assembled.policy.version().0.to_string()));
    for failed in &assembled.policy_test_failures {
        findings.push(Finding::error(
            "WRIT-1007",
            "policies",
            failed.clone(),
            "correct the policy or its test",
        ));
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
        findings.push(Finding::promises(&format!("{place}.guarantee"), &lane.promises));
        for fallback in &lane.fallbacks {
            let cause = format!("at-least-once stands in for the default: {fallback}");
            findings.push(Finding::warning(&place, cause, FALLBACK_REMEDY));
        }
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
