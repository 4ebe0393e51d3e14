//! What survives a crash: the log (events, control facts, leaves), the key vault, the derived state, and
//! the audit log's tiles. Every trait has a disk form, a memory twin, and one contract suite for both.

pub mod contract;
pub mod disk;
pub mod error;
pub mod log;
pub mod pairs;
pub mod seal;
mod settled;
pub mod state;
pub mod vault;

pub mod audit;
