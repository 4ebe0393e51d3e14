//! Small things that every benchmark's figures are made with.

use std::path::PathBuf;
use std::time::Duration;

use crate::exit::{BAD_INPUT, Failure};

/// A folder of the benchmark's own, removed when dropped.
pub(super) fn folder(parent: Option<&PathBuf>) -> Result<tempfile::TempDir, Failure> {
    let parent = parent.cloned().unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new().prefix("writ-bench-").tempdir_in(&parent).map_err(|error| {
        Failure::plain(
            format!("make a folder in {}: {error}; give another with --folder", parent.display()),
            BAD_INPUT,
        )
    })
}

/// Milliseconds.
pub(super) fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// Milliseconds, from microseconds.
pub(super) fn micros_to_ms(micros: u64) -> f64 {
    float(micros) / 1e3
}

/// Mebibytes.
pub(super) fn mib(bytes: u64) -> f64 {
    float(bytes) / f64::from(1 << 20)
}

/// One figure over another; 0 where there is nothing to divide by.
pub(super) fn over(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
