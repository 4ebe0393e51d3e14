//! One group commit: account, add subjects, give sequences, seal, append; and only then move lasting state
//! on, acknowledge the source and tell the machines.

use writ_kernel::admission::Sequencer;
use writ_kernel::settle;
use writ_model::control::{Accounted, ControlFact};
use writ_model::id::Offset;
use writ_store::error::AppendError;
use writ_store::log::{Commit, NewEvent, Record};
use writ_store::seal;
use writ_store::vault::Vault;

use super::{Batch, Hub, Pending, leaf};
use crate::agenda::Happening;
use crate::bug::Bug;
use crate::world::World;

impl World {
    /// A commit is due soon.
    pub(crate) fn want_commit(&mut self) {
        if !(self.commit_due || self.batch.is_empty() && self.hub.is_empty()) {
            self.commit_due = true;
            let wait = self.chance.millis(0, 8);
            self.plan(wait, Happening::Commit);
        }
    }

    /// Makes everything that waits durable.
    pub(crate) fn commit(&mut self) -> Result<(), String> {
        self.commit_due = false;
        if self.batch.is_empty() && self.hub.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.account(&mut batch)?;
        self.vault.create(&batch.subjects).map_err(|error| error.to_string())?;
        if self.bug == Some(Bug::RememberBeforeSync) {
            let end = self.tape.end();
            self.vault.remember(&batch.remembers, end).map_err(|error| error.to_string())?;
        }
        let commit = self.build(&mut batch)?;
        let before = self.tape.end();
        match self.tape.append(commit) {
            Ok(appended) => {
                self.commits += 1;
                self.hub = Hub::default();
                let pushes = std::mem::take(&mut batch.pushes);
                self.advance(batch, appended.end)?;
                self.publish(before)?;
                self.pushed(pushes)
            }
            Err(AppendError::Full { .. }) => {
                self.refuse();
                Ok(())
            }
            Err(error @ (AppendError::Indeterminate { .. } | AppendError::Poisoned)) => {
                self.note(&error.to_string());
                self.crash(false)
            }
            Err(
                error @ (AppendError::SequenceConflict { .. }
                | AppendError::Fenced { .. }
                | AppendError::TooLarge { .. }),
            ) => Err(format!("the only writer is refused: {error}")),
        }
    }

    fn account(&mut self, batch: &mut Batch) -> Result<(), String> {
        if batch.tally.covered() == 0 {
            return Ok(());
        }
        let seq = self.writer.accounting + 1;
        let mut tally = batch.tally;
        if self.bug == Some(Bug::Miscounted) && tally.accepted > 0 {
            tally.accepted -= 1;
            tally.duplicate += 1;
        }
        batch.leaves.push(leaf::accounting(&self.tenant, seq, &tally, &batch.span, self.now.wall)?);
        let source = self.tenant.source.clone();
        batch.facts.push(ControlFact::Accounted(Accounted { source, seq }));
        Ok(())
    }

    fn build(&mut self, batch: &mut Batch) -> Result<Commit, String> {
        let mut events = Vec::with_capacity(batch.events.len());
        for pending in std::mem::take(&mut batch.events) {
            events.push(self.place(pending)?);
        }
        let mut facts = self.hub.facts.clone();
        facts.append(&mut batch.facts);
        facts.extend(batch.covered.clone().map(ControlFact::Covered));
        facts.extend(batch.progress.clone().map(ControlFact::SourceProgress));
        let mut leaves = self.hub.leaves.clone();
        leaves.append(&mut batch.leaves);
        Ok(Commit { events, facts, leaves })
    }

    fn place(&mut self, pending: Pending) -> Result<NewEvent, String> {
        let Pending { cleared, ordinals, content, evidence } = pending;
        let header = &cleared.envelope().header;
        let sequence = self.writer.sequencer.give(header.slot);
        let settle_by = header.recorded_at.after(std::time::Duration::from_millis(self.options.settle_ms));
        let intent = leaf::intent(cleared.envelope(), cleared.decision(), sequence, settle_by, &evidence)?;
        let nonce = self.chance.bytes();
        let sealed = seal::seal(cleared, &content, nonce).map_err(|error| error.to_string())?;
        Ok(NewEvent { sealed, sequence, ordinals, settle_by, intent })
    }

    /// Lasting state moves on: the commit is durable.
    fn advance(&mut self, batch: Batch, end: Offset) -> Result<(), String> {
        self.vault.remember(&batch.remembers, end).map_err(|error| error.to_string())?;
        self.writer.accounting += u64::from(batch.tally.covered() > 0);
        self.writer.covered = batch.covered.or(self.writer.covered.take());
        Ok(())
    }

    /// The disk is full and nothing was stored: the source comes again, the hub's part waits for room.
    fn refuse(&mut self) {
        self.note(&"refused");
        if self.bug != Some(Bug::SequencesNotTakenBack) {
            self.writer.sequencer = Sequencer::new(|slot| self.tape.tail(slot));
        }
        self.upstream.rewind_to(self.reference.progress);
        self.disk.set_capacity(None);
        self.want_commit();
    }

    fn publish(&mut self, before: Offset) -> Result<(), String> {
        let records = self.tape.read_all(before)?;
        let stored: Vec<Offset> = events_in(&records);
        self.absorb(records)?;
        self.upstream.acknowledge(self.reference.progress);
        if !stored.is_empty() {
            let open = stored.into_iter().map(|offset| self.open(offset)).collect();
            self.settle_facts.push_back(settle::Fact::Stored(open));
        }
        for read in std::mem::take(&mut self.waiting_reads) {
            let wait = self.chance.millis(0, 5);
            self.plan(wait, read);
        }
        let wait = self.chance.millis(0, 40);
        self.plan(wait, Happening::Follow);
        Ok(())
    }
}

fn events_in(records: &[Record]) -> Vec<Offset> {
    let offset = |record: &Record| match record {
        Record::Event(event) => Some(event.offset),
        Record::Fact(..) | Record::Leaf(..) => None,
    };
    records.iter().filter_map(offset).collect()
}
