//! Runs one step of a command: says what it runs, lets it talk to the terminal, says how long it took.

use std::process::Command;
use std::time::Instant;

use crate::tree::root;

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stage {
    /// How it is called in the output.
    pub(crate) name: &'static str,
    /// The program and its arguments.
    pub(crate) command: &'static [&'static str],
    /// Set in its environment.
    pub(crate) env: &'static [(&'static str, &'static str)],
}

impl Stage {
    /// Runs it in the root of the repository. An error names the stage and how it ended.
    pub(crate) fn run(&self) -> crate::Answer {
        println!("\n== {}: {}", self.name, self.command.join(" "));
        let begun = Instant::now();
        let (program, arguments) = self.command.split_first().expect("a stage names a program");
        let status = Command::new(program)
            .args(arguments)
            .envs(self.env.iter().copied())
            .current_dir(root())
            .status()
            .map_err(|error| format!("{}: {program} does not start: {error}", self.name))?;
        let seconds = begun.elapsed().as_secs();
        if status.success() {
            println!("== {}: passed in {seconds} s", self.name);
            return Ok(());
        }
        Err(format!(
            "{} failed after {seconds} s ({status}); repeat it with `{}`",
            self.name,
            self.command_line()
        ))
    }

    /// What a person would type.
    fn command_line(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{name}='{value}'"));
        env.chain(self.command.iter().map(|word| (*word).to_owned())).collect::<Vec<_>>().join(" ")
    }
}

/// The command is installed: it answers to these arguments.
pub(crate) fn answers(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_stage_says_how_to_repeat_it() {
        let stage = Stage { name: "false", command: &["false", "-x"], env: &[("A", "1")] };
        let message = stage.run().expect_err("false fails");
        assert!(message.ends_with("repeat it with `A='1' false -x`"), "{message}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let stage = Stage { name: "absent", command: &["no-such-program-at-all"], env: &[] };
        assert!(stage.run().expect_err("it is absent").contains("does not start"));
        assert!(!answers(&["no-such-program-at-all"]));
    }
}
