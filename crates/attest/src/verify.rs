//! The verifier: reads a log object by object, derives every hash anew, and says what does not hold.
//!
//! It never writes, and keeps the tree's right edge, the open intents and one number per source, however
//! long the log is. Where objects come from is the caller's business.

mod fault;
mod ledger;
mod walk;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::note::{Checkpoint, NoteError, NoteVerifier};
use crate::time::Time;

pub use fault::Fault;

/// Where the signed checkpoint lies.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Faults that a report names; more are counted only.
pub const FAULTS_MAX: usize = 64;

/// An object store or directory could not say whether an object exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fetch {path}: {cause}; make it readable and verify again")]
pub struct FetchError {
    /// Which object.
    pub path: String,
    /// What came back.
    pub cause: String,
}

/// Gives a log's objects. Must not write, and must answer `None` only when the object does not exist.
pub trait Fetch {
    /// The object's bytes. Paths are those of the C2SP layout: `checkpoint`, `tile/0/x001/067.p/8`.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError>;
}

/// What the auditor expects of the log.
#[derive(Debug, Clone)]
pub struct Expectations<'a> {
    /// The log's public key; its name is the log's origin.
    pub key: &'a NoteVerifier,
    /// Checkpoints of this log that the auditor saw earlier, opened with the same key.
    pub known: &'a [Checkpoint],
    /// A size that the log is known to have reached.
    pub size_min: u64,
    /// The time of verification.
    pub now: Time,
    /// How long after its `settle_by` an intent may be without a final leaf.
    pub settle_slack_micros: i64,
    /// How far a leaf's time may be behind an earlier leaf's, or ahead of `now`.
    pub clock_tolerance_micros: i64,
}

impl<'a> Expectations<'a> {
    /// A final leaf is written, integrated and published well within this.
    pub const SETTLE_SLACK_MICROS: i64 = 600_000_000;
    /// Leaves carry admission times and are written in commits, some seconds later under load.
    pub const CLOCK_TOLERANCE_MICROS: i64 = 60_000_000;

    /// No earlier knowledge, and the default tolerances.
    pub fn new(key: &'a NoteVerifier, now: Time) -> Self {
        Self {
            key,
            known: &[],
            size_min: 0,
            now,
            settle_slack_micros: Self::SETTLE_SLACK_MICROS,
            clock_tolerance_micros: Self::CLOCK_TOLERANCE_MICROS,
        }
    }
}

/// Whose word the result rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Only the operator's key signed: whoever has it could have rewritten all of it before this checkpoint.
    SelfAttested,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfAttested => f.write_str("self-attested, not witnessed"),
        }
    }
}

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Leaves that the checkpoint claims; absent when no checkpoint could be opened.
    pub size: Option<u64>,
    /// The signed root, hex.
    pub root: Option<String>,
    /// Leaves that were read and hashed.
    pub leaves_checked: u64,
    /// Leaves by record name.
    pub records: BTreeMap<&'static str, u64>,
    /// Acknowledgement records.
    pub acknowledgements: u64,
    /// Intents that have no final leaf yet.
    pub open_intents: u64,
    /// Final leaves that came later than their intent's time to settle and the slack.
    pub late_finals: u64,
    /// The latest time on any leaf.
    pub latest: Option<Time>,
    /// The first faults, in the order found.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub faults_total: u64,
    /// Whose word this rests on.
    pub trust: Trust,
    #[serde(skip)]
    exit_code: u8,
}

impl Report {
    fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            size: None,
            root: None,
            leaves_checked: 0,
            records: BTreeMap::new(),
            acknowledgements: 0,
            open_intents: 0,
            late_finals: 0,
            latest: None,
            faults: Vec::new(),
            faults_total: 0,
            trust: Trust::SelfAttested,
            exit_code: 0,
        }
    }

    fn add(&mut self, fault: Fault) {
        let code = fault.exit_code();
        self.exit_code = if self.exit_code == 0 { code } else { self.exit_code.min(code) };
        self.faults_total += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// Whether everything that was checked holds.
    pub fn is_sound(&self) -> bool {
        self.faults_total == 0
    }

    /// 0, or the lowest class of the faults: integrity comes before meaning.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

/// Verifies a whole log. `progress` is called after every bundle with the leaves done and the leaves in all.
/// An error means that the log could not be read; what does not hold is in the report.
pub fn verify(
    fetch: &dyn Fetch,
    expected: &Expectations<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, FetchError> {
    let mut report = Report::new(expected.key.name());
    let Some(note) = fetch.get(CHECKPOINT_PATH)? else {
        report.add(Fault::Missing { path: CHECKPOINT_PATH.to_owned() });
        return Ok(report);
    };
    match Checkpoint::open(&note, expected.key) {
        Err(cause) => report.add(Fault::Signature { cause }),
        Ok(head) => {
            report.size = Some(head.size);
            report.root = Some(head.root.to_string());
            check_rollback(&head, expected, &mut report);
            walk::walk(fetch, &head, expected, &mut report, progress)?;
        }
    }
    Ok(report)
}

fn check_rollback(head: &Checkpoint, expected: &Expectations<'_>, report: &mut Report) {
    let sizes = expected.known.iter().map(|known| known.size).chain([expected.size_min]);
    if let Some(size) = sizes.max().filter(|size| *size > head.size) {
        report.add(Fault::Rollback { known: size, size: head.size });
    }
    let foreign = expected.known.iter().find(|known| known.origin != head.origin);
    if let Some(known) = foreign {
        let (found, expected) = (known.origin.clone(), head.origin.clone());
        report.add(Fault::Signature { cause: NoteError::Origin { found, expected } });
    }
}
