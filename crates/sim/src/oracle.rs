//! At rest, with every fault off: does the log say what happened, and has everything happened?

use std::collections::BTreeSet;

use writ_model::id::Offset;

use crate::world::World;

/// Everything that must be true when nothing is left to do.
pub(crate) fn check(world: &World) -> Result<(), String> {
    check_source(world)?;
    check_deliveries(world)?;
    check_finals(world)
}

/// Every change of the source is on the tape once.
fn check_source(world: &World) -> Result<(), String> {
    let numbers: Vec<u64> = world.reference.events.values().map(|event| event.number).collect();
    let once: BTreeSet<u64> = numbers.iter().copied().collect();
    if once.len() != numbers.len() {
        return Err("an event is stored twice".to_owned());
    }
    let missing = (1..=world.upstream.count()).find(|number| !once.contains(number));
    missing.map_or(Ok(()), |number| Err(format!("change {number} of the source is not stored")))
}

/// Every event reached every subscriber that it matched, or was discarded by an operator.
fn check_deliveries(world: &World) -> Result<(), String> {
    if let Some(((name, subject), _)) = world.reference.dead.first_key_value() {
        return Err(format!("{name} still has dead letters of {subject} after they were redriven"));
    }
    let end = world.reference.events.last_key_value().map_or(Offset::ZERO, |(offset, _)| offset.next());
    for (subscriber, name) in world.names.iter().enumerate() {
        for offset in world.reference.events.keys() {
            if !world.is_accounted(subscriber, *offset) {
                return Err(format!("{name} never got the event at {offset}"));
            }
        }
        let lane = world.dispatch.lanes().nth(subscriber).map(|(_, lane)| lane.watermark());
        if lane.is_none_or(|watermark| watermark < end) {
            return Err(format!("the lane of {name} rests at {lane:?}, events end at {end}"));
        }
    }
    Ok(())
}

/// Every event has one final, and the final names every subscriber that it matched.
fn check_finals(world: &World) -> Result<(), String> {
    for (offset, event) in &world.reference.events {
        let finals = world.reference.finals.get(offset).map_or(&[][..], Vec::as_slice);
        let [one] = finals else { return Err(format!("{offset} has {} finals", finals.len())) };
        let named: Vec<usize> = one.iter().map(|(lane, _)| usize::from(*lane)).collect();
        let expected: Vec<usize> = (0..world.names.len()).filter(|n| event.matches(*n)).collect();
        if named != expected {
            return Err(format!("the final of {offset} names {named:?} instead of {expected:?}"));
        }
        for (lane, how) in one {
            check_word(world, *offset, usize::from(*lane), how)?;
        }
    }
    Ok(())
}

fn check_word(world: &World, offset: Offset, subscriber: usize, how: &str) -> Result<(), String> {
    let event = &world.reference.events[&offset];
    let is_denied = event.is_denied(subscriber);
    let fits = match how {
        "acknowledged" => world.truth.seen.contains(&(subscriber, event.number)) && !is_denied,
        "withheld" => is_denied,
        "dead_lettered" | "pending" => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("the final of {offset} says {how} of s{subscriber}")) }
}
