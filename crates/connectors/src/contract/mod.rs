//! What every connector must keep, as suites that any of them can be put through. A suite panics with what is
//! broken; it names no connector and needs no service of its own.

mod descriptor;
mod pull;
mod subscriber;

pub use descriptor::descriptor;
pub use pull::{Upstream, pull};
pub use subscriber::subscriber;
