//! The source's connection breaks: it streams again from what was acknowledged.

use crate::world::World;

pub(super) fn act(world: &mut World) {
    world.upstream.rewind();
}
