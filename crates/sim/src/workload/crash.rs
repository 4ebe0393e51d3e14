//! The process dies, or the machine loses power, or it stands still while another takes over.

use crate::world::World;

pub(super) fn act(world: &mut World) -> Result<(), String> {
    let loses_power = world.chance.percent(50);
    world.crash(loses_power)
}

pub(super) fn take_over(world: &mut World) -> Result<(), String> {
    let takes_disk = world.chance.percent(50);
    world.take_over(takes_disk)
}
