//! `writ bench`.
use std::process::ExitCode;

use clap::Args;

use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(_arguments: Arguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
