//! An operator replays a stretch of the log, or ends a replay.

use writ_kernel::dispatch::replay::Order;
use writ_kernel::dispatch::{Fact, LaneId};
use writ_model::id::Offset;

use crate::world::World;

pub(super) fn act(world: &mut World) -> Result<(), String> {
    if world.chance.percent(20)
        && let Some(lane) = world.replay_of.keys().next().copied()
    {
        let fact = if world.chance.percent(50) { Fact::Cancel(lane) } else { Fact::Pause(lane) };
        world.facts.push_back(fact);
        return Ok(());
    }
    let base = world.chance.between(0, world.names.len() as u64 - 1) as usize;
    let end = world.tape.end().0;
    let from = world.chance.between(0, end);
    let to = world.chance.between(from, end);
    let rate = world.chance.percent(30).then(|| world.chance.between(1, 200) as u32);
    let order = Order::new(&format!("replay-{}", world.chance.draw()), Offset(from), Offset(to), rate);
    let mut effects = Vec::new();
    if let Ok(lane) = world.dispatch.replay(world.now, LaneId(base as u16), order, &mut effects) {
        world.replay_of.insert(lane, base);
    }
    world.carry_out(effects, Vec::new())
}
