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
        None if asks => {
            let answer = ask("Where are your records, postgres or sqlite? [postgres]")?;
            Source::from_str(&answer, true).unwrap_or(Source::Postgres)
        }
        None => Source::Postgres,
    };
    let webhook = match &arguments.webhook {
        Some(url) => url.clone(),
        None if asks => ask("Which URL shall receive events? [http://127.0.0.1:9000/events]")?,
        None => String::new(),
    };
    let webhook = if webhook.is_empty() { "http://127.0.0.1:9000/events".to_owned() } else { webhook };
    let config = config(source, &webhook);
    let folder = &arguments.folder;
    std::fs::create_dir_all(folder.join("policies"))?;
    std::fs::create_dir_all(folder.join("schemas"))?;
    write_new(&folder.join("writ.yaml"), &config)?;
    write_new(&folder.join("policies/writ.rego"), POLICY)?;
    write_new(&folder.join(".gitignore"), "data/\n*.key\n")?;
    if let Source::Postgres = source {
        println!("\nThe database's URL is read from the environment: export WRIT_SHOP_URL=postgres://...");
    }
    println!("\nNext: edit writ.yaml, then `writ check --connect` and `writ run`.");
    Ok(ExitCode::SUCCESS)
}

fn config(source: Source, webhook: &str) -> String {
    let table = match source {
        Source::Postgres => POSTGRES,
        Source::Sqlite => SQLITE,
    };
    CONFIG.replace("@SOURCE@\n", table).replace("@WEBHOOK@", &quoted(webhook))
}

/// A URL as YAML: quoted, so that nothing in it is read as YAML.
fn quoted(url: &str) -> String {
    serde_json::Value::from(url).to_string()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_file;

    fn mistakes(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("writ.yaml");
        std::fs::write(&path, text).expect("write");
        let loaded = config_file::read(&path).map_err(|mistake| mistake.to_string());
        loaded.map_or_else(
            |mistake| vec![mistake],
            |loaded| config_file::mistakes(&loaded).iter().map(ToString::to_string).collect(),
        )
    }

    /// Every example made a key: `#` without a space after it begins one.
    fn with_examples(text: &str) -> String {
        let line = |line: &str| match line.trim_start().strip_prefix('#') {
            Some(rest) if !rest.is_empty() && (!rest.starts_with(' ') || rest.starts_with("  ")) => {
                line.replacen('#', "", 1)
            }
            Some(_) | None => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_written_has_no_mistake_and_neither_have_its_examples() {
        for source in [Source::Postgres, Source::Sqlite] {
            let text = config(source, "http://127.0.0.1:9000/events");
            assert_eq!(mistakes(&text), Vec::<String>::new(), "{source:?}");
            let whole = with_examples(&text);
            assert!(
                whole.contains("\n    secrets: [env:") && whole.contains("\n    - name: oncall"),
                "{whole}"
            );
            assert_eq!(mistakes(&whole), Vec::<String>::new(), "{source:?}\n{whole}");
        }
    }

    #[test]
    fn a_url_with_yaml_in_it_stays_a_url() {
        let text = config(Source::Sqlite, "http://h/?a=b: c # \"d\"");
        assert_eq!(mistakes(&text), Vec::<String>::new());
    }
}
