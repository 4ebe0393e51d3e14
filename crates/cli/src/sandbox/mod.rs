//! Receivers on loopback for the demo and the benchmarks: real HTTP servers that record what arrives and
//! behave as told: healthy, throttling, down. They know nothing of the engine.

mod receiver;
mod record;

pub(crate) use receiver::{Behaviour, Receiver};
pub(crate) use record::Delivery;
