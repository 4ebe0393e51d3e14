//! An operator orders a replay, steers one, or ends one.

use writ_kernel::dispatch::replay::{Act, Order};
use writ_kernel::dispatch::{Fact, LaneId};
use writ_model::id::Offset;
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};

use crate::world::World;

pub(super) fn act(world: &mut World) -> Result<(), String> {
    if world.chance.percent(30)
        && let Some(lane) = world.replay_of.keys().next().copied()
    {
        let act = steered(world);
        world.facts.push_back(Fact::Act(lane, act, "ada".to_owned()));
        return Ok(());
    }
    let base = world.chance.between(0, world.names.len() as u64 - 1) as usize;
    let order = Order::new(ordered(world, base));
    let mut effects = Vec::new();
    if let Ok(lane) = world.dispatch.replay(world.now, LaneId(base as u16), order, &mut effects) {
        world.replay_of.insert(lane, base);
    }
    world.carry_out(effects, Vec::new())
}

fn steered(world: &mut World) -> Act {
    match world.chance.between(0, 3) {
        0 => Act::Pause,
        1 => Act::Resume,
        2 => Act::Rate(world.chance.percent(50).then(|| world.chance.between(1, 200) as u32)),
        _ => Act::Cancel,
    }
}

fn ordered(world: &mut World, base: usize) -> ReplayOrder {
    let end = world.tape.end().0;
    let from = world.chance.between(0, end);
    let to = world.chance.between(from, end);
    ReplayOrder {
        id: format!("replay-{}", world.chance.draw()),
        number: 1,
        subscriber: world.names[base].clone(),
        from: Offset(from),
        to: Offset(to),
        selection: Selection::default(),
        ids: DeliveryIds::SameId,
        shredded: Shredded::Tombstone,
        rate_per_second: world.chance.percent(30).then(|| world.chance.between(1, 200) as u32),
        forced: None,
        request: String::new(),
        asked: String::new(),
        actor: "ada".to_owned(),
        at: world.now.wall,
    }
}
