//! The metrics page.

use crate::client::Answer;
use crate::rig::{Rig, email};

/// What one accepted, one repeated and one quarantined change must show.
const AFTER_TRAFFIC: &[&str] = &[
    "writ_events_stored_total{source=\"events\",change_type=\"email\"}",
    "writ_changes_duplicate_total{source=\"events\"}",
    "writ_events_withheld_total{as=\"quarantined\"}",
    "writ_commits_total",
    "writ_commit_seconds_count",
    "writ_log_end",
    "writ_state_applied",
    "writ_deliveries_acknowledged_total{subscriber=\"archive\"}",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_page_counts_what_happened() {
    let rig = Rig::start().await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    rig.push(&email("e1", "1", "ada@example.org")).await;
    rig.push(&email("e2", "2", "no address")).await;
    let is_whole = |answer: &Answer| AFTER_TRAFFIC.iter().all(|name| answer.text.contains(name));
    let page = rig.get_until("/metrics", is_whole).await;
    assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}
