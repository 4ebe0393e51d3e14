//! Coverage-guided form of the target `card`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ_fuzz::run("card", bytes));
