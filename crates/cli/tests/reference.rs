//! The reference page of the commands has every command and option that the binary has.

use std::process::Command;

const PAGE: &str = include_str!("../../../docs/reference/commands.md");

fn help(command: &str) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_writ")).args(command.split_whitespace()).arg("--help").output();
    String::from_utf8(output.expect("the binary runs").stdout).expect("text")
}

/// The text under a command's heading.
fn section(command: &str) -> &'static str {
    let heading = format!("## writ {command}\n");
    let start = PAGE.find(&heading).unwrap_or_else(|| panic!("no heading for writ {command}"));
    let text = &PAGE[start + heading.len()..];
    &text[..text.find("\n## ").unwrap_or(text.len())]
}

/// First words of the indented lines under `heading`.
fn listed<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = help.lines().skip_while(move |line| *line != heading).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    let words = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    words.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help").collect()
}

/// A command with subcommands that also does something by itself.
fn stands_alone(help: &str) -> bool {
    help.lines().any(|line| line.starts_with("Usage:") && !line.ends_with("<COMMAND>"))
}

#[test]
fn every_command_has_a_heading_and_every_heading_is_a_command() {
    let mut commands = Vec::new();
    let top = help("");
    for command in listed(&top, "Commands:") {
        let below = help(command);
        match listed(&below, "Commands:").as_slice() {
            [] => commands.push(command.to_owned()),
            subcommands => {
                if stands_alone(&below) {
                    commands.push(command.to_owned());
                }
                commands.extend(subcommands.iter().map(|sub| format!("{command} {sub}")));
            }
        }
    }
    let headings: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("## writ ")).collect();
    assert_eq!(headings, commands);
}

#[test]
fn every_option_is_named_under_its_command() {
    for command in PAGE.lines().filter_map(|line| line.strip_prefix("## writ ")) {
        let help = help(command);
        let options = help.split_whitespace().filter(|word| word.starts_with("--"));
        for option in options.map(|word| word.trim_matches(|c: char| !c.is_ascii_lowercase() && c != '-')) {
            let is_common = matches!(option, "--help" | "--version");
            assert!(is_common || section(command).contains(option), "writ {command} {option}");
        }
    }
}
