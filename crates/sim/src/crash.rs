//! A crash at any point: every machine and everything unwritten is gone. Then the log is opened again, what
//! is derived catches up, and the machines take up what state and log hold.

use std::collections::BTreeMap;

use writ_kernel::dispatch::{Dispatch, LaneId, Settings};
use writ_kernel::settle::Settlement;
use writ_model::control::{ControlFact, Finalised};
use writ_model::id::{Epoch, Offset, SubscriberName};
use writ_store::error::{AppendError, ReadError};
use writ_store::log::Commit;

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::chance::Chance;
use crate::inbox::Kind;
use crate::keeper::Keeper;
use crate::options::Options;
use crate::tape::Tape;
use crate::tenant::Tenant;
use crate::world::{World, delivery_key};
use crate::writer::{Batch, Hub, Writer};

/// So often the log may fail to open while the disk still fails.
const OPENINGS_MAX: usize = 8;

pub(crate) fn fresh_dispatch(
    seed: u64,
    options: &Options,
    tenant: &Tenant,
    names: &[SubscriberName],
    epoch: Epoch,
    bug: Option<Bug>,
) -> Dispatch {
    let lanes = names.iter().enumerate().map(|(number, name)| options.config(number, name, bug)).collect();
    let key = delivery_key(tenant);
    Dispatch::new(lanes, Settings { seed, key, bytes_max: options.bytes_max as usize, epoch })
}

impl World {
    /// `loses_power`: what was not synced is lost in part; else only the process dies.
    pub(crate) fn crash(&mut self, loses_power: bool) -> Result<(), String> {
        self.note(&("crash", loses_power));
        self.truth.crashes += 1;
        self.process_some_in_flight()?;
        self.batch = Batch::default();
        self.hub = Hub::default();
        self.commit_due = false;
        self.facts.clear();
        self.settle_facts.clear();
        self.change_owner(loses_power)?;
        self.begin_anew(loses_power)
    }

    /// A new process opens the log; gives what the one before it held of it, where that still holds something.
    pub(crate) fn change_owner(&mut self, loses_power: bool) -> Result<Option<Tape>, String> {
        self.truth.starts.clear();
        self.forget_agenda();
        self.waiting_reads.clear();
        self.reopen(loses_power)
    }

    /// The new process catches up, and its machines take up what state and log hold.
    pub(crate) fn begin_anew(&mut self, loses_power: bool) -> Result<(), String> {
        self.acting = self.tape.epoch();
        if loses_power {
            self.vault.crash();
            self.state.crash();
        }
        self.check_owner()?;
        self.take_up_log()?;
        let taken_up = self.recover()?;
        self.writer = Writer::start(&self.tape, &self.tenant, taken_up);
        self.check_source()?;
        self.upstream.rewind_to(self.reference.progress);
        self.start_machines()
    }

    /// A request on its way may or may not have been processed; nobody will hear of it.
    fn process_some_in_flight(&mut self) -> Result<(), String> {
        for (_, attempt) in std::mem::take(&mut self.flying) {
            if self.options.kind(self.subscriber_of(attempt.lane)) != Kind::Plain {
                // It is on the agenda still.
                continue;
            }
            let numbers = vec![self.chance.percent(30); attempt.deliveries.len()];
            self.process(&attempt, &numbers)?;
        }
        Ok(())
    }

    fn reopen(&mut self, loses_power: bool) -> Result<Option<Tape>, String> {
        let mut former = None;
        for opening in 0.. {
            let seed = self.chance.draw();
            // An opening that failed on a planned fault is a failed start: the operator tries again.
            if loses_power || opening > 0 {
                self.disk.crash(seed);
            }
            // The old log's lock is let go of by a crash of the disk, or by dropping the old log.
            let spare =
                Tape::open(&writ_store::disk::SimDisk::new(), 0).map_err(|error| error.to_string())?;
            let old = std::mem::replace(&mut self.tape, spare);
            old.take_away();
            former = former.or_else(|| loses_power.then_some(old));
            match Tape::open(&self.disk, self.seed) {
                Ok(tape) => {
                    self.tape = tape;
                    break;
                }
                Err(error) if opening >= OPENINGS_MAX => {
                    return Err(format!("the log does not open: {error}"));
                }
                // One that did not fit is given room.
                Err(_) => self.disk.set_capacity(None),
            }
        }
        Ok(former)
    }

    /// A second owner is refused, and so is a former one.
    fn check_owner(&mut self) -> Result<(), String> {
        if !matches!(Tape::open(&self.disk, self.seed), Err(ReadError::Locked { .. })) {
            return Err("a log that is open was opened a second time".to_owned());
        }
        let former = Epoch(self.tape.epoch().0 - 1);
        let fact = ControlFact::Finalised(Finalised { offsets: vec![Offset::ZERO] });
        let commit = Commit { facts: vec![fact], ..Commit::default() };
        match self.tape.append_as(former, commit) {
            Err(AppendError::Fenced { .. }) => Ok(()),
            other => Err(format!("a former owner's append ended as {other:?}")),
        }
    }

    /// What was committed is there, record for record; what was not known to be may be there after it.
    fn take_up_log(&mut self) -> Result<(), String> {
        let start = self.tape.start();
        let mut records = self.tape.read_all(start)?;
        let known = self.records(start);
        let lost = known.iter().enumerate().find(|(n, record)| records.get(*n) != Some(record));
        if let Some((_, record)) = lost {
            return Err(format!("the record at {} was committed and is gone", record.offset()));
        }
        let rest = records.split_off(known.len());
        self.absorb(rest)?;
        self.reference.epoch = self.tape.epoch();
        self.keeper = Keeper::default();
        self.check_start()
    }

    pub(crate) fn start_machines(&mut self) -> Result<(), String> {
        let (mut effects, mut settle_effects) = (Vec::new(), Vec::new());
        let seed = Chance::new(self.seed ^ self.truth.crashes).draw();
        self.dispatch =
            fresh_dispatch(seed, &self.options, &self.tenant, &self.names, self.tape.epoch(), self.bug);
        let mut recovered = BTreeMap::new();
        for n in 0..self.names.len() {
            recovered.insert(LaneId(n as u16), self.recovered(n)?);
        }
        self.dispatch.start(self.now, recovered, &mut effects);
        self.settlement = Settlement::start(&mut settle_effects);
        self.resume_replays(&mut effects)?;
        self.carry_out(effects, settle_effects)?;
        self.plan(std::time::Duration::ZERO, Happening::Commit);
        Ok(())
    }
}
