//! The disk refuses or tears one of its next operations, loses power in one, or fills up.

use writ_store::disk::sim::Fault;

use crate::world::World;

pub(super) fn act(world: &mut World) {
    let nth = world.chance.between(0, 12);
    match world.chance.between(0, 3) {
        0 => world.disk.fail_after(nth, Fault::Refused),
        1 => world.disk.fail_after(nth, Fault::Torn),
        2 => world.disk.fail_after(nth, Fault::PowerCut),
        _ => {
            let room = world.chance.between(0, 3_000);
            world.disk.set_capacity(Some(world.disk.used() + room));
        }
    }
}
