//! What the source's history must have become: a restatement of admission that never crashes, batches or
//! rewinds. It learns from the log what the gate decided, and nothing else.

use std::collections::{BTreeMap, VecDeque};

use writ_kernel::detect;
use writ_kernel::identity::{self, Origin};
use writ_model::change::{Change, Detected};
use writ_model::control::Withheld;
use writ_model::envelope::{ClearHeader, PrivatePart};
use writ_model::id::{EventId, Position, RecordKey, SubjectId};
use writ_model::taxonomy::ChangeType;
use writ_model::value::Attributes;

use crate::tenant::Tenant;

/// A record as the stream left it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) subject: SubjectId,
    pub(crate) groups: BTreeMap<ChangeType, Attributes>,
}

/// What a stretch of the log holds of changes, in order.
#[derive(Default)]
pub(crate) struct Stretch {
    pub(crate) events: VecDeque<(ClearHeader, PrivatePart)>,
    pub(crate) withheld: VecDeque<Withheld>,
}

/// Records by their natural keys.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) known: BTreeMap<RecordKey, Known>,
    /// Changes of the source that the log covers.
    pub(crate) taken: usize,
}

impl Model {
    /// Goes through the source's history up to `covered`, and finds every event it must have given, in order,
    /// in the stretch; and nothing else there.
    pub(crate) fn advance(
        &mut self,
        tenant: &Tenant,
        history: &[Change],
        covered: Position,
        mut stretch: Stretch,
    ) -> Result<(), String> {
        while let Some(change) = history.get(self.taken).filter(|change| change.position <= covered) {
            self.take(tenant, change, &mut stretch)?;
            self.taken += 1;
        }
        let Stretch { events, withheld } = stretch;
        match (events.front(), withheld.front()) {
            (Some((header, _)), _) => Err(format!("no change gives the event {}", header.event_id)),
            (None, Some(kept)) => Err(format!("no change gives the kept event {}", kept.event_id)),
            (None, None) => Ok(()),
        }
    }

    fn take(&mut self, tenant: &Tenant, change: &Change, stretch: &mut Stretch) -> Result<(), String> {
        let old = change.old_key.as_ref().filter(|old| **old != change.key);
        let mut moved = old.filter(|old| self.known.contains_key(old)).cloned();
        let groups = self.known.get(moved.as_ref().unwrap_or(&change.key)).map(|known| known.groups.clone());
        let detected = detect::detect(&tenant.mapping, change, &groups.unwrap_or_default());
        for one in detected.map_err(|error| error.to_string())? {
            let origin = Origin::of(&tenant.id, change);
            let key = &tenant.secrets.event_id_key;
            let id = identity::event_id(key, &origin, one.change_type, change.committed_at);
            self.find(change, &one, id, &mut moved, stretch)?;
        }
        self.follow_key(moved, change);
        Ok(())
    }

    /// The record is found under its new key, whether or not an event of the change entered the stream.
    fn follow_key(&mut self, moved: Option<RecordKey>, change: &Change) {
        if let Some(known) = moved.and_then(|old| self.known.remove(&old)) {
            self.known.insert(change.key.clone(), known);
        }
    }

    /// The event is next in the stream, or next among the kept ones.
    fn find(
        &mut self,
        change: &Change,
        one: &Detected,
        id: EventId,
        moved: &mut Option<RecordKey>,
        stretch: &mut Stretch,
    ) -> Result<(), String> {
        let place = moved.clone().unwrap_or_else(|| change.key.clone());
        if stretch.withheld.front().is_some_and(|kept| kept.event_id == id) {
            let kept = stretch.withheld.pop_front().expect("looked at above");
            return self.check_subject(&place, kept.subject_id, change);
        }
        let Some((header, private)) = stretch.events.pop_front().filter(|(header, _)| header.event_id == id)
        else {
            return Err(format!("the {} event of change {} is missing", one.change_type, change.position));
        };
        self.check_subject(&place, header.subject_id, change)?;
        let stored = (&private.data.before, &private.data.after, &private.data.unseen, header.operation);
        if stored != (&one.before, &one.after, &one.unseen, one.operation) || private.key != change.key {
            return Err(format!("the {} event of change {} says another", one.change_type, change.position));
        }
        self.follow_key(moved.take(), change);
        if let Some(known) = self.known.get_mut(&change.key) {
            match &one.after {
                Some(after) => drop(known.groups.insert(one.change_type, after.clone())),
                None => drop(known.groups.remove(&one.change_type)),
            }
        }
        Ok(())
    }

    /// A record keeps its subject, also when its key changes.
    fn check_subject(
        &mut self,
        place: &RecordKey,
        subject: SubjectId,
        change: &Change,
    ) -> Result<(), String> {
        let new = Known { subject, groups: BTreeMap::new() };
        let known = self.known.entry(place.clone()).or_insert(new);
        if known.subject == subject {
            return Ok(());
        }
        Err(format!("change {} is of subject {}, its event of {subject}", change.position, known.subject))
    }
}
