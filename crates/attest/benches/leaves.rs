//! Leaves per second, on one core and in memory: made, integrated (parsed, hashed, bundled) and verified.
//!
//! Expectation: a leaf is about a kilobyte, so hashing alone allows some 500,000 a second with SHA
//! instructions; reading it back as a typed record is most of the rest.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, prints its result and may panic"
)]

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::time::Instant;

use sample::published::publish;
use sample::{log, signer, time};
use writ_attest::verify::{Expectations, verify};

const LEAVES: u64 = 50_000;

fn measure<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    println!("{what}: {:.0} leaves/s", LEAVES as f64 / start.elapsed().as_secs_f64());
    result
}

fn main() {
    let entries = measure("make", || log(LEAVES));
    let objects = measure("integrate", || publish(&entries));
    let key = signer().verifier();
    let expected = Expectations::new(&key, time(3_600_000));
    let report = measure("verify", || verify(&objects, &expected, &mut |_, _| {})).unwrap();
    assert!(report.is_sound());
}
