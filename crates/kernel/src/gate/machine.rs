//! The gate as a machine: `Submit` in, `Ask` out, the policy's verdict in, `Decided` out.

use writ_model::verdict::{Checked, PolicyVerdict};

use super::Decided;

/// Numbers an event on its way through the gate, within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the gate is told.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Decide this event.
    Submit(Ticket, Box<Checked>),
    /// The policy engine answered.
    Verdict(Ticket, PolicyVerdict),
}

/// What the gate wants done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Ask the policy engine; the input document is `docs/reference/policy-input.md`.
    Ask(Ticket, serde_json::Value),
    /// The decision. Decisions of one subject come in the order in which its events were submitted.
    Decided(Ticket, Decided),
}
