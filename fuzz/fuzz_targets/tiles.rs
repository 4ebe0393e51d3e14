//! Coverage-guided form of the target `tiles`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ_fuzz::run("tiles", bytes));
