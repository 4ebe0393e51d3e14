//! Records change at the source, and the source hands some of its stream over.

use crate::bug::Bug;
use crate::upstream::Event;
use crate::world::{Happening, World};

pub(super) fn act(world: &mut World) {
    for _ in 0..world.chance.between(1, 6) {
        world.upstream.change(&mut world.chance, world.options.subjects);
    }
    let count = world.chance.between(1, 15);
    take(world, count);
}

/// The source hands over everything that it still has.
pub(super) fn rest(world: &mut World) {
    let count = world.upstream.count() + 1;
    take(world, count);
}

/// Takes changes in; what is stored or on its way already is a duplicate.
fn take(world: &mut World, count: u64) {
    for _ in 0..count {
        let Some(event) = world.upstream.next() else { break };
        let pending = world.pending.events.last().map_or(0, |event| event.number);
        if event.number <= world.reference.source.max(pending) {
            continue;
        }
        if world.bug == Some(Bug::AcknowledgeBeforeSync) {
            world.upstream.acknowledge(event.number);
        }
        let recorded_at = world.now.wall.0;
        let settle_by = recorded_at + world.options.settle_ms as i64 * 1000;
        world.pending.events.push(Event { recorded_at, settle_by, ..event });
    }
    if !world.commit_due {
        world.commit_due = true;
        let wait = world.chance.millis(0, 8);
        world.plan(wait, Happening::Commit);
    }
}
