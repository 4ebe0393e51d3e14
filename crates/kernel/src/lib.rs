//! What should happen next? Every decision of Writ, as pure functions and state machines.
//!
//! No clock, no I/O, no async, no hash maps: time and randomness are arguments, and a run is a list of
//! facts. The engine and the simulator drive the same machines.

pub mod machine;

pub mod detect;

pub mod admission;

pub mod gate;

pub mod route;

pub mod guarantee;
pub mod select;

pub mod dispatch;

pub mod settle;

pub mod finding;

pub mod retention;

pub mod saga;

pub mod case;

pub mod identity;
