//! The world: virtual time, an agenda of what will happen, the machines, the tape, and the god's view that
//! survives every crash. One step is the next entry of the agenda or the machines' next deadline.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::dispatch::{self, Attempt, Dispatch, LaneId};
use writ_kernel::machine::{Machine, Now};
use writ_kernel::settle::{self, Settlement};
use writ_model::delivery::AttemptId;
use writ_model::id::{Epoch, SubscriberName};
use writ_model::time::{Moment, Timestamp};
use writ_store::disk::SimDisk;
use writ_store::log::Record;
use writ_store::state::MemoryState;
use writ_store::vault::MemoryVault;

use crate::agenda::{Agenda, Happening};
use crate::bug::Bug;
use crate::chance::Chance;
use crate::desk::Desk;
use crate::former::Former;
use crate::inbox::Inbox;
use crate::keeper::Keeper;
use crate::model::Model;
use crate::options::Options;
use crate::receiver::Receiver;
use crate::reference::Reference;
use crate::replays::{Errand, Replays};
use crate::tape::Tape;
use crate::tenant::{Tenant, router};
use crate::truth::Truth;
use crate::upstream::Upstream;
use crate::writer::{Batch, Hub, TakenUp, Writer};
use crate::{Report, decay, oracle, workload};

/// The wall clock when virtual time is zero.
const EPOCH: i64 = 1_764_000_000_000_000;

/// A run that takes more steps than this does not come to rest.
const STEPS_MAX: u64 = 200_000;

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
    pub(crate) replay_of: BTreeMap<LaneId, Errand>,
    pub(crate) waiting_reads: Vec<Happening>,
    pub(crate) facts: VecDeque<dispatch::Fact>,
    pub(crate) settle_facts: VecDeque<settle::Fact>,
    agenda: Agenda,
    /// The epoch of the process whose turn it is.
    pub(crate) acting: Epoch,
    /// A process that another one has taken over from.
    pub(crate) former: Option<Former>,
    /// What was taken, by the receivers that remember it.
    pub(crate) inboxes: Vec<Inbox>,
    pub(crate) keeper: Keeper,
    pub(crate) desk: Desk,
    pub(crate) replays: Replays,
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
        let receiver = Receiver {
            mood: crate::receiver::Mood::Healthy,
            poison: options.poison,
            noise: options.noise,
            speaks: options.rules,
        };
        let names: Vec<_> =
            (0..count).map(|n| SubscriberName::new(&format!("s{n}")).expect("a name")).collect();
        let acting = tape.epoch();
        let mut world = Self {
            chance: Chance::new(seed),
            now: Now { moment: Moment(0), wall: Timestamp(EPOCH) },
            skew: 0,
            dispatch: crate::crash::fresh_dispatch(seed, &options, &tenant, &names, tape.epoch(), bug),
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
            waiting_reads: Vec::new(),
            facts: VecDeque::new(),
            settle_facts: VecDeque::new(),
            agenda: Agenda::default(),
            acting,
            former: None,
            inboxes: vec![Inbox::default(); count],
            keeper: Keeper::default(),
            desk: Desk::default(),
            replays: Replays::default(),
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
            rare: self.rare(),
        }
    }

    /// What a run may go without, each with how often it happened.
    fn rare(&self) -> BTreeMap<&'static str, u64> {
        let truth = &self.truth;
        BTreeMap::from([
            ("takeovers", truth.takeovers),
            ("branches prepared", truth.branches),
            ("express events taken before their turn", truth.ahead),
            ("looks at a receiver", truth.looks),
            ("answers judged by a rule", truth.ruled),
            ("pushed changes taken", truth.pushes),
            ("replays under new ids", truth.reissues),
            ("truncations", self.reference.truncations),
        ])
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
        let own =
            [self.dispatch.next_deadline(), self.settlement.next_deadline()].into_iter().flatten().min();
        let former = self.former.as_ref().and_then(Former::next_deadline);
        let entry = self.agenda.next();
        let Some(at) = [own, former, entry].into_iter().flatten().min() else { return Ok(false) };
        let at = at.max(self.now.moment);
        self.now = Now { moment: at, wall: Timestamp(EPOCH + at.0 as i64 + self.skew) };
        if entry.is_some_and(|entry| entry <= at) {
            let (by, happening) = self.agenda.pop().expect("looked at above");
            self.note(&happening);
            self.happen_to(by, happening)?;
        } else if own.is_some_and(|own| own <= at) {
            self.note(&"deadline");
            self.pass_time()?;
        } else {
            self.note(&"former deadline");
            self.former_goes_on(None)?;
        }
        self.drain()?;
        self.check_bounds()?;
        Ok(true)
    }

    /// What a process planned happens to it, if it is there still.
    fn happen_to(&mut self, by: Epoch, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Work => self.work(),
            Happening::Push(number) => self.push(number),
            _ if by == self.tape.epoch() => self.happen(happening),
            _ if self.former.as_ref().map(Former::epoch) == Some(by) => self.former_goes_on(Some(happening)),
            _ => self.arrive_late(happening),
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Work | Happening::Push(_) | Happening::Wake => Ok(()),
            Happening::Commit => self.commit(),
            Happening::Follow => self.follow(),
            Happening::Shorten => self.shorten(),
            Happening::Retire { before, as_of } => {
                self.retire(before, as_of);
                Ok(())
            }
            Happening::Read { .. } => self.serve_read(happening),
            Happening::Look { .. } => {
                self.serve_look(happening);
                Ok(())
            }
            Happening::DeadLetters { lane, subject, after } => self.serve_dead_letters(lane, subject, after),
            Happening::Load { from, limit, after } => self.serve_load(from, limit, after),
            Happening::Confirm { attempt, after } => self.serve_confirm(attempt, after),
            Happening::Answer { attempt, answer, processed } => {
                self.serve_answer(&attempt, answer, &processed)
            }
            Happening::Arrive(call) => self.arrive(call),
            Happening::List { lane, is_reached } => {
                self.serve_list(lane, is_reached);
                Ok(())
            }
            Happening::Verdict { lane, branch, verdict, is_reached } => {
                self.serve_verdict(lane, branch, verdict, is_reached)
            }
            Happening::Resolved { lane, branch, resolution } => {
                self.facts.push_back(dispatch::Fact::Resolved(lane, branch, resolution));
                Ok(())
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
        self.agenda.plan(self.now.moment.after(wait), self.acting, happening);
    }

    /// Of what the process planned only the requests on the wire are left; the workload and a former owner go on.
    pub(crate) fn forget_agenda(&mut self) {
        let former = self.former.as_ref().map(Former::epoch);
        self.agenda.retain(|by, happening| match happening {
            Happening::Work | Happening::Push(_) | Happening::Arrive(_) | Happening::Verdict { .. } => true,
            _ => former == Some(by),
        });
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
