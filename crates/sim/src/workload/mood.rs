//! A subscriber changes its behaviour.

use crate::receiver::{MOODS, Mood};
use crate::world::World;

pub(super) fn act(world: &mut World) {
    let which = world.chance.between(0, world.receivers.len() as u64 - 1) as usize;
    let mood = *world.chance.pick(&MOODS).unwrap_or(&Mood::Healthy);
    world.receivers[which].mood = if world.chance.percent(40) { Mood::Healthy } else { mood };
}

/// Every subscriber is well and takes everything.
pub(super) fn cure(world: &mut World) {
    for receiver in &mut world.receivers {
        receiver.mood = Mood::Healthy;
        receiver.poison = 0;
        receiver.noise = 0;
    }
}
