//! Records change at the source, and the source hands some of its stream over.

use crate::world::World;

pub(super) fn act(world: &mut World) -> Result<(), String> {
    for _ in 0..world.chance.between(1, 2) {
        let at = world.source_time();
        world.upstream.transaction(&mut world.chance, &world.options, &world.tenant, at);
    }
    // Hand-overs end inside transactions too.
    let most = world.chance.between(1, 8) as usize;
    match world.upstream.next(most, &world.tenant) {
        Some(handed) => world.take(handed),
        None => Ok(()),
    }
}

/// The source hands over everything that it still has.
pub(super) fn rest(world: &mut World) -> Result<(), String> {
    while let Some(handed) = world.upstream.next(64, &world.tenant) {
        world.take(handed)?;
    }
    Ok(())
}
