//! One file per command.

mod assess;
pub(crate) mod audit;
mod check;
mod dead_letters;
pub(crate) mod deadline;
mod doctor;
mod findings;
mod hold;
mod init;
mod replay;
mod requests;
mod retention;
mod run;
mod saga;
mod seen;
mod status;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::config_file::{self, Loaded};
use crate::exit::Failure;

/// What `writ` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch one change travel from a database to every subscriber, with proof: the acceptance stories
    Demo(crate::demo::Arguments),
    /// Write a commented configuration to start from
    Init(init::Arguments),
    /// Check configuration, schemas, policies and, with --connect, the systems behind them
    Check(check::Arguments),
    /// Say what the configuration leaves open, the worst first; works without an engine
    Assess(assess::Arguments),
    /// Run the engine
    Run(run::Arguments),
    /// Show sources, lanes and breakers of the running engine
    Status(status::Arguments),
    /// List open findings: what to deal with, and by when
    Findings(findings::Arguments),
    /// Show the life of one event or subject
    Trace(trace::Arguments),
    /// Show which subscribers have seen a write, or wait until they have
    Seen(seen::Arguments),
    /// Deliver selected events of the log to one subscriber again
    Replay(replay::Arguments),
    /// Show what would leave the log, and why the rest stays
    Retention(retention::Arguments),
    /// Place, list and release legal holds
    Hold(hold::Arguments),
    /// Merge, split and erase in steps that every subscriber takes
    Saga(saga::Arguments),
    /// Open, follow and close privacy requests, with the dates that the law gives
    Requests(requests::Arguments),
    /// List, redrive or discard dead letters
    DeadLetters(dead_letters::Arguments),
    /// Say when a duty under a law is due, and why; works without an engine
    Deadline(deadline::Arguments),
    /// Verify the audit log; works without a running engine
    Audit(audit::Arguments),
    /// Look at the machine: disk sync, clock, permissions
    Doctor(doctor::Arguments),
    /// Measure, beside a floor measured in the same run
    Bench(crate::bench::Arguments),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigPath {
    /// The configuration file
    #[arg(short, long, default_value = "writ.yaml", env = "WRIT_CONFIG")]
    pub(crate) config: PathBuf,
}

impl ConfigPath {
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        config_file::load(&self.config)
    }
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo(arguments) => block_on(crate::demo::run(arguments)),
        Command::Init(arguments) => init::run(&arguments),
        Command::Check(arguments) => block_on(check::run(arguments)),
        Command::Assess(arguments) => assess::run(&arguments),
        Command::Run(arguments) => block_on(run::run(arguments)),
        Command::Status(arguments) => block_on(status::run(arguments)),
        Command::Findings(arguments) => block_on(findings::run(arguments)),
        Command::Trace(arguments) => block_on(trace::run(arguments)),
        Command::Seen(arguments) => block_on(seen::run(arguments)),
        Command::Replay(arguments) => block_on(replay::run(arguments)),
        Command::Retention(arguments) => block_on(retention::run(arguments)),
        Command::Hold(arguments) => block_on(hold::run(arguments)),
        Command::Saga(arguments) => block_on(saga::run(arguments)),
        Command::Requests(arguments) => block_on(requests::run(arguments)),
        Command::DeadLetters(arguments) => block_on(dead_letters::run(arguments)),
        Command::Deadline(arguments) => deadline::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Bench(arguments) => crate::bench::run(arguments),
    }
}

/// Threads for calls that block: reads of the log, the file subscriber, name servers. The runtime's own bound is
/// 512, and every thread keeps memory of the allocator.
const BLOCKING_THREADS_MAX: usize = 16;

/// Two workers: the engine's threads and tasks are few, and a small machine is the common case.
pub(crate) fn block_on(task: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()?;
    runtime.block_on(task)
}
