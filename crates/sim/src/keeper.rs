//! Retention in the world: segments are judged by the kernel, what goes is journaled, derived rows are forgotten,
//! files are removed; a crash may come between any two of these. As the engine's janitor and writer do it.

use std::collections::BTreeMap;

use writ_kernel::retention::{Needs, Segment, Terms, Why, covers, reasons, truncation};
use writ_model::control::ControlFact;
use writ_model::id::{Offset, SubjectId};
use writ_model::retention::{Clocks, Truncated};
use writ_store::error::StateError;
use writ_store::log::{Record, SegmentSpan};
use writ_store::state::State;
use writ_store::vault::Vault;

use crate::agenda::Happening;
use crate::bug::Bug;
use crate::recovery::ROWS;
use crate::replays::is_in;
use crate::world::World;

/// Records whose rows are forgotten in one step: few, so that steps end in odd places.
const STEP_RECORDS: usize = 40;

/// What a process knows of retention; gone with it.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Everything below survives a power cut outside of the log.
    pub(crate) durable: Offset,
    /// Behind the last hold or replay that was committed.
    pub(crate) pinned: Offset,
    /// Rows of everything below are forgotten.
    forgotten: Offset,
    /// The writer has been told, and has not come to it: it takes one at a time, in order.
    is_told: bool,
}

fn failed(error: StateError) -> String {
    error.to_string()
}

/// Whether a fact makes somebody need the log.
pub(crate) fn is_pin(fact: &ControlFact) -> bool {
    matches!(fact, ControlFact::HoldPlaced(_) | ControlFact::ReplayOrdered(_))
}

impl World {
    /// Judges the log's beginning; what may go goes to the writer.
    pub(crate) fn judge_segments(&mut self) -> Result<(), String> {
        let is_off = self.options.keep_ms == 0 || self.keeper.is_told;
        if is_off || self.state.truncated().map_err(failed)? > self.tape.start() {
            return Ok(());
        }
        let as_of = self.state.applied();
        let needs = self.needs()?;
        let terms = Terms { classes: self.options.classes(), cursors_wait: None };
        let holds = self.state.holds().map_err(failed)?;
        let mut judged: Vec<(Segment, Vec<Why>)> = Vec::new();
        for span in self.tape.segments() {
            let segment = self.survey(span);
            let has = |subject| self.has_subject(subject, span);
            let on = holds.iter().filter(|hold| covers(hold, &segment, has));
            let on: Vec<String> = on.map(|hold| hold.id.clone()).collect();
            let why = reasons(&terms, &segment, &needs, &on, self.now.wall);
            judged.push((segment, why));
        }
        let before = truncation(judged.iter().map(|(segment, why)| (segment, why.as_slice())));
        let Some(before) = before.filter(|before| *before > self.tape.start()) else { return Ok(()) };
        self.check_classes(before)?;
        // The writer may be busy with much else.
        let wait = self.chance.millis(0, 800);
        self.keeper.is_told = true;
        self.plan(wait, Happening::Retire { before, as_of });
        Ok(())
    }

    fn needs(&self) -> Result<Needs, String> {
        let (mut cursors, mut dead_letters) = (BTreeMap::new(), BTreeMap::new());
        for name in &self.names {
            let cursor = self.state.cursor(name).map_err(failed)?;
            cursors.insert(name.to_string(), cursor.map_or(Offset::ZERO, |cursor| cursor.watermark));
            let letters = self.state.dead_letters(name, None, ROWS).map_err(failed)?;
            let first = letters.iter().map(|letter| letter.offset).min();
            dead_letters.extend(first.map(|offset| (name.to_string(), offset)));
        }
        if self.bug == Some(Bug::CursorNotKept) {
            cursors.clear();
        }
        let replays = self.state.replays().map_err(failed)?;
        let replays = replays.into_iter().map(|replay| (replay.id, replay.next)).collect();
        let open = self.state.open_events(Offset::ZERO, 1).map_err(failed)?;
        let is_unsafe = self.bug == Some(Bug::UnsyncedDropped);
        let durable = if is_unsafe { Offset(u64::MAX) } else { self.keeper.durable };
        Ok(Needs {
            durable,
            open_event: open.first().map(|event| event.offset),
            cursors,
            dead_letters,
            replays,
        })
    }

    fn survey(&self, span: SegmentSpan) -> Segment {
        let mut segment =
            Segment { from: span.from, to: span.to, is_open: span.is_open, ..Segment::default() };
        for (_, event) in self.reference.events.range(span.from..span.to) {
            let (header, class) = (&event.stored.header, event.stored.decision.class);
            let at = header.recorded_at;
            let (oldest, newest) = segment.kinds.entry((header.change_type, class)).or_insert((at, at));
            (*oldest, *newest) = ((*oldest).min(at), (*newest).max(at));
        }
        segment
    }

    /// By the index, which errs on the side of keeping.
    fn has_subject(&self, subject: SubjectId, span: SegmentSpan) -> bool {
        let after = span.from.0.checked_sub(1).map(Offset);
        let first = self.state.events_of(subject, after, 1);
        first.map_or(true, |found| found.first().is_some_and(|offset| *offset < span.to))
    }

    /// Said once more: every event that goes is as old as the longest of its classes says.
    fn check_classes(&self, before: Offset) -> Result<(), String> {
        for (offset, event) in self.reference.events.range(..before) {
            let header = &event.stored.header;
            let kept = header.recorded_at.after(self.options.keeps(header.change_type));
            if kept > self.now.wall && *offset >= self.tape.start() {
                return Err(format!("the event at {offset} is to leave the log before its time"));
            }
        }
        Ok(())
    }

    /// The writer journals it, unless it has taken in since what may need the log.
    pub(crate) fn retire(&mut self, before: Offset, as_of: Offset) {
        self.keeper.is_told = false;
        let is_pending = self.hub.facts.iter().any(is_pin);
        let is_known = !is_pending && self.keeper.pinned <= as_of;
        if is_known || self.bug == Some(Bug::PinIgnored) {
            let at = self.now.wall;
            self.hub.facts.push(ControlFact::Truncated(Truncated { before, at, clocks: Clocks::default() }));
            self.want_commit();
        }
    }

    /// The follower's part: rows of what goes are forgotten, a few at a time; then the segments are removed.
    pub(crate) fn forget_step(&mut self) -> Result<(), String> {
        let (before, start) = (self.state.truncated().map_err(failed)?, self.tape.start());
        if before <= start {
            return Ok(());
        }
        let from = self.keeper.forgotten.max(start);
        let wait = self.chance.millis(0, 20);
        if from >= before {
            self.plan(wait, Happening::Shorten);
            return Ok(());
        }
        let going = self.records(from).iter().take(STEP_RECORDS).filter(|record| record.offset() < before);
        let going: Vec<Record> = going.cloned().collect();
        self.state.forget(&going).map_err(failed)?;
        let next = going.last().map_or(before, |record| record.offset().next());
        self.keeper.forgotten = if going.len() < STEP_RECORDS { before } else { next };
        self.plan(wait, Happening::Follow);
        Ok(())
    }

    /// Files are removed. Where that fails they stay until the next start.
    pub(crate) fn shorten(&mut self) -> Result<(), String> {
        let before = self.state.truncated().map_err(failed)?;
        if before > self.tape.start() {
            let outcome = self.tape.truncate_before(before);
            self.note(&outcome.map_err(|error| error.to_string()));
        }
        self.check_start()
    }

    /// The log begins nowhere that its journal does not say.
    pub(crate) fn check_start(&self) -> Result<(), String> {
        let (start, said) = (self.tape.start(), self.reference.truncated);
        if start > said {
            return Err(format!("the log begins at {start}, and its journal says {said}"));
        }
        let (state, vault) = (self.state.applied(), self.vault.remembered());
        let derived = state.min(vault);
        if derived < start {
            return Err(format!("what is derived ends at {derived}, and the log begins at {start}"));
        }
        Ok(())
    }

    /// What leaves the log by its journal is of no use to anybody any more.
    pub(crate) fn check_truncated(&self, truncated: &Truncated) -> Result<(), String> {
        let (before, reference) = (truncated.before, &self.reference);
        let needed = |who: String| Err(format!("what is before {before} leaves the log, and {who} needs it"));
        for name in &self.names {
            let cursor = reference.cursors.get(name.as_str()).map_or(Offset::ZERO, |cursor| cursor.watermark);
            if cursor < before {
                return needed(format!("the cursor of {name} at {cursor}"));
            }
        }
        let is_before = |offset: &&Offset| **offset < before;
        if let Some(offset) = reference.dead.values().flatten().find(is_before) {
            return needed(format!("the dead letter at {offset}"));
        }
        if let Some((id, next)) = reference.replays.iter().find(|(_, next)| **next < before) {
            return needed(format!("{id} at {next}"));
        }
        for (offset, event) in reference.events.range(reference.truncated..before) {
            if !reference.finalised.contains(offset) {
                return needed(format!("the final of {offset}"));
            }
            if let Some((id, _)) = reference.holds.iter().find(|(_, scope)| is_in(scope, event)) {
                return needed(format!("hold {id} on {offset}"));
            }
        }
        Ok(())
    }
}
