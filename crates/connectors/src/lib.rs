//! How do we talk to this system? One folder per connector; the registry lists them.
//!
//! A connector makes exactly one attempt, reports what came back as it came, and never retries, interprets,
//! or decides. It does not know the kernel.

mod authorities;
pub mod contract;
pub mod descriptor;
pub mod mailbox;
pub mod registry;
pub mod secret;
pub mod settings;
pub mod source;
pub mod subscriber;

pub mod sources;
pub mod subscribers;
