//! Subscriber `postgres` against real servers: one effect for each event, whatever breaks. A missing PostgreSQL
//! skips with a loud line, or fails under `WRIT_REQUIRE_SERVICES=1`.

mod branches;
mod broken;
mod effects;
mod fence;
mod refused;
mod rig;
mod setup;
