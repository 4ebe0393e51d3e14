//! The benchmark itself works: its report has the documented shape and what was accepted was delivered. No
//! speed is asserted; that would fail on a busy machine.

use std::process::Command;

use serde_json::Value;

fn ceiling(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["bench", "ceiling", "--json", "--events", "200", "--subscribers", "3", "--batch", "20"])
        .args(arguments)
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn assert_conserved(run: &Value) {
    let conservation = &run["conservation"];
    assert_eq!(conservation["accepted"], 200, "{conservation}");
    assert_eq!(conservation["delivered"], 600, "{conservation}");
    assert_eq!(conservation["holds"], true, "{conservation}");
}

#[test]
fn everything_accepted_in_the_closed_loop_is_delivered_once_to_everybody() {
    let report = ceiling(&["--rate", "max", "--window", "50", "--runs", "2"]);
    let runs = report["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2);
    runs.iter().for_each(assert_conserved);
    assert!(report["method"].as_array().is_some_and(|method| !method.is_empty()));
}

#[test]
fn everything_accepted_in_the_open_loop_is_delivered_and_every_figure_is_there() {
    let report = ceiling(&["--rate", "1000"]);
    assert_conserved(&report["runs"][0]);
    let figures = [
        "accepted_events_per_second",
        "deliveries_per_second",
        "latency_p50_ms",
        "latency_p99_ms",
        "commit_p99_ms",
        "engine_rss_peak_mib",
        "disk_bytes_per_event",
        "floor_disk_group_mean_ms",
        "floor_http_deliveries_per_second",
        "ratio_deliveries_to_http_floor",
    ];
    for figure in figures {
        let spread = &report["summary"][figure];
        let value = |name: &str| spread[name].as_f64().unwrap_or_default();
        assert!(value("min") > 0.0 && value("min") <= value("max"), "{figure}: {spread}");
    }
}

#[test]
fn the_gate_decides_as_its_five_rules_ask_and_every_figure_is_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["bench", "gate", "--json", "--decisions", "300", "--runs", "2"])
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(report["runs"][1]["conservation"]["delivered"], 300, "{report}");
    for figure in ["decision_us", "of_it_card_scan_us", "floor_parse_us", "ratio_decision_to_parse"] {
        assert!(report["summary"][figure]["min"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
    let bytes = report["summary"]["document_bytes"]["median"].as_f64().expect("a size");
    assert!((900.0..1200.0).contains(&bytes), "{bytes} bytes are not about 1 KiB");
}

#[test]
fn a_killed_engine_delivers_again_and_repeats_nothing_that_had_settled() {
    let output = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(["bench", "recovery", "--json", "--events", "300", "--subscribers", "2", "--runs", "2"])
        .output()
        .expect("the binary runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let run = &report["runs"][1];
    assert_eq!(
        (run["conservation"]["accepted"].as_u64(), run["conservation"]["delivered"].as_u64()),
        (Some(302), Some(604))
    );
    for figure in ["listening_ms", "first_delivery_ms", "floor_process_start_ms", "log_bytes"] {
        assert!(report["summary"][figure]["min"].as_f64().is_some_and(|value| value > 0.0), "{figure}");
    }
}
