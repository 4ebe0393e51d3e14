//! Real services for tests: private, disposable, on free ports. A dev-dependency only.
//!
//! A missing service skips a test with a loud line, or fails it when `WRIT_REQUIRE_SERVICES=1`: a proof that
//! was asked for must not pass by absence.

mod absence;
pub mod postgres;
