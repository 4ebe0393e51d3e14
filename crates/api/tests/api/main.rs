//! The HTTP API over a real engine: a store in a temporary folder, two push sources, subscribers of a file and of
//! consumers.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

mod access;
mod bounds;
mod cases;
mod causality;
mod client;
mod intake;
mod metrics;
mod operate;
mod privacy;
mod pull;
mod read;
mod reference;
mod replays;
mod retention;
mod rig;
mod stopping;
mod stream;
