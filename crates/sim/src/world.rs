//! The world: virtual time, an agenda of what will happen, the machines, the tape, and the god's view that
//! survives every crash. One step is the next entry of the agenda or the machines' next deadline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::dispatch::{self, Attempt, Dispatch, LaneId};
use writ_kernel::machine::{Machine, Now};
use writ_kernel::settle::{self, Settlement};
use writ_model::delivery::{Answer, AttemptId};
use writ_model::id::{DeliveryId, EventId, Offset, Position, SubjectId, SubscriberName};
use writ_model::taxonomy::ChangeType;
use writ_model::time::{Moment, Timestamp};
use writ_store::disk::SimDisk;
use writ_store::log::Record;
use writ_store::state::MemoryState;
use writ_store::vault::MemoryVault;

use crate::bug::Bug;
use crate::chance::Chance;
use crate::model::Model;
use crate::options::Options;
use crate::receiver::Receiver;
use crate::reference::Reference;
use crate::tape::Tape;
use crate::tenant::{Tenant, router};
use crate::upstream::Upstream;
use crate::writer::{Batch, Hub, TakenUp, Writer};
use crate::{Report, decay, oracle, workload};

/// The wall clock when virtual time is zero.
const EPOCH: i64 = 1_764_000_000_000_000;

/// A run that takes more steps than this does not come to rest.
const STEPS_MAX: u64 = 200_000;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The next operation of the workload.
    Work,
    /// What is pending is committed.
    Commit,
    /// The state catches up with the log.
    Follow,
    /// A lane's read is served.
    Read { lane: LaneId, from: Offset, items_max: usize, bytes_max: usize },
    /// A dead-letter sequence is read, once commit `after` is done.
    DeadLetters { lane: LaneId, subject: SubjectId, after: u64 },
    /// Open events are loaded, once commit `after` is done.
    Load { from: Offset, limit: usize, after: u64 },
    /// An attempt may be sent, once commit `after` is done.
    Confirm { attempt: AttemptId, after: u64 },
    /// A subscriber answers.
    Answer { attempt: Attempt, answer: Answer, processed: Vec<bool> },
}

/// What the world knows whatever the engine forgets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    /// The event id that each change gave when it first came.
    pub(crate) ids: BTreeMap<(Position, ChangeType), EventId>,
    pub(crate) id_of: BTreeMap<(usize, EventId), DeliveryId>,
    pub(crate) event_of: BTreeMap<DeliveryId, (usize, EventId)>,
    /// What each subscriber has processed, from any lane.
    pub(crate) seen: BTreeSet<(usize, Offset)>,
    /// What was sent, where it may be sent once only.
    pub(crate) once: BTreeSet<(usize, Offset)>,
    /// What each subscriber has processed from its live lane, and in what order, by subject.
    pub(crate) live: BTreeSet<(usize, Offset)>,
    pub(crate) order: BTreeMap<(usize, SubjectId), Vec<Offset>>,
    /// When requests to each subscriber started, since the engine did.
    pub(crate) starts: BTreeMap<usize, Vec<Moment>>,
    pub(crate) attempts: u64,
    pub(crate) crashes: u64,
    pub(crate) dead_letters: u64,
    pub(crate) withheld: u64,
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) bug: Option<Bug>,
    pub(crate) seed: u64,
    pub(crate) chance: Chance,
    pub(crate) now: Now,
    /// How wrong the wall clock is, in microseconds.
    pub(crate) skew: i64,
    pub(crate) tenant: Tenant,
    pub(crate) delivery_key: DeliveryKey,
    pub(crate) disk: SimDisk,
    pub(crate) tape: Tape,
    /// Every record that was ever seen durable.
    pub(crate) history: Vec<Record>,
    pub(crate) vault: MemoryVault,
    pub(crate) state: MemoryState,
    pub(crate) writer: Writer,
    pub(crate) batch: Batch,
    pub(crate) hub: Hub,
    pub(crate) commits: u64,
    pub(crate) commit_due: bool,
    pub(crate) upstream: Upstream,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) names: Vec<SubscriberName>,
    pub(crate) dispatch: Dispatch,
    pub(crate) settlement: Settlement,
    pub(crate) reference: Reference,
    pub(crate) model: Model,
    pub(crate) truth: Truth,
    pub(crate) flying: BTreeMap<AttemptId, Attempt>,
    pub(crate) replay_of: BTreeMap<LaneId, usize>,
    pub(crate) waiting_reads: BTreeMap<LaneId, Happening>,
    pub(crate) facts: VecDeque<dispatch::Fact>,
    pub(crate) settle_facts: VecDeque<settle::Fact>,
    agenda: BTreeMap<(Moment, u64), Happening>,
    agenda_last: u64,
    operations_left: u64,
    pub(crate) is_quiet: bool,
    trace: DefaultHasher,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options, bug: Option<Bug>) -> Self {
        let disk = SimDisk::new();
        let tape = Tape::open(&disk, seed).expect("an empty disk without faults opens");
        let tenant = Tenant::new();
        let count = options.subscribers as usize;
        let receiver =
            Receiver { mood: crate::receiver::Mood::Healthy, poison: options.poison, noise: options.noise };
        let names: Vec<_> =
            (0..count).map(|n| SubscriberName::new(&format!("s{n}")).expect("a name")).collect();
        let mut world = Self {
            chance: Chance::new(seed),
            now: Now { moment: Moment(0), wall: Timestamp(EPOCH) },
            skew: 0,
            dispatch: crate::crash::fresh_dispatch(seed, &options, &tenant, &names, tape.epoch()),
            settlement: Settlement::start(&mut Vec::new()),
            writer: Writer::start(&tape, &tenant, TakenUp::default()),
            delivery_key: delivery_key(&tenant),
            tenant,
            tape,
            disk,
            history: Vec::new(),
            vault: MemoryVault::new(),
            state: MemoryState::new(),
            batch: Batch::default(),
            hub: Hub::default(),
            commits: 0,
            commit_due: false,
            upstream: Upstream::default(),
            receivers: vec![receiver; count],
            names,
            reference: Reference::new(router(count)),
            model: Model::default(),
            truth: Truth::default(),
            flying: BTreeMap::new(),
            replay_of: BTreeMap::new(),
            waiting_reads: BTreeMap::new(),
            facts: VecDeque::new(),
            settle_facts: VecDeque::new(),
            agenda: BTreeMap::new(),
            agenda_last: 0,
            operations_left: options.operations,
            is_quiet: false,
            trace: DefaultHasher::new(),
            options,
            bug,
            seed,
        };
        world.start_machines().expect("nothing is recovered from an empty log");
        world.plan(Duration::ZERO, Happening::Work);
        world
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            trace: self.trace.finish(),
            events: self.reference.events.len(),
            attempts: self.truth.attempts,
            crashes: self.truth.crashes,
            dead_letters: self.truth.dead_letters,
            withheld: self.truth.withheld,
        }
    }

    /// Both phases.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.run_to_rest()?;
        self.is_quiet = true;
        workload::calm(self)?;
        self.run_to_rest()?;
        oracle::check(self)?;
        decay::check(self)
    }

    fn run_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            if !self.step()? {
                return Ok(());
            }
        }
        Err(format!("no rest after {STEPS_MAX} steps: something loops"))
    }

    /// The next entry of the agenda, or the machines' next deadline. False when nothing will happen.
    fn step(&mut self) -> Result<bool, String> {
        let deadlines = [self.dispatch.next_deadline(), self.settlement.next_deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let entry = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let Some(at) = [deadline, entry].into_iter().flatten().min() else { return Ok(false) };
        let at = at.max(self.now.moment);
        self.now = Now { moment: at, wall: Timestamp(EPOCH + at.0 as i64 + self.skew) };
        if entry.is_some_and(|entry| entry <= at) {
            let (_, happening) = self.agenda.pop_first().expect("looked at above");
            self.note(&happening);
            self.happen(happening)?;
        } else {
            self.note(&"deadline");
            self.pass_time()?;
        }
        self.drain()?;
        self.check_bounds()?;
        Ok(true)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Work => self.work(),
            Happening::Commit => self.commit(),
            Happening::Follow => self.follow(),
            Happening::Read { .. } => self.serve_read(happening),
            Happening::DeadLetters { lane, subject, after } => self.serve_dead_letters(lane, subject, after),
            Happening::Load { from, limit, after } => self.serve_load(from, limit, after),
            Happening::Confirm { attempt, after } => self.serve_confirm(attempt, after),
            Happening::Answer { attempt, answer, processed } => {
                self.serve_answer(&attempt, answer, &processed)
            }
        }
    }

    fn work(&mut self) -> Result<(), String> {
        if self.operations_left == 0 {
            return Ok(());
        }
        self.operations_left -= 1;
        let wait = self.chance.millis(1, 400);
        self.plan(wait, Happening::Work);
        workload::act(self)
    }

    pub(crate) fn plan(&mut self, wait: Duration, happening: Happening) {
        self.agenda_last += 1;
        self.agenda.insert((self.now.moment.after(wait), self.agenda_last), happening);
    }

    /// Everything in flight is gone; only the workload goes on.
    pub(crate) fn forget_agenda(&mut self) {
        self.agenda.retain(|_, happening| matches!(happening, Happening::Work));
    }

    /// The source's clock, which is right.
    pub(crate) fn source_time(&self) -> Timestamp {
        Timestamp(EPOCH + self.now.moment.0 as i64)
    }

    /// Adds to the trace.
    pub(crate) fn note(&mut self, what: &impl std::fmt::Debug) {
        format!("{:?} {what:?}", self.now.moment).hash(&mut self.trace);
    }
}

pub(crate) fn delivery_key(tenant: &Tenant) -> DeliveryKey {
    DeliveryKey::new(tenant.secrets.delivery_key)
}
