//! The contract between a decision and the world.
//!
//! The rule: one fact in, drain the effects, then the next fact. A machine never waits, reads a clock or
//! touches the world. An effect that must be durable is not assumed: its completion comes back as a fact,
//! so every crash point stands between two facts. Late, duplicate and reordered facts are legal input.

use writ_model::time::{Moment, Timestamp};

/// One reading of both clocks, taken by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// For deadlines: never goes back.
    pub moment: Moment,
    /// For records: may go back or jump.
    pub wall: Timestamp,
}

/// Decides; never waits, reads a clock, or touches the world.
pub trait Machine {
    /// Something that happened.
    type Fact;
    /// Something the shell must now do, in order.
    type Effect;

    /// Takes one fact and pushes what must be done about it.
    fn on(&mut self, now: Now, fact: Self::Fact, effects: &mut Vec<Self::Effect>);

    /// Takes the passing of time: to be called at or after [`Machine::next_deadline`]; harmless earlier.
    fn on_time(&mut self, now: Now, effects: &mut Vec<Self::Effect>);

    /// The earliest moment at which [`Machine::on_time`] has something to do.
    fn next_deadline(&self) -> Option<Moment>;
}
