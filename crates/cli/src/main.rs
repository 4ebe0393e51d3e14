//! The `writ` command. Parses arguments and calls one file per command; exit codes are in
//! `docs/reference/exit-codes.md`.
#![expect(clippy::print_stderr, reason = "errors and progress go to standard error")]

// First: the macros in it stand for the standard ones in all that follows.
#[macro_use]
mod out;

mod bench;
mod client;
pub(crate) mod command;
mod config_file;
mod demo;
mod exit;
mod finding;
mod sandbox;

use std::process::ExitCode;

use clap::Parser;

/// Events are made on one thread and let go on others; see ADR 0026.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Customer change events, delivered with proof.
#[derive(Debug, Parser)]
#[command(name = "writ", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    // One TLS provider for the whole process, before anything builds a TLS configuration.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let arguments = Arguments::parse();
    match command::run(arguments.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
