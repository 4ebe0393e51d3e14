//! `writ audit`: the audit side. Works on a folder, with no engine running, and never writes.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use writ_attest::note::{Checkpoint, NoteVerifier};
use writ_attest::time::Time;
use writ_attest::verify::{Expectations, Report, Trust, verify};
use writ_model::code;
use writ_store::audit::DirFetch;

use crate::demo::Audit;
use crate::exit::{BAD_INPUT, Failure, UNAVAILABLE};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Verify every leaf, tile and signature of an audit log
    ///
    /// Exit codes: 0 sound, 10 signature, 11 root or tile, 12 fork, 13 rollback, 14 missing object,
    /// 15 canonical form, 16 pairing or gap, 17 time order.
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// The audit folder, `audit` below the store
    folder: PathBuf,
    /// The log's public key, if you have it from elsewhere; else the one in the folder is used
    #[arg(long)]
    vkey: Option<String>,
    /// A checkpoint that you kept: the log must still contain it
    #[arg(long)]
    since: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Act::Verify(arguments) = &arguments.act;
    let audit = verify_log(arguments)?;
    if arguments.json {
        println!("{:#}", audit.report);
    } else {
        println!("{}", audit.text);
    }
    Ok(ExitCode::from(audit.exit_code))
}

/// Verifies the log in a folder with the key that lies in it.
pub(crate) fn verify_folder(folder: &Path) -> Result<Audit, Failure> {
    verify_log(&Verify { folder: folder.to_path_buf(), vkey: None, since: None, json: true })
}

fn verify_log(arguments: &Verify) -> Result<Audit, Failure> {
    let key = key(arguments)?;
    let known = known(arguments, &key)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    let expected = Expectations { known: &known, ..Expectations::new(&key, now) };
    let bar = bar(arguments.json);
    let report = verify(&DirFetch::new(&arguments.folder), &expected, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        let text = format!("read the audit log in {}: {error}", arguments.folder.display());
        Failure::coded(code::AUDIT_MISSING, text, UNAVAILABLE)
    })?;
    let text = text(&report, arguments.vkey.is_none());
    let exit_code = report.exit_code();
    let report = serde_json::to_value(&report).unwrap_or_default();
    Ok(Audit { exit_code, text, report })
}

fn key(arguments: &Verify) -> Result<NoteVerifier, Failure> {
    let text = match &arguments.vkey {
        Some(text) => text.clone(),
        None => {
            let path = arguments.folder.join("vkey");
            std::fs::read_to_string(&path).map_err(|error| {
                let text = format!("read {}: {error}; give the key with --vkey", path.display());
                Failure::coded(code::STORE_MISSING, text, UNAVAILABLE)
            })?
        }
    };
    NoteVerifier::parse(text.trim()).map_err(|error| {
        Failure::coded(code::AUDIT_SIGNATURE, format!("read the public key: {error}"), BAD_INPUT)
    })
}

fn known(arguments: &Verify, key: &NoteVerifier) -> Result<Vec<Checkpoint>, Failure> {
    let Some(path) = &arguments.since else { return Ok(Vec::new()) };
    let note = std::fs::read(path)
        .map_err(|error| Failure::plain(format!("read {}: {error}", path.display()), BAD_INPUT))?;
    let checkpoint = Checkpoint::open(&note, key).map_err(|error| {
        let text = format!("open {}: {error}", path.display());
        Failure::coded(code::AUDIT_SIGNATURE, text, BAD_INPUT)
    })?;
    Ok(vec![checkpoint])
}

fn bar(is_quiet: bool) -> ProgressBar {
    if is_quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} leaves, {per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn text(report: &Report, key_is_from_folder: bool) -> String {
    let mut lines = Vec::new();
    let size = report.size.unwrap_or_default();
    if report.is_sound() {
        let records: Vec<String> =
            report.records.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        lines.push(format!(
            "sound: {size} leaves ({}), {} acknowledgement records",
            records.join(", "),
            report.acknowledgements
        ));
        lines.push(format!("{} events are not settled yet", report.open_intents));
    } else {
        lines
            .push(format!("NOT SOUND: {} faults in {size} leaves of {}", report.faults_total, report.origin));
        lines.extend(report.faults.iter().map(|fault| format!("  exit code {}: {fault}", fault.exit_code())));
    }
    match report.trust {
        Trust::SelfAttested => lines.push(
            "self-attested, not witnessed: whoever holds the signing key could have rewritten all of it"
                .into(),
        ),
    }
    if key_is_from_folder {
        lines.push("the public key was read from the folder itself; give --vkey with one that you have from elsewhere".into());
    }
    lines.join("\n  ")
}
