//! What replays were ordered to do, and what must hold of what they send: nothing that was not selected, nothing
//! after their end, under the ids that were asked for, over every restart.

use std::collections::BTreeMap;

use writ_kernel::dispatch::replay::Order;
use writ_kernel::dispatch::{Fact, Item, LaneId};
use writ_kernel::select::Selected;
use writ_model::id::Offset;
use writ_model::replay::{DeliveryIds, ReplayOrder};
use writ_store::state::State;

use crate::bug::Bug;
use crate::reference::Event;
use crate::world::World;

/// A replay as its process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) subscriber: usize,
    order: ReplayOrder,
    selected: Selected,
}

/// Everything that was ever ordered, by name, and the last number that was given.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    ordered: BTreeMap<String, (ReplayOrder, Selected)>,
    last: u32,
}

/// What one read of a replay looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) from: Offset,
    pub(crate) items_max: usize,
    pub(crate) records_max: usize,
}

impl World {
    pub(crate) fn next_replay(&self) -> u32 {
        self.replays.last + 1
    }

    /// A replay was ordered; nobody has written it down yet.
    pub(crate) fn order_replay(&mut self, base: LaneId, given: ReplayOrder) -> Result<(), String> {
        let selected = Selected::compile(&given.selection).map_err(|error| error.to_string())?;
        let mut effects = Vec::new();
        let order = Order::new(given.clone());
        if let Ok(lane) = self.dispatch.replay(self.now, base, order, &mut effects) {
            self.replays.last = given.number;
            self.truth.reissues += u64::from(given.ids == DeliveryIds::NewId);
            self.truth.replayed.retain(|(id, _)| *id != given.id);
            self.replays.ordered.insert(given.id.clone(), (given.clone(), selected.clone()));
            let errand = Errand { subscriber: usize::from(base.0), order: given, selected };
            self.replay_of.insert(lane, errand);
        }
        self.carry_out(effects, Vec::new())
    }

    /// Takes up the replays that did not end.
    pub(crate) fn resume_replays(
        &mut self,
        effects: &mut Vec<writ_kernel::dispatch::Effect>,
    ) -> Result<(), String> {
        let failed = |error: writ_store::error::StateError| error.to_string();
        self.replay_of = BTreeMap::new();
        self.replays.last = self.state.last_replay().map_err(failed)?;
        for progress in self.state.replays().map_err(failed)? {
            let base = self.lane_of(progress.subscriber.as_str()).unwrap_or(LaneId(0));
            let Some(mut given) = self.state.replay_order(&progress.id).map_err(failed)? else {
                return Err(format!("what {} was ordered to do is gone", progress.id));
            };
            match self.bug {
                Some(Bug::ReissueForgotten) => given.ids = DeliveryIds::SameId,
                Some(Bug::SelectionForgotten) => given.selection = Default::default(),
                _ => {}
            }
            let selected = Selected::compile(&given.selection).map_err(|error| error.to_string())?;
            let order = Order::resumed(Some(given.clone()), progress);
            if let Ok(lane) = self.dispatch.replay(self.now, base, order, effects) {
                let errand = Errand { subscriber: usize::from(base.0), order: given, selected };
                self.replay_of.insert(lane, errand);
            }
        }
        Ok(())
    }

    /// The selected events of a stretch, as far as the log still holds it.
    pub(crate) fn read_for_replay(&mut self, lane: LaneId, errand: &Errand, look: Look) {
        let (to, start) = (errand.order.to, self.tape.start());
        let from = look.from.max(start);
        if from >= to {
            return self.facts.push_back(Fact::Offered(lane, Vec::new(), to));
        }
        let (mut items, mut next): (Vec<Item>, Offset) = (Vec::new(), from);
        for record in self.records(from).iter().take(look.records_max) {
            let offset = record.offset();
            if offset >= to || items.len() >= look.items_max {
                break;
            }
            let event = self.reference.events.get(&offset);
            if let Some(event) = event.filter(|event| errand.wants(event)) {
                items.push(self.item(event, errand.subscriber));
            }
            next = offset.next();
        }
        self.facts.push_back(Fact::Offered(lane, items, next.min(to)));
    }

    /// The reissue number that a lane's delivery ids must have.
    pub(crate) fn reissue(&self, lane: LaneId) -> u32 {
        let ordered = self.replay_of.get(&lane).and_then(|errand| self.replays.ordered.get(&errand.order.id));
        ordered.map_or(0, |(order, _)| match order.ids {
            DeliveryIds::SameId => 0,
            DeliveryIds::NewId => order.number,
        })
    }

    /// What a replay sends was selected, and it has not ended.
    pub(crate) fn check_replayed(&mut self, lane: LaneId, offset: Offset) -> Result<(), String> {
        let Some(errand) = self.replay_of.get(&lane) else { return Ok(()) };
        let id = errand.order.id.clone();
        if !self.is_former() && self.reference.ended.contains_key(&id) {
            return Err(format!("{id} sends on after its end"));
        }
        if !self.is_selected(&id, offset) {
            return Err(format!("{id} sends the event at {offset}, which it does not select"));
        }
        self.truth.replayed.insert((id, offset));
        Ok(())
    }

    fn is_selected(&self, id: &str, offset: Offset) -> bool {
        let ordered = self.replays.ordered.get(id).zip(self.reference.events.get(&offset));
        ordered.is_some_and(|((order, selected), event)| {
            order.from <= offset && offset < order.to && is_in(selected, event)
        })
    }

    /// Every replay that reached its end offered every event that it selects and that may be sent again.
    pub(crate) fn check_replays(&self) -> Result<(), String> {
        for (id, progress) in self.reference.ended.iter().filter(|(_, progress)| progress.state == "done") {
            let Some(subscriber) = self.lane_of(progress.subscriber.as_str()) else { continue };
            let (subscriber, name) = (usize::from(subscriber.0), progress.subscriber.as_str());
            // What left the log before it was read cannot be offered.
            let from = progress.from.max(self.reference.truncated);
            if from >= progress.to {
                continue;
            }
            for (offset, event) in self.reference.events.range(from..progress.to) {
                let header = &event.stored.header;
                let is_due = event.matches(subscriber)
                    && !event.is_denied(name)
                    && !self.options.is_once(subscriber, header.change_type, header.operation)
                    && self.is_selected(id, *offset);
                if is_due && !self.truth.replayed.contains(&(id.clone(), *offset)) {
                    return Err(format!("{id} is done and never offered the event at {offset}"));
                }
            }
        }
        Ok(())
    }
}

impl Errand {
    pub(crate) fn wants(&self, event: &Event) -> bool {
        event.matches(self.subscriber) && is_in(&self.selected, event)
    }
}

pub(crate) fn is_in(selected: &Selected, event: &Event) -> bool {
    selected.matches(&event.stored.header, event.stored.decision.class, event.stored.sequence)
}
