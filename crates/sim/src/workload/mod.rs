//! What goes on in the world: one file per operation, drawn by weight.

mod append;
mod clock;
mod crash;
mod disk_fault;
mod hold;
mod mood;
mod operator;
mod replay;
mod rewind;

use crate::world::World;

/// One operation of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Append,
    Mood,
    Operator,
    Replay,
    Rewind,
    Clock,
    Crash,
    DiskFault,
    TakeOver,
    Retain,
    Hold,
    Push,
}

/// Each operation's weight, and whether a swarm may go without it.
pub(crate) const WEIGHTS: [(Operation, u64, bool); 8] = [
    (Operation::Append, 50, false),
    (Operation::Mood, 20, true),
    (Operation::Operator, 12, true),
    (Operation::Replay, 3, true),
    (Operation::Rewind, 4, true),
    (Operation::Clock, 2, true),
    (Operation::Crash, 4, true),
    (Operation::DiskFault, 4, true),
];

/// Those that came later, drawn after everything else.
pub(crate) const LATER_WEIGHTS: [(Operation, u64, bool); 4] = [
    (Operation::TakeOver, 4, true),
    (Operation::Retain, 20, true),
    (Operation::Hold, 8, true),
    (Operation::Push, 10, true),
];

/// Draws one operation and carries it out.
pub(crate) fn act(world: &mut World) -> Result<(), String> {
    let total: u64 = world.options.weights.iter().map(|(_, weight)| weight).sum();
    let mut draw = world.chance.between(1, total);
    let mut chosen = Operation::Append;
    for (operation, weight) in &world.options.weights {
        chosen = *operation;
        if draw <= *weight {
            break;
        }
        draw -= weight;
    }
    world.note(&chosen);
    match chosen {
        Operation::Append => return append::act(world),
        Operation::Mood => mood::act(world),
        Operation::Operator => operator::act(world),
        Operation::Replay => return replay::act(world),
        Operation::Rewind => rewind::act(world),
        Operation::Clock => clock::act(world),
        Operation::Crash => return crash::act(world),
        Operation::DiskFault => disk_fault::act(world),
        Operation::TakeOver => return crash::take_over(world),
        Operation::Retain => return world.judge_segments(),
        Operation::Hold => hold::act(world),
        Operation::Push => world.begin_push(),
    }
    Ok(())
}

/// Ends every fault, and has the operator set right what only an operator can.
pub(crate) fn calm(world: &mut World) -> Result<(), String> {
    world.disk.heal();
    world.disk.set_capacity(None);
    world.end_former();
    // A process that met a failed write stops: start it once more on the healed disk.
    world.crash(false)?;
    mood::cure(world);
    append::rest(world)?;
    operator::set_right(world);
    world.drain()
}
