//! One folder per subscriber.

pub mod file;
pub mod webhook;
