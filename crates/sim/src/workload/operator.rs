//! An operator pauses, resumes, redrives and discards.

use writ_kernel::dispatch::{Fact, LaneId};
use writ_model::id::SubjectId;

use crate::world::World;

pub(super) fn act(world: &mut World) {
    let lane = LaneId(world.chance.between(0, world.names.len() as u64 - 1) as u16);
    let subjects: Vec<SubjectId> = world.model.known.values().map(|known| known.subject).collect();
    let Some(subject) = world.chance.pick(&subjects).copied() else { return };
    let fact = match world.chance.between(0, 9) {
        0 => Fact::Pause(lane),
        1..=3 => Fact::Resume(lane),
        4 => Fact::Discard(lane, subject, "ada".to_owned()),
        _ => Fact::Redrive(lane, subject, "ada".to_owned()),
    };
    if let Fact::Pause(_) = fact {
        *world.truth.pauses.entry(usize::from(lane.0)).or_default() += 1;
    }
    world.facts.push_back(fact);
}

/// Resumes every lane and redrives every dead letter.
pub(super) fn set_right(world: &mut World) {
    let lanes: Vec<LaneId> = world.dispatch.lanes().map(|(id, _)| id).collect();
    world.facts.extend(lanes.into_iter().map(Fact::Resume));
    let dead: Vec<(String, SubjectId)> = world.reference.dead.keys().cloned().collect();
    for (name, subject) in dead {
        let lane = world.names.iter().position(|n| n.as_str() == name).unwrap_or_default();
        world.facts.push_back(Fact::Redrive(LaneId(lane as u16), subject, "ada".to_owned()));
    }
}
