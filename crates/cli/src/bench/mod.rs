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
mod recovery;
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
    /// The same as fast as it goes: `ceiling --rate max --intake-batch 100`
    Capacity(ceiling::Arguments),
    /// From a SIGKILL to the next delivery, on a store of many events
    Recovery(recovery::Arguments),
    /// The receivers of a benchmark, in a process of their own
    #[command(hide = true)]
    Receiver(receiver::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.bench {
        Bench::Ceiling(arguments) => block_on(ceiling::run("ceiling", arguments)),
        Bench::Capacity(arguments) => block_on(ceiling::run("capacity", arguments.without_a_rate())),
        Bench::Recovery(arguments) => block_on(recovery::run(arguments)),
        Bench::Receiver(arguments) => receiver::run(&arguments),
    }
}
