//! At rest, with every fault off: does the log say what happened, and has everything happened?

use writ_model::id::Offset;

use crate::world::World;

/// Everything that must be true when nothing is left to do.
pub(crate) fn check(world: &World) -> Result<(), String> {
    check_source(world)?;
    check_branches(world)?;
    check_deliveries(world)?;
    check_finals(world)?;
    world.check_replays()?;
    world.check_desk()
}

/// Nothing is prepared anywhere any more, and the journal has nothing decided that has not ended.
fn check_branches(world: &World) -> Result<(), String> {
    let left = world.inboxes.iter().position(|inbox| !inbox.branches().is_empty());
    if let Some(subscriber) = left {
        return Err(format!("s{subscriber} still holds prepared transactions"));
    }
    match world.reference.decided.first() {
        Some((name, branch)) => Err(format!("{branch:?} of {name} was decided and never concluded")),
        None => Ok(()),
    }
}

/// Every change of the source is covered and counted once, and the last-known states and the state are what
/// the log says. That each gave its events was checked when they were stored.
fn check_source(world: &World) -> Result<(), String> {
    let (count, taken) = (world.upstream.changes().len(), world.model.taken);
    if taken != count {
        return Err(format!("the log covers {taken} of the source's {count} changes"));
    }
    if world.reference.accounted != count as u64 {
        return Err(format!("the leaves account for {} of {count} changes", world.reference.accounted));
    }
    if world.upstream.acknowledged() != world.reference.progress {
        return Err("the source was not told all".to_owned());
    }
    world.check_last_known()?;
    world.check_state()
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
        let named: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
        let expected: Vec<&str> = event.lanes.iter().map(|lane| world.names[*lane].as_str()).collect();
        if named != expected {
            return Err(format!("the final of {offset} names {named:?} instead of {expected:?}"));
        }
        for (lane, (_, how)) in event.lanes.iter().zip(one) {
            check_word(world, *offset, *lane, how)?;
        }
    }
    Ok(())
}

fn check_word(world: &World, offset: Offset, subscriber: usize, how: &str) -> Result<(), String> {
    let event = &world.reference.events[&offset];
    let is_denied = event.is_denied(world.names[subscriber].as_str());
    let header = &event.stored.header;
    let is_once = world.options.is_once(subscriber, header.change_type, header.operation);
    let fits = match how {
        "acknowledged" => world.truth.seen.contains(&(subscriber, offset)) && !is_denied,
        "withheld" => is_denied || is_once,
        "attempted" => is_once,
        "dead_lettered" | "pending" => true,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("the final of {offset} says {how} of s{subscriber}")) }
}
