//! Is the house in order? `cargo xtask <command>`: tidy, codegen, services, test, ci, soak, hooks.
//!
//! One file per command. Nothing here is needed to use Writ.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool reports to its terminal")]

mod ci;
mod codegen;
mod hooks;
mod services;
mod soak;
mod source;
mod stage;
mod suite;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy              check the rules of the house that are not the compiler's
  codegen [--check] write what follows from other files: connector registry, statutes
  services          install the Debian packages that the tests need
  test              services, then every test; nothing is skipped
  ci [--skip STAGE] fmt, test, clippy, tidy, sim, fuzz, deny, docs
  soak [NAME]       one long run, resumable, with a result under docs/reference/soak
  hooks             install the pre-commit hook (fmt and tidy)";

/// What every command answers: a message that says what failed and what to do.
type Answer = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Answer {
    match words {
        ["tidy"] => tidy::run(),
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
        ["services"] => services::run(),
        ["test"] => suite::run(),
        ["ci"] => ci::run(&[]),
        ["ci", "--skip", skipped @ ..] => ci::run(skipped),
        ["soak"] => soak::list(),
        ["soak", name] => soak::run(name),
        ["hooks"] => hooks::run(),
        _ => Err(format!("unknown command {words:?}\n{USAGE}")),
    }
}
