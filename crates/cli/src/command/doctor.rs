//! `writ doctor`: the machine under the store. How long a sync takes, whether the clock is sane, who may read
//! the keys, what the storage can promise.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::ConfigPath;
use crate::exit::{DOES_NOT_HOLD, Failure};
use crate::finding::{self, Finding};

/// Syncs that are timed.
const SYNCS: usize = 64;
/// Bytes written before each.
const BLOCK: usize = 4096;
/// A sync that returns faster than this, every time, may not reach a disk.
const SUSPICIOUS: Duration = Duration::from_micros(20);
/// 2024-01-01: a clock before it was never set.
const EARLIEST_SECS: u64 = 1_704_067_200;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigPath,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let loaded = arguments.config.load()?;
    let store = &loaded.config.store.path;
    std::fs::create_dir_all(store)?;
    let findings = vec![sync(store)?, clock(), keys(store), ladder(store)];
    let holds = finding::print(&findings, arguments.json);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

fn sync(store: &Path) -> Result<Finding, Failure> {
    let path = store.join(".doctor");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[0; BLOCK])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort();
    let (median, worst) = (times[SYNCS / 2], times[SYNCS - 1]);
    let text = format!("a sync of {BLOCK} bytes takes {median:?} (median), {worst:?} (longest of {SYNCS})");
    if median < SUSPICIOUS {
        let remedy = "check that the disk (or the host below a virtual one) does not cache writes that it reports as synced";
        return Ok(Finding::warning("store sync", text, remedy));
    }
    Ok(Finding::ok("store sync", text))
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now.as_secs() < EARLIEST_SECS {
        return Finding::error(
            "WRIT-7017",
            "clock",
            "the clock is before 2024",
            "set it, and keep it set by NTP",
        );
    }
    Finding::ok("clock", format!("{} s since 1970", now.as_secs()))
}

fn keys(store: &Path) -> Finding {
    let vault = store.join("vault");
    let mode = |path: &Path| std::fs::metadata(path).map(|meta| meta.permissions().mode() & 0o777).ok();
    let open = ["master.key", "kek"]
        .into_iter()
        .find(|name| mode(&vault.join(name)).is_some_and(|m| m & 0o077 != 0));
    match open {
        Some(name) => {
            let cause = format!("vault/{name} can be read by others");
            Finding::error("WRIT-5007", "keys", cause, "chmod 600 it, then rotate: others may have a copy")
        }
        None if vault.exists() => Finding::ok("keys", "the vault's keys are readable by their owner only"),
        None => Finding::ok("keys", "there is no vault yet"),
    }
}

/// What the storage under the audit log can promise: a local directory is tamper-evident, never write-once.
fn ladder(store: &Path) -> Finding {
    let audit = store.join("audit");
    let text =
        "level 0, local directory: changes to the audit log are found by `writ audit verify`, not prevented";
    if audit.exists() {
        Finding::ok("audit storage", text)
    } else {
        Finding::ok("audit storage", "there is no audit log yet")
    }
}
