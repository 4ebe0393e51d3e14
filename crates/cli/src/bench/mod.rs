//! `writ bench`: measurements that ship with the engine, each beside a floor measured in the same run on the
//! same machine. What they measure and how is in `docs/reference/benchmarks.md`.

mod append;
mod capture;
mod ceiling;
mod database;
mod disk;
mod engine;
mod figure;
mod floor;
mod gate;
mod latency;
mod load;
mod outage;
mod process;
mod receiver;
mod receivers;
mod recovery;
mod replay;
mod report;
mod specimen;
mod stage;
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
    /// A replay of many events to one subscriber beside live lanes, and what the others notice of it
    Replay(replay::Arguments),
    /// One subscriber dead for a while: what the others notice of it, and how it catches up
    Outage(outage::Arguments),
    /// Durable appends to the log beside raw group-committed appends of the same bytes
    Append(append::Arguments),
    /// One decision of the gate on an event of 1 KiB, beside a parse of the same document
    Gate(gate::Arguments),
    /// Synced writes at the pace of commits, alone and while other files are written: the floor under every latency
    Disk(disk::Arguments),
    /// A backlog of PostgreSQL to events durable in the log, beside pg_recvlogical of the same backlog
    Capture(capture::Arguments),
    /// The receivers of a benchmark, in a process of their own
    #[command(hide = true)]
    Receiver(receiver::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.bench {
        Bench::Ceiling(arguments) => block_on(ceiling::run("ceiling", arguments)),
        Bench::Capacity(arguments) => block_on(ceiling::run("capacity", arguments.without_a_rate())),
        Bench::Recovery(arguments) => block_on(recovery::run(arguments)),
        Bench::Replay(arguments) => block_on(replay::run(arguments)),
        Bench::Outage(arguments) => block_on(outage::run(arguments)),
        Bench::Append(arguments) => append::run(arguments),
        Bench::Disk(arguments) => disk::run(arguments),
        Bench::Gate(arguments) => gate::run(arguments),
        Bench::Capture(arguments) => block_on(capture::run(arguments)),
        Bench::Receiver(arguments) => receiver::run(&arguments),
    }
}
