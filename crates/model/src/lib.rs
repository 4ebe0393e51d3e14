//! The words of Writ: every type that a change passes through between a source and a receipt.
//!
//! Plain data only. Nothing here decides, waits, or touches the world; decisions are in `writ-kernel`.
//! Read in module order and you follow one change's journey (see `ARCHITECTURE.md`).

pub mod id;
pub mod time;

pub mod value;

pub mod taxonomy;

pub mod change;

pub mod lineage;

pub mod mapping;

pub mod envelope;
pub mod finding;

pub mod cloudevent;

pub mod verdict;

pub mod replay;

pub mod retention;

pub mod saga;

pub mod case;

pub mod control;

pub mod delivery;

pub mod guarantee;

pub mod code;
