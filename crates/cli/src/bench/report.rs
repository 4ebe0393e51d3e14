//! What a benchmark prints: every run's figures by name, and over all runs the smallest, the median and the
//! largest. Units are part of the names.

use std::collections::BTreeMap;

use serde::Serialize;

/// Figures by name.
pub(super) type Figures = BTreeMap<&'static str, f64>;

/// Whether everything arrived, once.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Conservation {
    /// Events that the intake stored.
    pub(super) accepted: u64,
    /// Events that it did not store.
    pub(super) refused: u64,
    /// Receivers.
    pub(super) subscribers: u64,
    /// Events over all receivers.
    pub(super) delivered: u64,
    /// Every receiver got the same events as every other.
    pub(super) are_alike: bool,
    /// `accepted` times `subscribers` is `delivered`, and they are alike.
    pub(super) holds: bool,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    pub(super) conservation: Conservation,
    pub(super) figures: Figures,
    /// CPU seconds of the engine by thread name, during the load.
    pub(super) engine_cpu_by_thread: BTreeMap<String, f64>,
    /// Bytes on disk by part of the store, after the drain.
    pub(super) disk_bytes: BTreeMap<String, u64>,
}

/// One figure over all runs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Report<S: Serialize> {
    pub(super) bench: &'static str,
    pub(super) version: &'static str,
    /// `release` or `debug`; figures of a debug build say nothing.
    pub(super) build: &'static str,
    pub(super) cores: usize,
    /// How it was measured, sentence by sentence.
    pub(super) method: Vec<String>,
    pub(super) settings: S,
    pub(super) runs: Vec<Run>,
    pub(super) summary: BTreeMap<&'static str, Spread>,
}

impl<S: Serialize> Report<S> {
    pub(super) fn new(bench: &'static str, method: Vec<String>, settings: S, runs: Vec<Run>) -> Self {
        Self {
            bench,
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            cores: cores(),
            method,
            settings,
            summary: summary(&runs),
            runs,
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.runs.iter().all(|run| run.conservation.holds)
    }

    pub(super) fn print(&self, is_json: bool) {
        if is_json {
            let document = serde_json::to_string_pretty(self);
            println!("{}", document.expect("the report's keys are text"));
            return;
        }
        println!(
            "writ bench {} ({} build, {} cores, {} runs)",
            self.bench,
            self.build,
            self.cores,
            self.runs.len()
        );
        self.method.iter().for_each(|sentence| println!("  {sentence}"));
        println!("\n{:<40} {:>14} {:>14} {:>14}", "FIGURE", "MIN", "MEDIAN", "MAX");
        for (name, Spread { min, median, max }) in &self.summary {
            println!("{name:<40} {min:>14.3} {median:>14.3} {max:>14.3}");
        }
        for (number, run) in self.runs.iter().enumerate() {
            let Conservation { accepted, subscribers, delivered, holds, .. } = run.conservation;
            let word = if holds { "holds" } else { "DOES NOT HOLD" };
            println!(
                "run {}: {accepted} accepted x {subscribers} = {delivered} delivered: {word}",
                number + 1
            );
        }
    }
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn summary(runs: &[Run]) -> BTreeMap<&'static str, Spread> {
    let names = runs.iter().flat_map(|run| run.figures.keys().copied());
    names
        .map(|name| (name, spread(runs.iter().filter_map(|run| run.figures.get(name).copied()).collect())))
        .collect()
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    Spread { min: at(0), median: at(values.len() / 2), max: at(values.len().saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_an_odd_number_of_runs_has_its_middle() {
        let Spread { min, median, max } = spread(vec![3.0, 1.0, 2.0]);
        assert!(min < median && median < max);
    }
}
