//! What the laws ask for and by when. The files under `statutes/` are the facts; this crate reads them, finds
//! mistakes in them, lays an operator's own decisions over them, and counts days.
//!
//! It owns no clock and does no I/O: texts, moments and zones are arguments, and the time zone database is linked in.
//! What a case does with a date is decided elsewhere. Nothing here is legal advice.

pub mod law;

pub mod calendar;
pub mod count;
pub mod zone;

pub mod table;

pub mod lint;
pub mod overlay;

pub mod deadline;

pub mod nearest;
pub mod page;

mod embedded;
