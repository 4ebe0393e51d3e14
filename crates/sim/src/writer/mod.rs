//! The writer of the world: what becomes durable goes through it, as through the engine's. It owns the
//! admission state that dies with the process, and the commit under construction.

mod admit;
mod commit;
mod decide;
mod leaf;
mod push;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_kernel::admission::{self, Clock, DRIFT_MAX, Sequencer, Tally};
use writ_kernel::gate::Cleared;
use writ_kernel::gate::machine::{Config, Gate};
use writ_model::control::{ControlFact, Covered, IntakeSeen, SourceProgress};
use writ_model::id::{EventId, KeyHash};
use writ_model::lineage::{Lamport, Ordinals};
use writ_store::vault::{NewSubject, Remember, Subject, SubjectKey};

use crate::desk::Told;
use crate::tape::Tape;
use crate::tenant::Tenant;

/// How long the policy engine may take.
const ASK_TIMEOUT: Duration = Duration::from_millis(250);

/// The only node of the world.
const NODE: u16 = 1;

/// What a restart takes up from state and log.
#[derive(Debug, Default)]
pub(crate) struct TakenUp {
    pub(crate) clock_floor: u64,
    pub(crate) covered: Option<Covered>,
    pub(crate) accounting: u64,
    pub(crate) lamport: Lamport,
}

pub(crate) struct Writer {
    hlc: Clock,
    sequencer: Sequencer,
    gate: Gate,
    ticket: u64,
    covered: Option<Covered>,
    accounting: u64,
    lamport: Lamport,
}

impl Writer {
    pub(crate) fn start(tape: &Tape, tenant: &Tenant, taken_up: TakenUp) -> Self {
        let TakenUp { clock_floor, covered, accounting, lamport } = taken_up;
        let gate = Gate::new(Config {
            policy_version: tenant.policy.clone(),
            ask_timeout: ASK_TIMEOUT,
            card_hash_key: tenant.secrets.card_hash_key,
        });
        let hlc = Clock::new(NODE, clock_floor, DRIFT_MAX);
        let sequencer = Sequencer::new(|slot| tape.tail(slot));
        Self { hlc, sequencer, gate, ticket: 0, covered, accounting, lamport }
    }

    /// The next logical clock value.
    fn count(&mut self) -> Lamport {
        self.lamport = admission::count(self.lamport, None);
        self.lamport
    }
}

/// A cleared event with the keys it will be sealed under.
struct Pending {
    cleared: Cleared,
    ordinals: Ordinals,
    content: SubjectKey,
    evidence: SubjectKey,
}

/// The first and last position of the source in a commit.
#[derive(Default)]
struct Span {
    from: String,
    to: String,
}

/// What came of changes and waits for the next commit; gone when that is refused, for the source comes again.
#[derive(Default)]
pub(crate) struct Batch {
    events: Vec<Pending>,
    facts: Vec<ControlFact>,
    leaves: Vec<Vec<u8>>,
    subjects: Vec<NewSubject>,
    remembers: Vec<Remember>,
    /// Where facts, and no events, move subjects to.
    moved_to: BTreeSet<KeyHash>,
    overlay: BTreeMap<KeyHash, Option<Subject>>,
    covered: Option<Covered>,
    progress: Option<SourceProgress>,
    /// Pushed changes that it takes, and who is told what when it is durable.
    taken: BTreeMap<EventId, IntakeSeen>,
    pub(crate) pushes: Vec<(usize, Told)>,
    tally: Tally,
    span: Span,
}

/// What the machines want written; carried into the next commit when one is refused.
#[derive(Default)]
pub(crate) struct Hub {
    pub(crate) facts: Vec<ControlFact>,
    pub(crate) leaves: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.tally.covered() == 0 && self.progress.is_none() && self.pushes.is_empty()
    }

    /// Records what an event of this batch did to its subject, and gives the subject as the changes that
    /// follow see it.
    fn remember(&mut self, subject: &Subject, change: Remember) -> Subject {
        let mut subject = subject.clone();
        change.put_into(&mut subject);
        if let Some(old) = change.old_key_hash {
            self.overlay.insert(old, None);
        }
        self.overlay.insert(change.key_hash, Some(subject.clone()));
        self.remembers.push(change);
        subject
    }
}

impl Hub {
    pub(crate) fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.leaves.is_empty()
    }
}
