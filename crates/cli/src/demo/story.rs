//! What a story claims and whether it was seen to hold; and the two ways of printing it.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

/// One thing that a story claims.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// In a sentence.
    pub(crate) claim: String,
    /// It was seen to hold.
    pub(crate) holds: bool,
    /// What was seen.
    pub(crate) seen: String,
}

/// One story's outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Its number among the product's stories.
    #[serde(rename = "story")]
    pub(crate) number: u8,
    /// What it is about.
    pub(crate) title: String,
    /// `held`, `failed` or `absent`.
    pub(crate) outcome: &'static str,
    /// What it claims.
    pub(crate) checks: Vec<Check>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// A story that this version does not tell.
    pub(crate) fn absent(number: u8, title: &str) -> Self {
        Self { number, title: title.to_owned(), outcome: "absent", checks: Vec::new(), seconds: 0.0 }
    }

    pub(crate) fn holds_or_absent(&self) -> bool {
        self.outcome != "failed"
    }
}

/// A story being told.
pub(crate) struct Telling<'a> {
    report: &'a Report,
    number: u8,
    title: &'static str,
    started: Instant,
    checks: Vec<Check>,
}

impl Telling<'_> {
    /// One line of the timeline, with the time since the story began.
    pub(crate) fn happened(&self, what: &str) {
        self.happened_at(Instant::now(), what);
    }

    /// A line for something that happened at another time.
    pub(crate) fn happened_at(&self, at: Instant, what: &str) {
        let since = at.saturating_duration_since(self.started);
        self.report.line(&format!("  {:>7.0} ms  {what}", since.as_secs_f64() * 1000.0));
    }

    /// Checks a claim against what was seen.
    pub(crate) fn claim(&mut self, claim: &str, holds: bool, seen: impl Into<String>) {
        let check = Check { claim: claim.to_owned(), holds, seen: seen.into() };
        self.report.line(&format!("     {} {claim}: {}", if holds { "ok  " } else { "FAIL" }, check.seen));
        self.checks.push(check);
    }

    pub(crate) fn end(self) -> Outcome {
        let holds = self.checks.iter().all(|check| check.holds);
        Outcome {
            number: self.number,
            title: self.title.to_owned(),
            outcome: if holds { "held" } else { "failed" },
            checks: self.checks,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

/// Prints for people as it goes, or one JSON document at the end.
#[derive(Debug)]
pub(crate) struct Report {
    is_json: bool,
}

impl Report {
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    pub(crate) fn line(&self, text: &str) {
        if !self.is_json {
            println!("{text}");
        }
    }

    pub(crate) fn begin<'a>(&'a self, number: u8, title: &'static str) -> Telling<'a> {
        self.line(&format!("\nStory {number}: {title}"));
        Telling { report: self, number, title, started: Instant::now(), checks: Vec::new() }
    }

    pub(crate) fn summary(&self, outcomes: &[Outcome], audit: &Audit, holds: bool) {
        if self.is_json {
            let document = json!({ "holds": holds, "stories": outcomes, "audit": audit });
            println!("{document:#}");
            return;
        }
        println!();
        for outcome in outcomes {
            println!("  story {}  {:<7} {}", outcome.number, outcome.outcome, outcome.title);
        }
        println!("  audit    {:<7} {}", if audit.holds() { "held" } else { "failed" }, audit.text);
    }
}

/// What `audit verify` said.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Audit {
    /// Its exit code; 0 when the log verifies.
    pub(crate) exit_code: u8,
    /// Its words.
    pub(crate) text: String,
    /// Its report.
    pub(crate) report: Value,
}

impl Audit {
    pub(crate) fn holds(&self) -> bool {
        self.exit_code == 0
    }
}

/// Polls until `probe` gives a value; `None` after `longest`. For watching other processes, where there is
/// nothing to wait on.
pub(crate) async fn watch<T>(longest: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    const EVERY: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + longest;
    loop {
        if let Some(value) = probe().await {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(EVERY).await;
    }
}
