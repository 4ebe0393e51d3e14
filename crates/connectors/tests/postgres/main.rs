//! PostgreSQL capture against real clusters: the traps of logical replication, one by one.

mod handoff;
mod resume;
mod rig;
mod rows;
mod setup;
mod slot;
