//! Retention: what the kernel's decision needs is gathered here, for the janitor that carries it out and for
//! whoever asks what would go.

pub(crate) mod janitor;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use writ_kernel::retention::{Class, Needs, Segment, Terms, Why, behind, covers, reasons, truncation};
use writ_model::id::{Offset, SubjectId, SubscriberName};
use writ_model::retention::Hold;
use writ_model::time::Timestamp;
use writ_store::error::{ReadError, StateError};
use writ_store::log::{LogReader, SegmentSpan};
use writ_store::state::State;

use self::survey::Surveys;
use crate::config::Retention;

/// A report that takes longer tells what it has come to.
const REPORT_LONGEST: Duration = Duration::from_secs(10);

/// Dead letters read in one step.
const LETTERS: usize = 4096;

/// What has been learned of the log's segments, and by what they are judged.
pub(crate) struct Keeper {
    terms: Terms,
    subscribers: Vec<SubscriberName>,
    /// Everything below survives a power cut outside of the log.
    durable: AtomicU64,
    surveys: Mutex<Surveys>,
}

/// One segment and why it stays.
pub(crate) struct Judged {
    span: SegmentSpan,
    segment: Segment,
    /// Nobody has read all of it yet.
    is_unread: bool,
    why: Vec<Why>,
}

/// How far segments are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// To the first that stays, reading a little more each time.
    Prefix,
    /// All of them, as far as time allows.
    Whole,
}

/// One segment, as `writ retention` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentReport {
    /// Counts the segments of the log, from 1.
    pub number: u64,
    /// The offset of its first record.
    pub from: Offset,
    /// The first offset after it.
    pub to: Offset,
    /// Its bytes.
    pub bytes: u64,
    /// When its oldest event was recorded.
    pub oldest: Option<Timestamp>,
    /// When its newest event was recorded.
    pub newest: Option<Timestamp>,
    /// Why it stays; empty when it would go.
    pub why: Vec<String>,
}

/// What would go, and why the rest stays.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionReport {
    /// The oldest offset that the log holds.
    pub log_start: Offset,
    /// Where the log would begin; `None` when nothing would go.
    pub would_start: Option<Offset>,
    /// Everything below has left the log, or is about to.
    pub truncated_before: Offset,
    /// Every segment, oldest first.
    pub segments: Vec<SegmentReport>,
}

/// Log or state did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    State(#[from] StateError),
}

impl Keeper {
    pub(crate) fn new(retention: &Retention, subscribers: Vec<SubscriberName>) -> Self {
        let class = |one: &crate::config::RetentionClass| Class {
            name: one.name.clone(),
            keep: one.keep.0,
            change_types: one.change_types.iter().copied().collect::<BTreeSet<_>>(),
            priority: one.priority,
        };
        let classes = retention.classes.iter().map(class).collect();
        let terms = Terms { classes, cursors_wait: retention.cursors_wait.map(|wait| wait.0) };
        let (durable, surveys) = (AtomicU64::new(0), Mutex::new(Surveys::default()));
        Self { terms, subscribers, durable, surveys }
    }

    /// The follower's word: state, vault and audit log have everything below, durably.
    pub(crate) fn durable(&self, through: Offset) {
        self.durable.fetch_max(through.0, Ordering::AcqRel);
    }

    fn needs(&self, state: &dyn State) -> Result<Needs, StateError> {
        let (mut cursors, mut dead_letters) = (BTreeMap::new(), BTreeMap::new());
        for name in &self.subscribers {
            // One that has settled nothing yet needs all there is.
            let cursor = state.cursor(name)?.map_or(Offset::ZERO, |cursor| cursor.watermark);
            cursors.insert(name.to_string(), cursor);
            let letter = first_letter(state, name)?;
            dead_letters.extend(letter.map(|offset| (name.to_string(), offset)));
        }
        let replays = state.replays()?.into_iter().map(|replay| (replay.id, replay.next)).collect();
        let open_event = state.open_events(Offset::ZERO, 1)?.first().map(|event| event.offset);
        let durable = Offset(self.durable.load(Ordering::Acquire));
        Ok(Needs { durable, open_event, cursors, dead_letters, replays })
    }

    fn judge(
        &self,
        log: &mut dyn LogReader,
        state: &dyn State,
        extent: Extent,
        now: Timestamp,
    ) -> Result<Vec<Judged>, KeeperError> {
        let (needs, holds) = (self.needs(state)?, state.holds()?);
        let began = Instant::now();
        let mut judged: Vec<Judged> = Vec::new();
        for span in log.segments() {
            let may_read = extent == Extent::Prefix || began.elapsed() < REPORT_LONGEST;
            let kinds = self.survey(log, span, extent, may_read)?;
            let is_unread = kinds.is_none();
            let kinds = kinds.unwrap_or_default();
            let segment = Segment { from: span.from, to: span.to, is_open: span.is_open, kinds };
            let holds = holds_on(&holds, &segment, state);
            let mut why = reasons(&self.terms, &segment, &needs, &holds, now);
            let stays = |one: &Judged| one.is_unread || !one.why.is_empty();
            why.extend(judged.last().is_some_and(stays).then_some(Why::Earlier));
            let one = Judged { span, segment, is_unread, why };
            let is_last = extent == Extent::Prefix && stays(&one);
            judged.push(one);
            if is_last {
                break;
            }
        }
        Ok(judged)
    }

    /// What is in a segment; `None` when it is not read to its end yet. The open one is not read: it stays.
    fn survey(
        &self,
        log: &mut dyn LogReader,
        span: SegmentSpan,
        extent: Extent,
        may_read: bool,
    ) -> Result<Option<survey::Kinds>, ReadError> {
        if span.is_open {
            return Ok(Some(survey::Kinds::new()));
        }
        let mut surveys = self.surveys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        loop {
            let known = surveys.known(span);
            if known.is_some() || !may_read {
                return Ok(known);
            }
            surveys.read_on(log, span)?;
            if extent == Extent::Prefix {
                return Ok(surveys.known(span));
            }
        }
    }

    /// What would go now, and why the rest stays. Changes nothing. Blocking.
    pub(crate) fn report(
        &self,
        log: &mut dyn LogReader,
        state: &dyn State,
        now: Timestamp,
    ) -> Result<RetentionReport, KeeperError> {
        let judged = self.judge(log, state, Extent::Whole, now)?;
        let would_start = would_start(&judged);
        Ok(RetentionReport {
            log_start: log.start(),
            would_start: would_start.filter(|_| !self.terms.classes.is_empty()),
            truncated_before: state.truncated()?,
            segments: judged.iter().map(|one| self.segment(one)).collect(),
        })
    }

    fn segment(&self, judged: &Judged) -> SegmentReport {
        let Judged { span, segment, is_unread, why } = judged;
        let mut why: Vec<String> = why.iter().map(ToString::to_string).collect();
        if self.terms.classes.is_empty() {
            why.insert(0, "no retention class is configured: everything is kept".to_owned());
        }
        why.extend(is_unread.then(|| "it is not read to its end yet".to_owned()));
        SegmentReport {
            number: span.number,
            from: span.from,
            to: span.to,
            bytes: span.bytes,
            oldest: segment.kinds.values().map(|(oldest, _)| *oldest).min(),
            newest: segment.kinds.values().map(|(_, newest)| *newest).max(),
            why,
        }
    }
}

/// Where the log would begin.
fn would_start(judged: &[Judged]) -> Option<Offset> {
    let read = judged.iter().take_while(|one| !one.is_unread);
    truncation(read.map(|one| (&one.segment, one.why.as_slice())))
}

/// The subscribers that the log waits for no longer, each with where it goes on.
fn left_behind(judged: &[Judged], now: Timestamp) -> BTreeMap<String, Offset> {
    let read = judged.iter().take_while(|one| !one.is_unread);
    behind(read.map(|one| (&one.segment, one.why.as_slice())), now)
}

fn holds_on(holds: &[Hold], segment: &Segment, state: &dyn State) -> Vec<String> {
    // What cannot be looked up is taken to be there: a hold errs on the side of keeping.
    let has = |subject: SubjectId| {
        let after = segment.from.0.checked_sub(1).map(Offset);
        let first = state.events_of(subject, after, 1);
        first.map_or(true, |found| found.first().is_some_and(|offset| *offset < segment.to))
    };
    holds.iter().filter(|hold| covers(hold, segment, has)).map(|hold| hold.id.clone()).collect()
}

/// The first dead letter of a subscriber: they are listed by subject.
fn first_letter(state: &dyn State, name: &SubscriberName) -> Result<Option<Offset>, StateError> {
    let (mut first, mut after) = (None, None);
    loop {
        let letters = state.dead_letters(name, after, LETTERS)?;
        let Some(last) = letters.last() else { return Ok(first) };
        after = Some((last.subject_id, last.offset));
        first = letters.iter().map(|letter| letter.offset).chain(first).min();
    }
}
