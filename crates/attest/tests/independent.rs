//! A verifier that others wrote: Go's golang.org/x/mod/sumdb/{note,tlog} accepts our logs and no mutant.
//!
//! Needs the `go` command and its module proxy or cache. Without them the test says so and passes, unless
//! `WRIT_REQUIRE_SERVICES=1` demands it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test runs a program and may panic"
)]

mod sample;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sample::published::{Objects, publish};
use sample::{log, signer};

fn write(objects: &Objects, dir: &Path) {
    for (path, bytes) in &objects.0 {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The built program, or why it cannot be built.
fn build(dir: &Path) -> Result<PathBuf, String> {
    let program = dir.join("oracle");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    let built = Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(source).output();
    match built {
        Err(error) => Err(format!("go does not run: {error}")),
        Ok(output) if !output.status.success() => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Ok(_) => Ok(program),
    }
}

fn run(program: &Path, objects: &Objects, earlier: Option<&Objects>) -> Output {
    let dir = tempfile::tempdir().unwrap();
    write(objects, dir.path());
    let mut command = Command::new(program);
    command.arg(signer().verifier().to_string()).arg(dir.path());
    if let Some(earlier) = earlier {
        let path = dir.path().join("earlier");
        std::fs::write(&path, &earlier.0["checkpoint"]).unwrap();
        command.arg(path);
    }
    command.output().unwrap()
}

#[test]
fn gos_own_verifier_accepts_our_logs_and_refuses_their_mutants() {
    let dir = tempfile::tempdir().unwrap();
    let program = match build(dir.path()) {
        Ok(program) => program,
        Err(cause) => {
            let is_required = std::env::var("WRIT_REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!is_required, "WRIT_REQUIRE_SERVICES=1, and the Go verifier cannot be built: {cause}");
            eprintln!("SKIPPED: the Go verifier cannot be built, our logs were NOT checked by it: {cause}");
            return;
        }
    };
    for size in [1, 2, 255, 256, 257, 700] {
        let output = run(&program, &publish(&log(size)), Some(&publish(&log(size / 2 + 1))));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!("verified {size} entries\n"), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let objects = publish(&log(300));
    for path in ["checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"] {
        let mut mutant = objects.clone();
        mutant.0.get_mut(path).unwrap()[30] ^= 1;
        assert!(!run(&program, &mutant, None).status.success(), "{path}");
    }
    let mut fork = log(100);
    fork[7] = sample::attestation(8, 2, 2);
    assert!(!run(&program, &objects, Some(&publish(&fork))).status.success(), "a fork");
}
