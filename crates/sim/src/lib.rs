//! Does it hold when everything fails? A deterministic world around the kernel's machines and the real log:
//! virtual time, a disk that crashes, subscribers that throttle, hang, lie and vanish, and a process that goes on
//! although another has taken over from it.
//!
//! One run has two phases: faults on, with the invariants checked at every step; then faults off, everything
//! settles, and the oracle compares what the world knows with what the log says. The same seed gives the
//! same trace. A failure prints the command that repeats it.
//!
//! Everything of ours that decides or stores is real: detection, admission, gate, sealing, leaves, the segment
//! log. Vault and state are the store's twins in memory, which forget in a power cut what was not synced.
//! What stands in for the engine (`writer/`, `shell.rs`, `recovery.rs`) does as the engine does, without threads.

mod agenda;
mod branches;
mod bug;
mod chance;
mod crash;
mod decay;
mod desk;
mod former;
mod inbox;
mod invariants;
mod keeper;
mod lane;
mod model;
mod mount;
mod options;
mod oracle;
mod reads;
mod receiver;
mod recovery;
mod reference;
mod replays;
mod shell;
mod tape;
mod tenant;
mod truth;
mod upstream;
mod wire;
mod workload;
mod world;
mod writer;

use std::collections::BTreeMap;

pub use bug::Bug;
pub use options::Options;

/// What a run amounted to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Hash of everything that happened, in order.
    pub trace: u64,
    /// Events on the tape.
    pub events: usize,
    /// Attempts made.
    pub attempts: u64,
    /// Crashes survived.
    pub crashes: u64,
    /// Events that were in some dead letters at some time.
    pub dead_letters: u64,
    /// Events that the gate kept, each time it did.
    pub withheld: u64,
    /// What a run may go without, each with how often it happened.
    pub rare: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Adds what another run amounted to. Traces do not add up.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.dead_letters += other.dead_letters;
        self.withheld += other.withheld;
        for (what, times) in &other.rare {
            *self.rare.entry(what).or_default() += times;
        }
    }
}

/// What a run broke, with everything needed to repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "seed {seed}: {broken}\n  at {at_ms} ms of virtual time, options {options}\n  repeat with: \
     WRIT_SIM_SEED={seed} cargo test -p writ-sim -- --nocapture one_seed"
)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub broken: String,
    /// When.
    pub at_ms: u64,
    /// The swarm's choice.
    pub options: String,
}

/// Runs one seed, with a planted bug or without.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Report, Failure> {
    let options = Options::draw(seed);
    let mut world = world::World::new(seed, options, bug);
    match world.run() {
        Ok(()) => Ok(world.report()),
        Err(broken) => Err(Failure {
            seed,
            broken,
            at_ms: world.now.moment.0 / 1000,
            options: format!("{:?}", world.options),
        }),
    }
}
