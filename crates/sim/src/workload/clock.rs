//! Somebody sets the wall clock, forwards or back; or it is put right.

use crate::world::World;

/// A day, in microseconds.
const DAY: u64 = 86_400_000_000;

pub(super) fn act(world: &mut World) {
    let far = world.chance.between(0, DAY) as i64;
    world.skew = match world.chance.between(0, 2) {
        0 => 0,
        1 => far,
        _ => -far,
    };
}
