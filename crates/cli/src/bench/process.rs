//! What the kernel says of a process: CPU time, by thread too, peak of resident memory; and of a folder:
//! bytes on disk. Linux only; elsewhere the figures read zero.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Units of CPU time in `/proc`, per second: `USER_HZ` is 100 on every Linux port.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where a stat line has user and system time, counted after the command's closing parenthesis.
const UTIME: usize = 11;

/// One process, by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// This process.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }

    /// User and system time of all threads, ended ones included, in seconds.
    pub(super) fn cpu_seconds(self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        cpu_of(&stat).map_or(0.0, |(_, seconds)| seconds)
    }

    /// CPU seconds of the living threads, added up by thread name.
    pub(super) fn cpu_by_thread(self) -> BTreeMap<String, f64> {
        let mut by_name = BTreeMap::new();
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.0)) else { return by_name };
        for task in tasks.flatten() {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let Some((name, seconds)) = cpu_of(&stat) else { continue };
            *by_name.entry(name.to_owned()).or_default() += seconds;
        }
        by_name
    }

    /// The largest resident set so far, in bytes.
    pub(super) fn rss_peak_bytes(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }
}

/// How many tasks wanted a core over the last minute: what else the machine was doing before a run.
pub(super) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// The command's name and its CPU seconds, from a stat line.
fn cpu_of(stat: &str) -> Option<(&str, f64)> {
    let name = &stat[stat.find('(')? + 1..stat.rfind(')')?];
    let after = &stat[stat.rfind(')')? + 1..];
    let ticks: f64 =
        after.split_whitespace().skip(UTIME).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    Some((name, ticks / TICKS_PER_SECOND))
}

/// Bytes that everything under a folder takes on disk; reserved and never written space does not count.
pub(super) fn disk_bytes(path: &Path) -> u64 {
    const BLOCK: u64 = 512;
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    let own = metadata.blocks() * BLOCK;
    let Ok(entries) = std::fs::read_dir(path) else { return own };
    own + entries.flatten().map(|entry| disk_bytes(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_a_name_with_spaces_and_parentheses() {
        let line = "42 (tokio (rt) w) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 4 0 7 8";
        let (name, seconds) = cpu_of(line).expect("a stat line");
        assert_eq!(name, "tokio (rt) w");
        assert!((seconds - 2.0).abs() < 1e-9);
    }

    #[test]
    fn bytes_on_disk_do_not_count_what_is_only_reserved() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = std::fs::File::create(folder.path().join("segment")).expect("a file");
        file.set_len(64 << 20).expect("reserved");
        assert!(disk_bytes(folder.path()) < 1 << 20);
    }
}
