//! Prints `docs/reference/statutes.md`; `cargo xtask codegen` calls it.
#![expect(clippy::print_stdout, reason = "the page is the output")]

use std::process::ExitCode;

use writ_statutes::page::page;
use writ_statutes::table::Table;

fn main() -> ExitCode {
    match Table::shipped() {
        Ok(table) => {
            print!("{}", page(&table));
            ExitCode::SUCCESS
        }
        Err(findings) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            ExitCode::FAILURE
        }
    }
}
