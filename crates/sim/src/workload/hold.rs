//! A lawyer places a hold, or releases one.

use writ_model::control::ControlFact;
use writ_model::id::SubjectId;
use writ_model::replay::Selection;
use writ_model::retention::{Hold, HoldReleased};
use writ_model::taxonomy::ChangeType;

use crate::world::World;

pub(super) fn act(world: &mut World) {
    let placed: Vec<String> = world.reference.holds.keys().cloned().collect();
    let (reason, actor, at) = ("matter".to_owned(), "ada".to_owned(), world.now.wall);
    // Most are released, or nothing would ever leave the log.
    let fact = match world.chance.pick(&placed).cloned() {
        Some(id) if world.chance.percent(70) => {
            ControlFact::HoldReleased(HoldReleased { id, reason, actor, at })
        }
        _ => {
            let (id, scope) = (format!("hold-{}", world.chance.draw()), scope(world));
            let matter = "m-1".to_owned();
            ControlFact::HoldPlaced(Box::new(Hold { id, matter, reason, scope, actor, at }))
        }
    };
    world.hub.facts.push(fact);
    world.want_commit();
}

fn scope(world: &mut World) -> Selection {
    let subjects: Vec<SubjectId> = world.model.known.values().map(|known| known.subject).collect();
    let one = world.chance.pick(&subjects).copied();
    match world.chance.between(0, 2) {
        0 => Selection { subjects: one.into_iter().collect(), ..Selection::default() },
        1 => Selection { change_types: vec![ChangeType::Phone], ..Selection::default() },
        _ => Selection { to_time: Some(world.now.wall), ..Selection::default() },
    }
}
