//! The shell: owns the kernel's machines, feeds them facts, carries out their effects.
//!
//! Four workers, each with one job: the *writer* thread turns changes into commits, the *follower* thread
//! derives state and tiles from what was committed, the *hub* task drives dispatch and settlement, and one
//! task per pull source reads it. Nothing here decides; if it looks like a decision, it belongs to the kernel.

pub mod assemble;
pub mod config;
pub mod error;
pub mod statutes;

mod audit;
mod case;
mod clock;
mod deliver;
mod follower;
mod hub;
mod launch;
mod looks;
mod open;
mod opened;
mod payload;
mod recovery;
mod replay;
mod retention;
mod saga;
mod source;
mod sweep;
mod writer;

pub mod handle;
pub mod metric;
pub mod run;
