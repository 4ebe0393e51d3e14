//! The process dies, or the machine loses power.

use crate::world::World;

pub(super) fn act(world: &mut World) -> Result<(), String> {
    let loses_power = world.chance.percent(50);
    world.crash(loses_power)
}
