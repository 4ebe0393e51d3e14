//! Coverage-guided form of the target `shopify`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| writ_fuzz::run("shopify", bytes));
