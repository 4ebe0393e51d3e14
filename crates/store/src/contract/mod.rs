//! Contract suites: what every form of a store trait must do, as plain functions that panic on a breach.
//! The disk form, the memory twin and the simulated disk all pass the same suite.

pub mod log;
mod retained;
pub mod state;
pub mod vault;

pub(crate) mod sample;
