//! A crash at any point: every machine and everything unwritten is gone. Then the log is opened again, the
//! derived state is rebuilt from its records, and the machines take up what the journal holds.

use std::collections::BTreeMap;

use writ_kernel::dispatch::attempt::DeliveryKey;
use writ_kernel::dispatch::lane::Recovered;
use writ_kernel::dispatch::replay::Order;
use writ_kernel::dispatch::{Dispatch, LaneId, Settings};
use writ_kernel::settle::Settlement;
use writ_model::id::{Epoch, SubscriberName};

use crate::chance::Chance;
use crate::options::Options;
use crate::reference::Reference;
use crate::tape::{Pending, Tape};
use crate::world::{Happening, World};

/// So often the log may fail to open while the disk still fails.
const OPENINGS_MAX: usize = 8;

pub(crate) fn fresh_dispatch(
    seed: u64,
    options: &Options,
    names: &[SubscriberName],
    epoch: Epoch,
) -> Dispatch {
    let lanes = names.iter().map(|name| options.config(name)).collect();
    let settings =
        Settings { seed, key: DeliveryKey::new([9; 32]), bytes_max: options.bytes_max as usize, epoch };
    Dispatch::new(lanes, settings)
}

impl World {
    /// `loses_power`: what was not synced is lost in part; else only the process dies.
    pub(crate) fn crash(&mut self, loses_power: bool) -> Result<(), String> {
        self.note(&("crash", loses_power));
        self.truth.crashes += 1;
        self.process_some_in_flight()?;
        self.forget_agenda();
        self.pending = Pending::default();
        self.commit_due = false;
        self.waiting_reads.clear();
        self.facts.clear();
        self.settle_facts.clear();
        self.reopen(loses_power)?;
        self.check_source()?;
        self.upstream.rewind_to(self.reference.source);
        self.start_machines();
        Ok(())
    }

    /// A request on its way may or may not have been processed; nobody will hear of it.
    fn process_some_in_flight(&mut self) -> Result<(), String> {
        for (_, attempt) in std::mem::take(&mut self.flying) {
            let numbers = vec![self.chance.percent(30); attempt.deliveries.len()];
            self.process(&attempt, &numbers)?;
        }
        Ok(())
    }

    fn reopen(&mut self, loses_power: bool) -> Result<(), String> {
        for opening in 0.. {
            let seed = self.chance.draw();
            // An opening that failed on a planned fault is a failed start: the operator tries again.
            if loses_power || opening > 0 {
                self.disk.crash(seed);
            }
            // The old log's lock is let go of by a crash of the disk, or by dropping the old log.
            let spare = Tape::open(&writ_store::disk::SimDisk::new(), 0)?;
            drop(std::mem::replace(&mut self.tape, spare));
            match Tape::open(&self.disk, self.seed) {
                Ok(tape) => {
                    self.tape = tape;
                    break;
                }
                Err(error) if opening >= OPENINGS_MAX => return Err(error),
                // One that did not fit is given room.
                Err(_) => self.disk.set_capacity(None),
            }
        }
        let before = std::mem::take(&mut self.reference);
        for (offset, entry) in self.tape.read_all(writ_model::id::Offset::ZERO)? {
            self.reference.apply(offset, entry);
        }
        self.check_nothing_lost(&before)
    }

    pub(crate) fn start_machines(&mut self) {
        let (mut effects, mut settle_effects) = (Vec::new(), Vec::new());
        let seed = Chance::new(self.seed ^ self.truth.crashes).draw();
        self.dispatch = fresh_dispatch(seed, &self.options, &self.names, self.tape.epoch());
        let recovered = (0..self.names.len()).map(|n| (LaneId(n as u16), self.recovered(n))).collect();
        self.dispatch.start(self.now, recovered, &mut effects);
        self.settlement = Settlement::start(&mut settle_effects);
        self.replay_of = BTreeMap::new();
        let replays: Vec<_> = self.reference.replays.values().cloned().collect();
        for progress in replays.iter().filter(|p| p.state == "running" || p.state == "paused") {
            let base = self.names.iter().position(|name| *name == progress.subscriber).unwrap_or_default();
            let order = Order::resumed(progress, None);
            if let Ok(lane) = self.dispatch.replay(self.now, LaneId(base as u16), order, &mut effects) {
                self.replay_of.insert(lane, base);
            }
        }
        self.carry_out(effects, settle_effects);
        self.plan(std::time::Duration::ZERO, Happening::Commit);
    }

    fn recovered(&self, subscriber: usize) -> Recovered {
        let name = self.names[subscriber].as_str();
        let Reference { cursors, lanes, dead, .. } = &self.reference;
        let parked = dead.iter().filter(|((whose, _), _)| whose == name);
        Recovered {
            cursor: cursors.get(name).cloned(),
            state: lanes.get(name).cloned(),
            parked: parked.filter_map(|((_, s), seq)| Some((*s, *seq.last_key_value()?.0))).collect(),
            ..Recovered::default()
        }
    }
}
