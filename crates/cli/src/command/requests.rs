//! `writ requests`: privacy requests as cases. Opened with the dates that the law gives, followed to every recipient,
//! closed when each has shown what policy demands.

mod print;

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use writ_engine::config::Scope;

use super::ConfigPath;
use crate::client::Client;
use crate::exit::Failure;
use crate::out::tell;
pub(super) use print::line;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open a case: what a person asks for, under which law, and by when what is due
    Open(Open),
    /// List cases
    List(Common),
    /// Show a case: its dates, its recipients, what it waits for
    Show(Show),
    /// Record what was done about a case as a whole
    Act(OnCase),
    /// Record what a recipient said, or what somebody saw there
    Report(Report),
    /// Print the text that a recipient signs to say what came of a case
    Statement(Statement),
    /// Ask that a recipient is not waited for
    Except(Except),
    /// Approve an exception that another person asked for
    Approve(Approve),
    /// List to whom data of a subject went
    Recipients(Subject),
    /// Take an erased subject's changes again, for a new lawful basis
    Readmit(Readmit),
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Ask with the token of this name, in place of the first that may
    #[arg(long, value_name = "TOKEN")]
    r#as: Option<String>,
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Right {
    Erasure,
    OptOut,
    Rectification,
    Access,
    Restriction,
}

/// What came of a request at a recipient.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Outcome {
    Accepted,
    Completed,
    NotFound,
    Partially,
    Exempt,
    Rejected,
}

/// What was done about a case.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Step {
    /// Who asks is known
    Verify,
    /// The person was told that the request was received
    Acknowledge,
    /// The person was told what came of it
    Answer,
    /// The person was told that it takes longer
    Extend,
    /// The person took it back
    Withdraw,
    /// It is refused
    Deny,
}

#[derive(Debug, Args)]
struct Open {
    /// What is asked for
    right: Right,
    /// Whose data: the subject, as events carry it in `partitionkey`
    subject: String,
    /// The law: an id or alias of `writ deadline list`
    #[arg(long)]
    law: String,
    /// The right in the statute table's words, where the law has another than the usual one
    #[arg(long)]
    statute_right: Option<String>,
    /// When the person asked, RFC 3339
    #[arg(long)]
    received: String,
    /// Whose days are counted, as an IANA name, in place of the law's
    #[arg(long)]
    zone: Option<String>,
    /// Whose holidays are counted, in place of the law's
    #[arg(long)]
    calendar: Option<String>,
    /// How it came in
    #[arg(long)]
    intake: Option<String>,
    /// Its id where it came from: the same again opens no second case
    #[arg(long)]
    reference: Option<String>,
    /// Of a rectification: the event that corrects
    #[arg(long)]
    event: Option<String>,
    /// How long keys stay when the case is fulfilled, in place of `compliance.observe`
    #[arg(long)]
    observe: Option<String>,
    /// Why; no personal data
    #[arg(long)]
    note: String,
    /// Do it; without, only the case is shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Show {
    /// The case's id
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct OnCase {
    /// What was done
    step: Step,
    /// The case's id
    id: String,
    /// How, or why; no personal data
    #[arg(long)]
    note: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Report {
    /// The case's id
    id: String,
    /// Which recipient
    recipient: String,
    /// What came of it
    outcome: Outcome,
    /// Its Ed25519 signature over the text of `writ requests statement`, base64
    #[arg(long)]
    signature: Option<String>,
    /// Somebody looked at the recipient itself, and found it so
    #[arg(long, conflicts_with = "signature")]
    checked: bool,
    /// How it reached us; no personal data
    #[arg(long)]
    note: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Statement {
    /// The case's id
    id: String,
    /// Which recipient
    recipient: String,
    /// What it says
    outcome: Outcome,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Except {
    /// The case's id
    id: String,
    /// The recipient that is not waited for
    recipient: String,
    /// Until when, RFC 3339
    #[arg(long)]
    until: String,
    /// Why; no personal data
    #[arg(long)]
    note: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Approve {
    /// The case's id
    id: String,
    /// The recipient
    recipient: String,
    /// Why; no personal data
    #[arg(long)]
    note: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Subject {
    /// The subject, as events carry it in `partitionkey`
    subject: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Readmit {
    /// The subject, as events carry it in `partitionkey`
    subject: String,
    /// The lawful basis: consent, contract, ...
    #[arg(long)]
    basis: String,
    /// Where that is recorded; no personal data
    #[arg(long)]
    evidence: String,
    /// Do it; without, nothing is done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Open(asked) => open(asked).await?,
        Command::List(common) => {
            let listed = reader(&common)?.get("/v1/cases?limit=1000").await?;
            tell(&listed, common.json, print::lines);
        }
        Command::Show(Show { id, common }) => {
            let case = reader(&common)?.get(&format!("/v1/cases/{id}")).await?;
            tell(&case, common.json, print::whole);
        }
        Command::Act(OnCase { step, id, note, common }) => {
            let body = json!({ "act": word(step), "note": note });
            change(&common, &format!("/v1/cases/{id}/acts"), &body).await?;
        }
        Command::Report(asked) => {
            let Report { id, recipient, outcome, signature, checked, note, common } = asked;
            let body =
                json!({ "outcome": word(outcome), "signature": signature, "checked": checked, "note": note });
            change(&common, &format!("/v1/cases/{id}/recipients/{recipient}/reports"), &body).await?;
        }
        Command::Statement(asked) => statement(asked).await?,
        Command::Except(Except { id, recipient, until, note, common }) => {
            let body = json!({ "until": until, "note": note });
            change(&common, &format!("/v1/cases/{id}/recipients/{recipient}/exception"), &body).await?;
        }
        Command::Approve(Approve { id, recipient, note, common }) => {
            let path = format!("/v1/cases/{id}/recipients/{recipient}/exception/approve");
            change(&common, &path, &json!({ "note": note })).await?;
        }
        Command::Recipients(Subject { subject, common }) => {
            let known = reader(&common)?.get(&format!("/v1/subjects/{subject}/recipients")).await?;
            tell(&known, common.json, print::recipients);
        }
        Command::Readmit(asked) => readmit(asked).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(asked: Open) -> Result<(), Failure> {
    let body = json!({
        "right": word(asked.right),
        "subject": asked.subject,
        "law": asked.law,
        "statute_right": asked.statute_right,
        "received_at": asked.received,
        "zone": asked.zone,
        "calendar": asked.calendar,
        "intake": asked.intake,
        "reference": asked.reference,
        "event": asked.event,
        "observe": asked.observe,
        "note": asked.note,
        "dry_run": !asked.yes,
    });
    let case = actor(&asked.common)?.post("/v1/cases", &body).await?;
    let note = if asked.yes { "" } else { "\nnothing was done; add --yes to do it" };
    tell(&case, asked.common.json, |case| print::whole(case) + note);
    Ok(())
}

async fn statement(asked: Statement) -> Result<(), Failure> {
    let Statement { id, recipient, outcome, common } = asked;
    let path = format!("/v1/cases/{id}/recipients/{recipient}/statement?outcome={}", word(outcome));
    let answer = reader(&common)?.get(&path).await?;
    if common.json {
        println!("{answer:#}");
    } else {
        // To the byte: it is to be signed.
        print!("{}", answer["statement"].as_str().unwrap_or_default());
    }
    Ok(())
}

async fn readmit(asked: Readmit) -> Result<(), Failure> {
    let Readmit { subject, basis, evidence, yes, common } = asked;
    if !yes {
        println!("changes of {subject} would be taken again, in a new life, for {basis} ({evidence})");
        println!("nothing was done; add --yes to do it");
        return Ok(());
    }
    let body = json!({ "basis": basis, "evidence": evidence });
    let answer = actor(&common)?.post(&format!("/v1/subjects/{subject}/readmit"), &body).await?;
    tell(&answer, common.json, |answer| {
        format!("changes of {subject} are taken again, in generation {}", answer["generation"])
    });
    Ok(())
}

async fn change(common: &Common, path: &str, body: &Value) -> Result<(), Failure> {
    let case = actor(common)?.post(path, body).await?;
    tell(&case, common.json, print::whole);
    Ok(())
}

/// The word of an argument as the API takes it.
fn word(value: impl ValueEnum) -> String {
    let name = value.to_possible_value().map(|value| value.get_name().to_owned());
    name.unwrap_or_default().replace('-', "_")
}

fn reader(common: &Common) -> Result<Client, Failure> {
    client(common, Scope::Read)
}

fn actor(common: &Common) -> Result<Client, Failure> {
    client(common, Scope::Operate)
}

fn client(common: &Common, scope: Scope) -> Result<Client, Failure> {
    let loaded = common.config.load()?;
    match &common.r#as {
        Some(name) => Client::holding(&loaded, name),
        None => Client::new(&loaded, scope),
    }
}
