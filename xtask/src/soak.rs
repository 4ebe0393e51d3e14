//! Long runs, one per claim. Each repeats a test binary in batches until its count is reached, keeps its
//! place in `target/soak/`, and writes what it showed under `docs/reference/soak/`, with date and commit.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::tree::root;

/// One claim and how it is shown.
struct Soak {
    name: &'static str,
    claim: &'static str,
    /// The command that runs one batch.
    command: &'static [&'static str],
    /// Tells the command how many rounds a batch has.
    count_variable: &'static str,
    /// Tells the command where the batch begins, so that no two batches repeat a round.
    first_variable: &'static str,
    batch: u64,
    total: u64,
}

/// Capture under fire: a hundred thousand row changes of a real PostgreSQL in each batch.
const KILLS: &[&str] = &[
    "cargo",
    "test",
    "--release",
    "--workspace",
    "--test",
    "it",
    "a_hundred_thousand_changes_reach_every_live_webhook",
];

/// The simulator's own schedules. The whole workspace is chosen so that nothing is built anew with other features.
const SCHEDULES: &[&str] =
    &["cargo", "test", "--release", "--workspace", "--test", "simulation", "every_seed_holds_every_promise"];

const SOAKS: &[Soak] = &[
    Soak {
        name: "schedules",
        claim: "no simulated crash schedule loses, repeats beyond its guarantee, or misorders an event",
        command: SCHEDULES,
        count_variable: "WRIT_SIM_SEEDS",
        first_variable: "WRIT_SIM_FIRST",
        batch: 500,
        total: 10_000,
    },
    Soak {
        name: "kills",
        claim: "no SIGKILL under load loses, misorders or repeats under another id an event that a source had \
                acknowledged, by the receivers' own records, or leaves a store that does not open",
        command: KILLS,
        count_variable: "WRIT_KILLS",
        first_variable: "WRIT_FIRST_KILL",
        batch: 50,
        total: 1_000,
    },
    // A round is a second; the driver divides them among its nine targets, so that each gets an hour.
    Soak {
        name: "fuzz",
        claim: "no decoder panics, hangs or breaks its round trip in an hour of mutated inputs each",
        command: &["cargo", "run", "--release", "--manifest-path", "fuzz/Cargo.toml", "--bin", "writ-fuzz"],
        count_variable: "WRIT_FUZZ_SECONDS",
        first_variable: "WRIT_FUZZ_SEED",
        batch: 540,
        total: 32_400,
    },
];

const RESULTS: &str = "docs/reference/soak";

/// Prints what there is.
pub(crate) fn list() -> crate::Answer {
    for soak in SOAKS {
        println!("{:<10} {} rounds: {}", soak.name, soak.total, soak.claim);
    }
    Ok(())
}

/// Runs one soak from where it was left at this commit, and writes its result when it is done.
pub(crate) fn run(name: &str) -> crate::Answer {
    let soak = SOAKS.iter().find(|soak| soak.name == name);
    let soak = soak.ok_or_else(|| format!("no soak {name:?}; `cargo xtask soak` lists them"))?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    if !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
        return Err(
            "soak: the tree has changes; a result is stamped with a commit, so commit first".to_owned()
        );
    }
    let mut progress = Progress::open(soak.name, &commit)?;
    while progress.done < soak.total {
        let rounds = soak.batch.min(soak.total - progress.done);
        let begun = Instant::now();
        batch(soak, progress.done, rounds)?;
        progress.advance(rounds, begun.elapsed().as_secs())?;
        println!("soak {name}: {} of {} rounds, {} s", progress.done, soak.total, progress.seconds);
    }
    let path = write_result(soak, &commit, &progress)?;
    println!("soak {name}: held; wrote {path}, commit it");
    Ok(())
}

/// How old each committed result is: what tidy says beside its findings. A result that names a commit which
/// is not an ancestor is worth nothing.
pub(crate) fn ages() -> Vec<String> {
    let age = |soak: &Soak| {
        let path = format!("{RESULTS}/{}.md", soak.name);
        let text = fs::read_to_string(root().join(&path)).ok()?;
        let commit = commit_of(&text).unwrap_or("none");
        let behind =
            git(&["rev-list", "--count", &format!("{commit}..HEAD"), "--", "crates"]).unwrap_or_default();
        Some(match behind.as_str() {
            "0" => format!("{path}: holds for these sources"),
            "" => format!("{path}: its commit {commit} is not in this history; run the soak again"),
            count => format!(
                "{path}: {count} commits behind; run `cargo xtask soak {}` before claiming it",
                soak.name
            ),
        })
    };
    SOAKS.iter().filter_map(age).collect()
}

/// The commit in the table of a result.
fn commit_of(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(commit, _)| commit)
}

fn batch(soak: &Soak, first: u64, rounds: u64) -> crate::Answer {
    let (program, arguments) = soak.command.split_first().expect("a soak names a program");
    let status = Command::new(program)
        .args(arguments)
        .env("WRIT_REQUIRE_SERVICES", "1")
        .env(soak.count_variable, rounds.to_string())
        .env(soak.first_variable, first.to_string())
        .current_dir(root())
        .status()
        .map_err(|error| format!("soak {}: {program}: {error}", soak.name))?;
    if status.success() {
        return Ok(());
    }
    let repeat = format!(
        "{}={first} {}={rounds} {}",
        soak.first_variable,
        soak.count_variable,
        soak.command.join(" ")
    );
    Err(format!("soak {}: failed in rounds {first} to {}; repeat with `{repeat}`", soak.name, first + rounds))
}

/// How far a soak is at one commit. Another commit starts again.
struct Progress {
    path: PathBuf,
    commit: String,
    done: u64,
    seconds: u64,
}

impl Progress {
    fn open(name: &str, commit: &str) -> Result<Self, String> {
        let folder = root().join("target/soak");
        fs::create_dir_all(&folder).map_err(|error| format!("create {}: {error}", folder.display()))?;
        let path = folder.join(format!("{name}.progress"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let (done, seconds) = resume(&text, commit);
        Ok(Self { path, commit: commit.to_owned(), done, seconds })
    }

    fn advance(&mut self, rounds: u64, seconds: u64) -> crate::Answer {
        self.done += rounds;
        self.seconds += seconds;
        let text = format!("{} {} {}\n", self.commit, self.done, self.seconds);
        fs::write(&self.path, text).map_err(|error| format!("write {}: {error}", self.path.display()))
    }
}

/// Rounds and seconds already spent at this commit.
fn resume(text: &str, commit: &str) -> (u64, u64) {
    let mut words = text.split_whitespace();
    if words.next() != Some(commit) {
        return (0, 0);
    }
    let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    (number(), number())
}

fn write_result(soak: &Soak, commit: &str, progress: &Progress) -> Result<String, String> {
    let date = git(&["show", "-s", "--format=%cs", "HEAD"])?;
    let path = format!("{RESULTS}/{}.md", soak.name);
    let machine = format!("{} cores", std::thread::available_parallelism().map_or(1, usize::from));
    let text = format!(
        "# Soak: {}\n\nClaim: {}.\n\n| commit | commit date | rounds | failures | seconds | machine |\n\
         |---|---|---|---|---|---|\n| `{commit}` | {date} | {} | 0 | {} | {machine} |\n\n\
         Repeat it with `cargo xtask soak {}`.\n",
        soak.name, soak.claim, progress.done, progress.seconds, soak.name
    );
    let full = root().join(&path);
    fs::create_dir_all(root().join(RESULTS)).map_err(|error| format!("create {RESULTS}: {error}"))?;
    fs::write(&full, text).map_err(|error| format!("write {path}: {error}"))?;
    Ok(path)
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_goes_on_where_it_stopped_at_the_same_commit() {
        assert_eq!(resume("abc 150 60\n", "abc"), (150, 60));
    }

    #[test]
    fn a_result_tells_its_commit() {
        assert_eq!(
            commit_of("# Soak\n\n| commit | date |\n|---|---|\n| `abc123` | today |\n"),
            Some("abc123")
        );
        assert_eq!(commit_of("# Soak\n"), None);
    }

    #[test]
    fn a_soak_starts_again_at_another_commit() {
        assert_eq!(resume("abc 150 60\n", "def"), (0, 0));
        assert_eq!(resume("", "def"), (0, 0));
    }
}
