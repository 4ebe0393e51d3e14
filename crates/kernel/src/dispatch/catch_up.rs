//! How fast does a lane come back that has fallen behind? What it reads then is in memory no more: each event is read from
//! disk and opened for this lane alone, beside lanes that keep up. So it goes through the log at twice the speed at which
//! that was written, and never slower than a floor: an hour's backlog is gone in an hour, and takes no more of the machine than
//! live traffic of twice the rate.

use std::time::Duration;

use super::Item;

/// How many times as fast as the log was written it is read.
pub const TIMES: u32 = 2;

/// Events a second that a lane may read in any case.
pub const LEAST_PER_SECOND: u32 = 2000;

/// How long a lane waits before it reads on behind a stretch that came from disk, in log order.
pub(super) fn wait(items: &[Item]) -> Duration {
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return Duration::ZERO };
    let written = u64::try_from(last.recorded_at.0.saturating_sub(first.recorded_at.0)).unwrap_or_default();
    let events = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let longest = Duration::from_secs(1).saturating_mul(events) / LEAST_PER_SECOND;
    (Duration::from_micros(written) / TIMES).min(longest)
}
