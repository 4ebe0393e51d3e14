//! `writ bench`: measurements that ship with the engine, each beside a floor measured in the same run on the
//! same machine. What they measure and how is in `docs/reference/benchmarks.md`.

mod ceiling;
mod engine;
mod floor;
mod latency;
mod load;
mod process;
mod receiver;
mod receivers;
mod report;
mod wire;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::command::block_on;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Events into the HTTP intake, batches out to many webhooks, everything on
    Ceiling(ceiling::Arguments),
    /// The receivers of a benchmark, in a process of their own
    #[command(hide = true)]
    Receiver(receiver::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.bench {
        Bench::Ceiling(arguments) => block_on(ceiling::run(arguments)),
        Bench::Receiver(arguments) => receiver::run(&arguments),
    }
}
