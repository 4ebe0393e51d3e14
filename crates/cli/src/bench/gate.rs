//! `writ bench gate`: one decision of the gate on one event, beside a parse of the same document. No engine runs.
//!
//! A decision is what the writer does for an event: the schema's verdict, the scan for card numbers, the input
//! document, five Rego rules, the answer read. Making the event is not part of it.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use writ_kernel::gate::machine::{Config, Effect, Fact, Gate, Ticket};
use writ_kernel::gate::{Decided, card};
use writ_kernel::machine::{Machine, Now};
use writ_model::envelope::Envelope;
use writ_model::taxonomy::PriorityClass;
use writ_policy::{Bundle, Engine};
use writ_schema::registry::Registry;

use super::figure::{float, mib, over};
use super::process::{Process, load_average};
use super::report::{Conservation, Figures, Report, Run};
use super::specimen;
use crate::exit::{BAD_INPUT, DOES_NOT_HOLD, Failure};

const POLICY: &str = include_str!("gate/policy.rego");
const DATA: &str = include_str!("gate/data.json");

/// Events that are made before the clock runs; more would make the peak of memory theirs.
const BATCH: u64 = 2_000;

const CARD_HASH_KEY: [u8; 32] = [1; 32];

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Arguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Decisions in one run
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    decisions: u64,
    /// Runs, each with a new gate and a floor of its own
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let bundle = Bundle::load("bench", [("policy.rego", POLICY), ("data.json", DATA)])
        .map_err(|error| Failure::plain(format!("load the benchmark's policy: {error}"), BAD_INPUT))?;
    let runs = (0..arguments.runs).map(|_| once(&arguments, &bundle)).collect();
    let report = Report::new("gate", method(), arguments.clone(), runs);
    report.print(arguments.json);
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
}

fn once(arguments: &Arguments, bundle: &Bundle) -> Run {
    let load = load_average();
    let specimen = specimen::consent();
    let document = serde_json::to_vec(&specimen.private.data).expect("names are text, so data are JSON");
    let mut decider = Decider::new(bundle);
    let (mut decided, mut scanned, mut parsed) = (Timed::default(), Timed::default(), Timed::default());
    let mut cleared = 0;
    let mut left = arguments.decisions;
    while left > 0 {
        let size = left.min(BATCH);
        left -= size;
        let events: Vec<Envelope> = (0..size).map(|_| specimen.clone()).collect();
        decided.add(size, || {
            cleared += events.into_iter().map(|event| u64::from(decider.clears(event))).sum::<u64>()
        });
        scanned.add(size, || {
            (0..size).for_each(|_| drop(black_box(card::scan(&CARD_HASH_KEY, black_box(&specimen)))));
        });
        parsed.add(size, || {
            (0..size).for_each(|_| {
                drop(black_box(serde_json::from_slice::<serde_json::Value>(black_box(&document))));
            });
        });
    }
    Run {
        conservation: Conservation {
            accepted: arguments.decisions,
            refused: 0,
            subscribers: 1,
            delivered: cleared,
            are_alike: true,
            holds: cleared == arguments.decisions,
        },
        figures: Figures::from([
            ("decision_us", decided.us()),
            ("decision_cpu_us", decided.cpu_us()),
            ("of_it_card_scan_us", scanned.us()),
            ("floor_parse_us", parsed.us()),
            ("ratio_decision_to_parse", over(decided.us(), parsed.us())),
            ("document_bytes", float(document.len() as u64)),
            ("rss_peak_mib", mib(Process::own().rss_peak_bytes())),
            ("machine_load_average_before", load),
        ]),
        engine_cpu_by_thread: Process::own().cpu_by_thread(),
        disk_bytes: [].into(),
    }
}

/// How long a number of like things took.
#[derive(Default)]
struct Timed {
    count: u64,
    took: Duration,
    cpu_seconds: f64,
}

impl Timed {
    fn add(&mut self, count: u64, act: impl FnOnce()) {
        let cpu = Process::own().cpu_seconds();
        let started = Instant::now();
        act();
        self.took += started.elapsed();
        self.cpu_seconds += Process::own().cpu_seconds() - cpu;
        self.count += count;
    }

    fn us(&self) -> f64 {
        over(self.took.as_secs_f64() * 1e6, float(self.count))
    }

    fn cpu_us(&self) -> f64 {
        over(self.cpu_seconds * 1e6, float(self.count))
    }
}

/// Schemas, gate and policy, as the writer has them.
struct Decider {
    registry: Registry,
    gate: Gate,
    policy: Engine,
    ticket: u64,
    effects: Vec<Effect>,
}

impl Decider {
    fn new(bundle: &Bundle) -> Self {
        let gate = Gate::new(Config {
            policy_version: bundle.version().clone(),
            ask_timeout: Duration::from_secs(1),
            card_hash_key: CARD_HASH_KEY,
        });
        let policy = bundle.engine();
        Self { registry: Registry::built_in(), gate, policy, ticket: 0, effects: Vec::new() }
    }

    /// Decides, and says whether it is what the five rules ask for: cleared, before everything else, kept from the
    /// three that are only in marketing and the two outside, without its proof.
    fn clears(&mut self, event: Envelope) -> bool {
        const KEPT_FROM: usize = 5;
        self.ticket += 1;
        let submitted = Fact::Submit(Ticket(self.ticket), Box::new(self.registry.check(event)));
        self.gate.on(Now::default(), submitted, &mut self.effects);
        while let Some(effect) = self.effects.pop() {
            match effect {
                Effect::Ask(ticket, input) => {
                    let verdict = self.policy.verdict(&input);
                    self.gate.on(Now::default(), Fact::Verdict(ticket, verdict), &mut self.effects);
                }
                Effect::Decided(_, Decided::Cleared(cleared)) => {
                    let decision = cleared.decision();
                    return decision.class == PriorityClass::Express
                        && decision.deny_subscribers.len() == KEPT_FROM
                        && decision.withhold == ["proof"];
                }
                Effect::Decided(_, Decided::Kept(_)) => return false,
            }
        }
        false
    }
}

fn method() -> Vec<String> {
    vec![
        "One thread decides one withdrawal of consent of about 1 KiB again and again: JSON schema, card numbers, input document, five Rego rules in the embedded engine, answer.".to_owned(),
        "Floor, in turns in the same run: the same document parsed by a JSON parser. The scan alone is measured beside it.".to_owned(),
        "Making the events is not counted. CPU is read in hundredths of a second around each batch of 2,000; memory is this process's own.".to_owned(),
        "Holds: every decision is the one that the five rules ask for.".to_owned(),
    ]
}
