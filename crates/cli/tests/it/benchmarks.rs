//! The benchmarks run, conserve every event and print what their reference names. Their figures are not looked at.

use serde_json::Value;
use tokio::process::Command;

use crate::stage::binary;

/// The report of a small run, which must hold.
async fn report(arguments: &[&str]) -> Value {
    let out = Command::new(binary()).arg("bench").args(arguments).arg("--json").output().await;
    let out = out.expect("run the benchmark");
    let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{arguments:?}: {text}{errors}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("JSON: {text}"))
}

fn names(report: &Value, figures: &[&str]) {
    let summary = report["summary"].as_object().expect("a summary");
    figures.iter().for_each(|figure| assert!(summary.contains_key(*figure), "{figure}: {report:#}"));
    assert!(report["method"].as_array().is_some_and(|method| !method.is_empty()), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_are_found_by_a_new_opening_and_stand_beside_their_floor() {
    let report = report(&["append", "--commits", "5", "--runs", "1"]).await;
    names(&report, &["events_per_second", "floor_events_per_second", "ratio_append_to_floor"]);
    assert_eq!(report["runs"][0]["conservation"]["delivered"], 5 * 64, "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_beside_live_lanes_is_delivered_once_more_and_to_nobody_else() {
    let small = ["--events", "200", "--seconds", "1", "--rate", "50", "--subscribers", "2"];
    let report = report(&[&["replay"], &small[..]].concat()).await;
    names(
        &report,
        &["live_p99_alone_ms", "live_p99_beside_ms", "ratio_live_p99", "ratio_replay_to_http_floor"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_was_dead_for_a_while_gets_everything_once() {
    let small = ["--seconds", "2", "--around", "1", "--rate", "50", "--subscribers", "2"];
    let report = report(&[&["outage"], &small[..]].concat()).await;
    names(&report, &["ratio_others_p99_during", "catch_up_events_per_second", "source_answer_p99_during_ms"]);
    assert_eq!(report["runs"][0]["conservation"]["refused"], 0, "{report:#}");
}
