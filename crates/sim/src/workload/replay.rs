//! An operator orders a replay, steers one, or ends one.

use writ_kernel::dispatch::replay::{Act, check_ids};
use writ_kernel::dispatch::{Fact, LaneId};
use writ_model::id::{Offset, SubjectId};
use writ_model::replay::{DeliveryIds, ReplayOrder, Selection, Shredded};
use writ_model::taxonomy::ChangeType;

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
    let order = ordered(world, base);
    if check_ids(&order, &world.options.promises(base)).is_err() {
        return Ok(());
    }
    world.order_replay(LaneId(base as u16), order)
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
    let (start, end) = (world.tape.start().0, world.tape.end().0);
    let from = world.chance.between(start, end);
    let to = world.chance.between(from, end);
    let number = world.next_replay();
    let rate_per_second = world.chance.percent(30).then(|| world.chance.between(1, 200) as u32);
    let ids = if world.chance.percent(40) { DeliveryIds::NewId } else { DeliveryIds::SameId };
    ReplayOrder {
        id: format!("replay-{number}"),
        number,
        subscriber: world.names[base].clone(),
        from: Offset(from),
        to: Offset(to),
        selection: selection(world),
        ids,
        shredded: Shredded::Tombstone,
        rate_per_second,
        forced: None,
        request: String::new(),
        asked: String::new(),
        actor: "ada".to_owned(),
        at: world.now.wall,
    }
}

/// Half of them select everything.
fn selection(world: &mut World) -> Selection {
    let subjects: Vec<SubjectId> = world.model.known.values().map(|known| known.subject).collect();
    let (one, other) = (world.chance.pick(&subjects).copied(), world.chance.pick(&subjects).copied());
    match world.chance.between(0, 7) {
        0 | 1 => Selection { subjects: one.into_iter().chain(other).collect(), ..Selection::default() },
        2 => Selection { change_types: vec![ChangeType::Email], ..Selection::default() },
        3 => Selection { to_time: Some(world.now.wall), ..Selection::default() },
        _ => Selection::default(),
    }
}
