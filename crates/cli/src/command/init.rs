//! `writ init`: a commented configuration, a policy bundle, a folder for schemas. Never overwrites.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::exit::{BAD_INPUT, Failure};

const CONFIG: &str = include_str!("../../templates/writ.yaml");
const POSTGRES: &str = include_str!("../../templates/postgres.yaml");
const SQLITE: &str = include_str!("../../templates/sqlite.yaml");
const POLICY: &str = include_str!("../../templates/policy.rego");

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder to write into
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Ask nothing
    #[arg(short, long)]
    yes: bool,
    /// Where your records are
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// Where events are to go first
    #[arg(long)]
    webhook: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    Postgres,
    Sqlite,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let asks = !arguments.yes && std::io::stdin().is_terminal();
    let source = match arguments.source {
        Some(source) => source,
        None if asks && ask("Where are your records, postgres or sqlite? [postgres]")? == "sqlite" => Source::Sqlite,
        None => Source::Postgres,
    };
    let webhook = match &arguments.webhook {
        Some(url) => url.clone(),
        None if asks => ask("Which URL shall receive events? [http://127.0.0.1:9000/events]")?,
        None => String::new(),
    };
    let webhook = if webhook.is_empty() { "http://127.0.0.1:9000/events".to_owned() } else { webhook };
    let table = match source {
        Source::Postgres => POSTGRES,
        Source::Sqlite => SQLITE,
    };
    let config = CONFIG.replace("@SOURCE@\n", table).replace("@WEBHOOK@", &webhook);
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder.join("policies"))?;
    std::fs::create_dir_all(folder.join("schemas"))?;
    write_new(&folder.join("writ.yaml"), &config)?;
    write_new(&folder.join("policies/writ.rego"), POLICY)?;
    write_new(&folder.join(".gitignore"), "data/\n*.key\n")?;
    println!("\nNext: edit writ.yaml, then `writ check --connect` and `writ run`.");
    Ok(ExitCode::SUCCESS)
}

fn ask(question: &str) -> Result<String, Failure> {
    print!("{question} ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    match made {
        Ok(mut file) => {
            file.write_all(text.as_bytes())?;
            println!("wrote {}", path.display());
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("kept  {} (it is there already)", path.display());
            Ok(())
        }
        Err(error) => Err(Failure::plain(format!("write {}: {error}", path.display()), BAD_INPUT)),
    }
}
