//! A pushed change: is it new, the same again, or other content under a used id?

use writ_kernel::admission::{self, Fate, Pushed};
use writ_kernel::detect;
use writ_kernel::identity::{self, Origin};
use writ_model::change::Change;
use writ_model::control::{ControlFact, IntakeSeen};
use writ_model::id::EventId;
use writ_model::time::Timestamp;
use writ_store::state::State;

use super::admit::Found;
use crate::bug::Bug;
use crate::desk::Told;
use crate::world::World;

impl World {
    pub(crate) fn admit_push(&mut self, change: &Change) -> Result<Told, String> {
        let found = self.subject(change)?;
        let seen = self.seen(self.intake_id(change))?;
        let hash = seen.as_ref().and_then(|seen| comparable(seen, &found, change));
        match admission::pushed(seen.as_ref(), hash.as_deref()) {
            Pushed::Duplicate => return Ok(Told::Duplicate),
            Pushed::Conflict => return Ok(Told::Conflict),
            Pushed::Accepted => {}
        }
        let detected = detect::detect(&self.tenant.mapping, change, &found.subject.last_known);
        let detected = detected.map_err(|error| format!("detect: {error}"))?;
        let (key, is_new) = (found.subject.content.clone(), found.is_new);
        let before = self.batch.events.len();
        let fate = self.decide_all(change, found, detected)?;
        let events = match fate {
            Fate::Accepted => self.batch.events.len() - before,
            Fate::Held | Fate::Quarantined | Fate::Refused => 1,
            _ => 0,
        };
        // The key of a new subject without events is not kept: nothing can be compared with its hash.
        let key = key.filter(|_| !(is_new && events == 0));
        let content_hash = key.map(|key| identity::content_hash(&key.0, change)).unwrap_or_default();
        self.take_push(change, content_hash, events as u32);
        Ok(Told::Accepted)
    }

    fn take_push(&mut self, change: &Change, content_hash: String, events: u32) {
        let (causation_id, source, at) = (self.intake_id(change), change.source.clone(), self.now.wall);
        let seen = IntakeSeen { causation_id, source, content_hash, events, at };
        self.batch.taken.insert(causation_id, seen.clone());
        self.batch.facts.push(ControlFact::Intake(seen));
    }

    fn seen(&mut self, id: EventId) -> Result<Option<IntakeSeen>, String> {
        if let Some(seen) = self.batch.taken.get(&id) {
            return Ok(Some(seen.clone()));
        }
        // The engine remembers what state has not applied yet; here state applies it first.
        if self.bug != Some(Bug::PushForgotten) {
            self.catch_up_state()?;
        }
        self.state.intake(id).map_err(|error| error.to_string())
    }

    /// The dedup key does not depend on when the change is sent.
    pub(crate) fn intake_id(&self, change: &Change) -> EventId {
        let origin = Origin::of(&self.tenant.id, change);
        identity::causation_id(&self.tenant.secrets.event_id_key, &origin, Timestamp(0))
    }
}

/// What the content taken under this id is held against; `None` where that cannot be compared any more.
fn comparable(seen: &IntakeSeen, found: &Found, change: &Change) -> Option<String> {
    if seen.content_hash.is_empty() {
        return None;
    }
    if found.is_new {
        return (seen.events > 0).then(String::new);
    }
    found.subject.content.as_ref().map(|key| identity::content_hash(&key.0, change))
}
