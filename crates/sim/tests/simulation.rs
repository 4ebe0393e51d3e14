//! The simulation: seeds, repeatability, planted bugs.
//!
//! `WRIT_SIM_SEEDS` sets how many seeds are run, `WRIT_SIM_FIRST` which is the first.

use writ_sim::{Bug, run};

/// Seeds in an ordinary test run.
const SEEDS: u64 = 200;

/// A planted bug must show within so many seeds.
const BUG_SEEDS: u64 = 60;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn committed() -> Vec<u64> {
    let lines = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn every_seed_holds_every_promise() {
    let first = variable("WRIT_SIM_FIRST").unwrap_or(1);
    let drawn = first..first + variable("WRIT_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut events, mut attempts, mut crashes, mut dead) = (0, 0, 0, 0);
    for seed in committed().into_iter().chain(drawn) {
        let report = run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        events += report.events;
        attempts += report.attempts;
        crashes += report.crashes;
        dead += report.dead_letters;
    }
    // A simulation in which nothing happens proves nothing.
    let is_telling = variable("WRIT_SIM_SEEDS").is_none_or(|seeds| seeds >= SEEDS);
    assert!(
        !is_telling || (events > 0 && attempts > 0 && crashes > 0 && dead > 0),
        "{events} {attempts} {crashes} {dead}"
    );
}

/// Repeats one seed: `WRIT_SIM_SEED=17 cargo test -p writ-sim -- --nocapture one_seed`.
#[test]
fn one_seed_gives_the_same_trace_twice() {
    let seed = variable("WRIT_SIM_SEED").unwrap_or(42);
    let once = run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(run(seed, None), Ok(once));
}

#[test]
fn other_seeds_give_other_traces() {
    let traces: Vec<_> = (1..6).filter_map(|seed| Some(run(seed, None).ok()?.trace)).collect();
    assert_eq!(traces.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
}

fn is_caught(bug: Bug, words: &str) {
    let mut failures = (1..=BUG_SEEDS).filter_map(|seed| run(seed, Some(bug)).err());
    assert!(failures.any(|failure| failure.broken.contains(words)), "{bug:?} is not caught");
}

#[test]
fn a_source_that_is_acknowledged_before_the_sync_is_caught() {
    is_caught(Bug::AcknowledgeBeforeSync, "the source was told");
}

#[test]
fn a_cursor_past_an_unsettled_event_is_caught() {
    is_caught(Bug::CursorPastUnsettled, "which is not settled");
}

#[test]
fn a_dead_letter_that_is_not_journaled_is_caught() {
    is_caught(Bug::DeadLetterForgotten, "which is not settled");
}

#[test]
fn a_final_that_is_not_written_is_caught() {
    is_caught(Bug::FinalForgotten, "finals");
}
