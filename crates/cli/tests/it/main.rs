//! The whole product, driven as its user drives it: `writ` as a child process, a private PostgreSQL, webhook
//! receivers over real HTTP. A missing service skips with a loud line, or fails under
//! `WRIT_REQUIRE_SERVICES=1`.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen, and figures are for people")]

mod at_most_once;
mod audit;
mod benchmarks;
mod capture_under_fire;
mod cases;
mod disk;
mod erasure;
mod faults;
mod first_change;
mod guide;
mod into_postgres;
mod oracle;
mod overtaking;
mod receivers;
mod replays;
mod retention;
mod sagas;
mod stage;
mod workload;
