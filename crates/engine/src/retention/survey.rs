//! What is in a segment that is not written to any more: read once, a little at a time, and remembered.

use std::collections::BTreeMap;

use writ_kernel::retention::Kind;
use writ_model::id::Offset;
use writ_model::time::Timestamp;
use writ_store::error::ReadError;
use writ_store::log::{LogReader, Record, SegmentSpan};

/// Bytes of log that one step reads.
const STEP_BYTES: usize = 4 << 20;

/// When the oldest and the newest event of each kind were recorded.
pub(super) type Kinds = BTreeMap<Kind, (Timestamp, Timestamp)>;

/// What was read of one segment so far.
struct Survey {
    kinds: Kinds,
    next: Offset,
}

/// By the segments' numbers.
#[derive(Default)]
pub(super) struct Surveys(BTreeMap<u64, Survey>);

impl Surveys {
    /// The kinds in a segment, when it was read to its end.
    pub(super) fn known(&self, span: SegmentSpan) -> Option<Kinds> {
        let survey = self.0.get(&span.number).filter(|survey| survey.next >= span.to);
        survey.map(|survey| survey.kinds.clone())
    }

    /// Reads on in a segment. Those that have left the log are forgotten.
    pub(super) fn read_on(&mut self, log: &mut dyn LogReader, span: SegmentSpan) -> Result<(), ReadError> {
        let first = log.segments().first().map_or(span.number, |segment| segment.number);
        self.0.retain(|number, _| *number >= first);
        let fresh = || Survey { kinds: Kinds::new(), next: span.from };
        let survey = self.0.entry(span.number).or_insert_with(fresh);
        let records = if survey.next < span.to { log.read(survey.next, STEP_BYTES)? } else { Vec::new() };
        survey.next = records.last().map_or(span.to, |last| last.offset().next());
        for record in records.iter().take_while(|record| record.offset() < span.to) {
            let Record::Event(event) = record else { continue };
            let at = event.header.recorded_at;
            let kind = (event.header.change_type, event.decision.class);
            let (oldest, newest) = survey.kinds.entry(kind).or_insert((at, at));
            (*oldest, *newest) = ((*oldest).min(at), (*newest).max(at));
        }
        Ok(())
    }
}
