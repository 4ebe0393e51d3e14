//! One folder per subscriber.

pub mod file;
pub mod postgres;
pub mod pull;
pub mod webhook;
