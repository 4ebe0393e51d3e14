//! Everything that must hold before a commit reaches others. CI runs exactly this.

use crate::stage::{Stage, answers};
use crate::{suite, tidy};

/// What a stage does.
enum Step {
    Command(Stage),
    /// A tool that not every machine has: the command that shows it is there, and what is lost without it.
    Optional(Stage, &'static [&'static str], &'static str),
    Call(fn() -> crate::Answer),
}

/// The stable driver; the coverage-guided form is for soaks.
const FUZZ: &[&str] =
    &["cargo", "run", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target", "--bin", "writ-fuzz"];

/// In the order in which failures are cheapest to find.
fn steps() -> Vec<(&'static str, Step)> {
    let command = |name, command, env| (name, Step::Command(Stage { name, command, env }));
    vec![
        command("fmt", &["cargo", "fmt", "--all", "--check"], &[]),
        ("tidy", Step::Call(tidy::run)),
        ("test", Step::Call(suite::run)),
        command("clippy", &["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
        command("sim", &["cargo", "test", "-p", "writ-sim"], &[("WRIT_SIM_SEEDS", "200")]),
        command("fuzz", FUZZ, &[("WRIT_FUZZ_SECONDS", "60")]),
        ("deny", deny()),
        command("docs", &["cargo", "doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]),
    ]
}

/// Advisories need a database from the network; licences, bans and sources do not.
fn deny() -> Step {
    let command = &["cargo", "deny", "--offline", "check", "licenses", "bans", "sources"];
    let lost = "bans and sources are not checked here; tidy has checked licences and the lock file";
    Step::Optional(Stage { name: "deny", command, env: &[] }, &["cargo", "deny", "--version"], lost)
}

/// Runs every stage but the skipped ones and stops at the first that fails.
pub(crate) fn run(skipped: &[&str]) -> crate::Answer {
    let steps = steps();
    if let Some(unknown) = skipped.iter().find(|name| !steps.iter().any(|(known, _)| known == *name)) {
        let known: Vec<&str> = steps.iter().map(|(name, _)| *name).collect();
        return Err(format!("ci: no stage {unknown}; there are {known:?}"));
    }
    let mut lost = Vec::new();
    for (name, step) in steps.iter().filter(|(name, _)| !skipped.contains(name)) {
        match step {
            Step::Command(stage) => stage.run()?,
            Step::Call(call) => call()?,
            Step::Optional(stage, probe, _) if answers(probe) => stage.run()?,
            Step::Optional(_, probe, what) => {
                lost.push(format!("{name}: `{}` is missing; {what}", probe.join(" ")))
            }
        }
    }
    for what in &lost {
        println!("\n!! NOT RUN: {what}");
    }
    println!(
        "\nci: passed{}",
        if skipped.is_empty() { String::new() } else { format!(" without {skipped:?}") }
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_does_not_exist_cannot_be_skipped() {
        assert!(run(&["tests"]).expect_err("it is called test").contains("no stage tests"));
    }
}
